"""An event loop whose clock moves only when everything waits: hours pass in milliseconds, and always alike."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _NothingComesIn(selectors.SelectSelector):
    """Waits for no socket: a wait for a timer moves the clock to it."""

    def __init__(self) -> None:
        super().__init__()
        self.now_seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits, and nothing will ever happen")
        self.now_seconds += max(timeout, 0.0)
        return []


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _NothingComesIn()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now_seconds


def run_in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end what waits for timers and for itself alone: no sockets, no threads."""
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return runner.run(main)
