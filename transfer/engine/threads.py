"""Blocking work beside the event loop: file calls and checksums."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")

THREADS: Final = max(4, (os.cpu_count() or 1) + 2)
"""Checksums keep a core busy and file calls wait for a disk: some more threads than cores serve both."""


class Threads:
    """The worker threads of one run."""

    def __init__(self) -> None:
        self._limiter: Final = anyio.CapacityLimiter(THREADS)

    async def run(self, work: Callable[[], T]) -> T:
        """Do blocking work in a thread; cancellation waits until it has returned."""
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)

    async def run_abandonable(self, work: Callable[[], T]) -> T:
        """Do work that may block for ever, such as reading a pipe; cancellation leaves it behind."""
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
