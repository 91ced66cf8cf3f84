"""Lanes: how many requests are in flight, as the governor says.

A lane is a permission to make one request; whoever holds it owns one connection for that time. Waiters are served in
the order in which they came, so large and small items share the lanes fairly.

At the end of every window the lanes tell the governor what they achieved and take its new limit. A window ends when a
round is complete: as many requests have ended as there are lanes. Windows of the first second may be short, since a
run of a second or two has no time to lose; later ones average over more. The first answer that asks to slow down ends
its window at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Protocol

from transfer.model.events import ConcurrencyChanged, EventSink
from transfer.plan.governor import Window
from transfer.system.occupancy import Occupancy

SHORTEST_WINDOW_SECONDS: Final = 0.04
"""The first windows last as long at least: one round of a store that needs 30 ms to its first byte, and a hundred
small requests of one that answers at once, which is enough to tell twice the goodput from noise."""
LONGEST_WINDOW_SECONDS: Final = 0.25
"""Every later window, and the first ones where requests take longer than that."""
WINDOW_SHARE: Final = 0.25
"""A window lasts as long at least, of the time in which the lanes have been busy."""


class Governing(Protocol):
    """Whoever says how many lanes there are."""

    @property
    def limit(self) -> int:
        """How many requests may be in flight now."""

    @property
    def cuts(self) -> int:
        """How often that was lowered because the store objected."""

    def expect(self, answer_seconds: float) -> int:
        """Choose the start of a run of parts by the time of a request without a body; the limit from now on."""

    def observe(self, window: Window) -> int:
        """Learn from the window that just ended; the limit from now on."""


class Lane:
    """The permission to make one request. A class: a generator costs every small object some microseconds more.

    Attributes:
        began_seconds: When it was given, by the clock of the loop.
    """

    __slots__ = ("_lanes", "began_seconds")

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self.began_seconds = 0.0

    async def __aenter__(self) -> None:
        await self._lanes.acquire()
        self.began_seconds = asyncio.get_running_loop().time()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lanes.release()


class _Call:
    """Waits for a lane as a future does."""

    __slots__ = ("_then",)

    def __init__(self, then: Callable[[], None]) -> None:
        self._then = then

    def done(self) -> bool:
        return False

    def set_result(self, result: None) -> None:  # noqa: ARG002 - as a future's
        self._then()


class Lanes:
    """The lanes of one run. `start` and `stop` bracket its use; both are idempotent."""

    def __init__(self, governor: Governing, on_event: EventSink) -> None:
        self._governor: Final = governor
        self._on_event: Final = on_event
        self._waiters: Final[deque[asyncio.Future[None] | _Call]] = deque()
        self._in_use = 0
        self._pausing = 0
        self._is_admitting = False
        self._timer: asyncio.TimerHandle | None = None
        self._occupancy: Occupancy | None = None
        self._occupied_seconds = 0.0
        self._window_started_seconds = 0.0
        self._shortest_seconds = SHORTEST_WINDOW_SECONDS
        self._busy_seconds = 0.0
        self._may_end = False
        self._is_objected = False
        self._known_limit = governor.limit
        self._known_cuts = governor.cuts
        self._cut_seconds = 0.0
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

    @property
    def pausing(self) -> int:
        """How many requests hold no lane until their next attempt; never more than the limit."""
        return min(self._pausing, self._governor.limit)

    def start(self) -> None:
        """Begin to measure."""
        if self._timer is None:
            self._occupancy = Occupancy()
            self._begin_window(asyncio.get_running_loop())

    def stop(self) -> None:
        """Stop measuring."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._may_end = False
        if self._occupancy is not None:
            self._occupancy.close()
            self._occupancy = None

    def lane(self) -> Lane:
        """Hold a lane for the block, for `async with`; waits for one in turn."""
        return Lane(self)

    async def acquire(self) -> None:
        """Take a lane; waits for one in turn."""
        if self._in_use < self._governor.limit and not self._waiters:
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

    def take_now(self) -> bool:
        """Take a lane if one is free and nobody waits for it; whether it was taken."""
        if self._in_use < self._governor.limit and not self._waiters:
            self._take()
            return True
        return False

    def take_later(self, then: Callable[[], None]) -> None:
        """Wait for a lane in turn, without a task: `then` is called with the lane taken, and must not raise."""
        self._waiters.append(_Call(then))

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
        if self._may_end and self._requests >= self._governor.limit:
            self._end_window()

    def expect_parts(self, answer_seconds: float) -> None:
        """Parts of a large object follow; a request without a body has just taken so long."""
        self._governor.expect(answer_seconds)
        self.adopt_limit()

    def count_slowdown(self, began_seconds: float) -> None:
        """Count an answer that asked to slow down, to a request that began then, by the clock of the loop.

        One that began before the last cut objects to a number that is no longer asked for.
        """
        if began_seconds < self._cut_seconds:
            return
        self._slowdowns += 1
        if self._timer is not None and not self._is_objected:
            # The rest of the same objection comes in the next window, which does not end for it.
            self._is_objected = True
            self._end_window()

    def begin_pause(self) -> None:
        """A request waits for its next attempt, without a lane."""
        self._pausing += 1

    def end_pause(self) -> None:
        """It asks for a lane again, or gives up."""
        self._pausing -= 1

    def count_timeout(self, began_seconds: float) -> None:
        """Count a request that began then and stalled; it objects as one that was asked to slow down does."""
        if began_seconds >= self._cut_seconds:
            self._timeouts += 1

    def _take(self) -> None:
        self._in_use += 1
        if self._peak_in_use == 0 and self._timer is not None:
            # The time before there was anything to do says nothing.
            self._timer.cancel()
            self._begin_window(asyncio.get_running_loop())
        self._peak_in_use = max(self._peak_in_use, self._in_use)

    def adopt_limit(self) -> None:
        """Do what the governor has come to say: tell it, and let in those who wait when there are more lanes now."""
        if self._known_cuts != self._governor.cuts:
            self._known_cuts = self._governor.cuts
            self._cut_seconds = asyncio.get_running_loop().time()
        if self._known_limit != self._governor.limit:
            self._known_limit = self._governor.limit
            self._on_event(ConcurrencyChanged(self._known_limit))
            self._admit()

    def _admit(self) -> None:
        if self._is_admitting:
            # Who was called has given its lane back at once: the loop goes on below, not deeper for each of thousands.
            return
        self._is_admitting = True
        try:
            while self._waiters and self._in_use < self._governor.limit:
                waiter = self._waiters.popleft()
                if not waiter.done():
                    self._take()
                    waiter.set_result(None)
        finally:
            self._is_admitting = False

    def _begin_window(self, loop: asyncio.AbstractEventLoop) -> None:
        self._window_started_seconds = loop.time()
        self._occupied_seconds = self._occupied()
        self._peak_in_use = self._in_use
        self._work_bytes = self._requests = self._slowdowns = self._timeouts = 0
        self._may_end = False
        first_look_seconds = self._shortest_seconds if self._in_use else LONGEST_WINDOW_SECONDS
        self._timer = loop.call_later(first_look_seconds, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the window if its round is complete or nothing was done in it, else as soon as the round is complete."""
        rest_seconds = LONGEST_WINDOW_SECONDS - self._shortest_seconds
        if self._requests >= self.limit or rest_seconds <= 0 or not self._peak_in_use:
            self._end_window()
        else:
            self._may_end = True
            self._timer = loop.call_later(rest_seconds, self._end_window)

    def _end_window(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        seconds = loop.time() - self._window_started_seconds
        window = Window(
            seconds=seconds,
            work_bytes=max(self._work_bytes, 0),
            requests=self._requests,
            in_use=self._peak_in_use,
            slowdowns=self._slowdowns,
            timeouts=self._timeouts,
            busy=(self._occupied() - self._occupied_seconds) / seconds if seconds > 0 else 0.0,
        )
        self._governor.observe(window)
        if self._slowdowns == 0:
            self._is_objected = False
        if window.in_use:
            self._busy_seconds += window.seconds
        share_seconds = WINDOW_SHARE * self._busy_seconds
        self._shortest_seconds = min(max(SHORTEST_WINDOW_SECONDS, share_seconds), LONGEST_WINDOW_SECONDS)
        self._begin_window(loop)
        self.adopt_limit()

    def _occupied(self) -> float:
        return 0.0 if self._occupancy is None else self._occupancy.seconds()
