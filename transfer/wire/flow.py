"""How a body's bytes are counted and slowed while they move; the movers call it, they know nothing behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

UNLIMITED_STEP_BYTES = 8 * 1024 * 1024
"""The most a mover hands to one system call when nothing limits the rate: beyond this a call gains nothing and the
event loop would wait for it."""


class RateLimiter(Protocol):
    """Slows movers to a rate shared by all of them."""

    @property
    def step_bytes(self) -> int:
        """The most to move between two calls of `admit`."""

    async def admit(self, count: int) -> None:
        """Wait until `count` bytes may move."""


class Flow:
    """The flow of one body through one attempt.

    Attributes:
        moved_bytes: Body bytes moved so far by this attempt; what to take back when it is thrown away.
        step_bytes: The most to move between two calls of `admit`.
    """

    __slots__ = ("_limiter", "_on_bytes", "moved_bytes", "step_bytes")

    def __init__(self, on_bytes: Callable[[int], None] | None = None, limiter: RateLimiter | None = None) -> None:
        self.moved_bytes = 0
        self.step_bytes = limiter.step_bytes if limiter else UNLIMITED_STEP_BYTES
        self._on_bytes = on_bytes
        self._limiter = limiter

    async def admit(self, count: int) -> None:
        """Wait until `count` bytes may move."""
        if self._limiter is not None:
            await self._limiter.admit(count)

    def moved(self, count: int) -> None:
        """Count bytes that moved."""
        self.moved_bytes += count
        if self._on_bytes is not None:
            self._on_bytes(count)

    def take_back(self) -> None:
        """Uncount everything: the attempt failed and its bytes will move again."""
        count, self.moved_bytes = self.moved_bytes, 0
        if count and self._on_bytes is not None:
            self._on_bytes(-count)
