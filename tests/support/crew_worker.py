"""A worker as a test plays it: it keeps what it is told and says what the test wants.

Owns its end of the socket and the process whose end counts as the worker's; that of a deaf one hears nothing.
"""

import asyncio
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from transfer.engine.crew.channel import Channel
from transfer.engine.crew.orders import REDUCERS
from transfer.system.forking import Forked


class PlayedWorker:
    """One worker.

    Attributes:
        told: The orders that came.
        files: The descriptors that came with them.
        answer: Called with each order as it comes.
    """

    def __init__(self, end: socket.socket) -> None:
        self.told: list[Any] = []
        self.files: list[int] = []
        self.answer: Callable[[Any], None] = lambda _: None
        self.channel = Channel(end, REDUCERS, self._take, lambda: None)
        self._news = asyncio.Event()

    async def heard(self, kind: type[Any]) -> Any:
        """The last order of a kind, once there is one."""
        while not (found := [one for one in self.told if isinstance(one, kind)]):
            self._news.clear()
            await self._news.wait()
        return found[-1]

    def _take(self, message: Any, descriptor: int | None) -> None:
        self.told.append(message)
        if descriptor is not None:
            self.files.append(descriptor)
        self._news.set()
        self.answer(message)


@contextmanager
def played() -> Iterator[tuple[Forked, PlayedWorker]]:
    """A worker, and what the first process knows of it; needs a running event loop."""
    ours, theirs = socket.socketpair()
    with subprocess.Popen(["true"]) as process:
        worker = PlayedWorker(theirs)
        try:
            yield Forked(process.pid, ours), worker
        finally:
            worker.channel.close()
            for descriptor in worker.files:
                os.close(descriptor)


@contextmanager
def deaf() -> Iterator[Forked]:
    """A worker that lives, keeps its socket open and never reads from it."""
    ours, theirs = socket.socketpair()
    with subprocess.Popen(["sleep", "600"], pass_fds=[theirs.fileno()]) as process:
        theirs.close()
        try:
            yield Forked(process.pid, ours)
        finally:
            process.kill()
