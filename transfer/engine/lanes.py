"""Lanes: how many requests are in flight, as the governor says.

A lane is a permission to make one request; whoever holds it owns one connection for that time. Waiters are served in
the order in which they came, so large and small items share the lanes fairly. Every window the lanes tell the governor
what they achieved and take its new limit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Final

from transfer.model.events import ConcurrencyChanged, EventSink
from transfer.plan.governor import Governor, Window

WINDOW_SECONDS: Final = 0.25
"""How long one measurement lasts: long enough for several parts at 100 MB/s per connection, short enough that the
governor's first four doublings fit into two seconds."""


class Lane:
    """The permission to make one request. A class: a generator costs every small object some microseconds more."""

    __slots__ = ("_lanes",)

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    async def __aenter__(self) -> None:
        await self._lanes.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lanes.release()


class Lanes:
    """The lanes of one run. `start` and `stop` bracket its use; both are idempotent."""

    def __init__(self, governor: Governor, on_event: EventSink) -> None:
        self._governor: Final = governor
        self._on_event: Final = on_event
        self._waiters: Final[deque[asyncio.Future[None]]] = deque()
        self._in_use = 0
        self._timer: asyncio.TimerHandle | None = None
        self._window_started_seconds = 0.0
        self._peak_in_use = 0
        self._work_bytes = 0
        self._requests = 0
        self._slowdowns = 0
        self._timeouts = 0

    @property
    def limit(self) -> int:
        """How many requests may be in flight now."""
        return self._governor.limit

    @property
    def in_use(self) -> int:
        """How many are in flight now."""
        return self._in_use

    @property
    def waiting(self) -> int:
        """How many requests wait for a lane."""
        return len(self._waiters)

    def start(self) -> None:
        """Begin to measure."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._window_started_seconds = loop.time()
            self._timer = loop.call_later(WINDOW_SECONDS, self._end_window, loop)

    def stop(self) -> None:
        """Stop measuring."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def lane(self) -> Lane:
        """Hold a lane for the block, for `async with`; waits for one in turn."""
        return Lane(self)

    async def acquire(self) -> None:
        """Take a lane; waits for one in turn."""
        if self._in_use < self.limit and not self._waiters:
            self._take()
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            # Admitted and cancelled in the same turn: the lane goes to the next one.
            if waiter.done() and not waiter.cancelled():
                self.release()
            raise

    def release(self) -> None:
        """Let go of a lane."""
        self._in_use -= 1
        self._admit()

    def count_bytes(self, count: int) -> None:
        """Count body bytes that moved."""
        self._work_bytes += count

    def count_request(self) -> None:
        """Count a request that succeeded."""
        self._requests += 1

    def count_slowdown(self) -> None:
        """Count an answer that asked to slow down."""
        self._slowdowns += 1

    def count_timeout(self) -> None:
        """Count a request that stalled."""
        self._timeouts += 1

    def _take(self) -> None:
        self._in_use += 1
        self._peak_in_use = max(self._peak_in_use, self._in_use)

    def _admit(self) -> None:
        """Give free lanes to those who wait."""
        while self._waiters and self._in_use < self.limit:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._take()
                waiter.set_result(None)

    def _end_window(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        before = self._governor.limit
        window = Window(
            seconds=now - self._window_started_seconds,
            work_bytes=max(self._work_bytes, 0),
            requests=self._requests,
            in_use=self._peak_in_use,
            slowdowns=self._slowdowns,
            timeouts=self._timeouts,
        )
        after = self._governor.observe(window)
        self._window_started_seconds = now
        self._peak_in_use = self._in_use
        self._work_bytes = self._requests = self._slowdowns = self._timeouts = 0
        if after != before:
            self._on_event(ConcurrencyChanged(after))
            self._admit()
        self._timer = loop.call_later(WINDOW_SECONDS, self._end_window, loop)
