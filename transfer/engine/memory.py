"""How much memory the bodies of a run may take at once. It counts bytes and lends them in turn; it holds none itself.

Whoever waits here holds no lane, while whoever holds bytes may wait for one: in that order nobody waits for ever.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

RELAY_MEMORY_BYTES: Final = 64 * 1024 * 1024
"""Eight parts of the usual size keep two local stores busy. The process peaks at 117 MB with an object of 512 MiB, at
109 with 64 requests in flight, and at 109 with parts of 32 MiB; one that downloads at 49."""


class MemoryBudget:
    """Bytes that bodies in memory may take together; whoever asks first is served first.

    Attributes:
        peak_bytes: The most that was held at once.
    """

    def __init__(self, limit_bytes: int = RELAY_MEMORY_BYTES) -> None:
        self._limit_bytes: Final = limit_bytes
        self._held_bytes = 0
        self._waiters: Final[deque[tuple[int, asyncio.Future[None]]]] = deque()
        self.peak_bytes = 0

    @property
    def held_bytes(self) -> int:
        """How much is held now."""
        return self._held_bytes

    @asynccontextmanager
    async def hold(self, count: int) -> AsyncIterator[None]:
        """Hold `count` bytes for the block; waits in turn. One body that is larger than the budget is held alone."""
        await self._acquire(count)
        try:
            yield
        finally:
            self._release(count)

    async def _acquire(self, count: int) -> None:
        if self._fits(count) and not self._waiters:
            self._take(count)
            return
        admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((count, admitted))
        try:
            await admitted
        except asyncio.CancelledError:
            if admitted.done() and not admitted.cancelled():
                # Admitted and cancelled in the same turn.
                self._release(count)
            else:
                # A large body that waited no more may have kept small ones behind it waiting.
                self._admit()
            raise

    def _fits(self, count: int) -> bool:
        return self._held_bytes == 0 or self._held_bytes + count <= self._limit_bytes

    def _take(self, count: int) -> None:
        self._held_bytes += count
        self.peak_bytes = max(self.peak_bytes, self._held_bytes)

    def _release(self, count: int) -> None:
        self._held_bytes -= count
        self._admit()

    def _admit(self) -> None:
        while self._waiters:
            count, admitted = self._waiters[0]
            if admitted.done():
                self._waiters.popleft()
                continue
            if not self._fits(count):
                return
            self._waiters.popleft()
            self._take(count)
            admitted.set_result(None)
