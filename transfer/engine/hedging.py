"""The slowest ranges at the end of an object: asked for once more, and whoever is first wins.

Most of an object's ranges come in about the same time; one that hangs on a bad connection or a busy server holds all of
it up. When nothing else is left to begin, a range that takes several times as long as the others is fetched aside, into
memory. Only one of the two ever writes: the late one is stopped, and has stopped, before the other's bytes are used.

AWS advises the same: "Timeouts and retries for latency-sensitive applications", S3 performance guidelines.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import field
from statistics import median
from typing import Final, Generic, TypeVar

import anyio

from transfer.engine.spread import spread
from transfer.model.errors import TransferError
from transfer.model.ranges import ByteRange
from transfer.model.values import dataclass

T = TypeVar("T")

LATE_FACTOR: Final = 3.0
"""A range is late when it takes so many times the median of those that came; twice is common on a shared line."""
LATE_FLOOR_SECONDS: Final = 1.0
"""Nothing is late before: to ask again costs a round trip and the range's bytes."""
HEDGES: Final = 2
"""Ranges asked for twice at a time in a run: each is held in memory, and in a jam more requests make it worse."""
HEDGED_RANGE_BYTES: Final = 16 * 1024 * 1024
"""Larger ranges are not hedged: two of them would be a third of the memory a process may take."""


@dataclass(frozen=True, slots=True)
class RangeSource(Generic[T]):
    """How ranges are fetched.

    Attributes:
        fetch: Brings a range to its place. Cancelling it stops all writing before it returns.
        fetch_aside: Brings a range to memory.
        adopt: Puts what `fetch_aside` brought to its place.
        drop: Told that what `fetch_aside` brought is not needed.
        record: Told once of each range that is in its place; the time it takes makes no range late.
    """

    fetch: Callable[[ByteRange], Awaitable[None]]
    fetch_aside: Callable[[ByteRange], Awaitable[T]]
    adopt: Callable[[ByteRange, T], Awaitable[None]]
    drop: Callable[[ByteRange], None]
    record: Callable[[ByteRange], Awaitable[None]]


class HedgeBudget:
    """How many ranges may be asked for twice at a time."""

    def __init__(self, hedges: int = HEDGES) -> None:
        self.total: Final = hedges
        self._taken = 0

    def take(self) -> bool:
        """Take one, if there is one left."""
        if self._taken >= self.total:
            return False
        self._taken += 1
        return True

    def give_back(self) -> None:
        """The second request has ended."""
        self._taken -= 1


@dataclass(slots=True)
class _Running:
    wanted: ByteRange
    began_seconds: float
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    ended: anyio.Event = field(default_factory=anyio.Event)
    hedge: anyio.CancelScope | None = None
    hedge_ended: anyio.Event = field(default_factory=anyio.Event)


async def fetch_ranges(
    ranges: Iterable[ByteRange], source: RangeSource[T], may_grow: Callable[[int], bool], *, hedges: HedgeBudget
) -> None:
    """Fetch ranges, several at a time, and the late ones at the end twice.

    Args:
        ranges: In the order in which they are begun.
        source: How.
        may_grow: As for `spread`.
        hedges: How many ranges may be asked for twice at a time, here and elsewhere.

    Raises:
        Exception: The first one of `source.fetch`, unless a second request makes up for it, `source.adopt` or
            `source.record`; the others are cancelled then.
    """
    course = _Course(ranges, source, hedges)
    await spread(course.work_list(), course.do, may_grow)


def is_late(elapsed_seconds: float, came_in_seconds: Iterable[float]) -> bool:
    """Whether a range takes suspiciously long, by how long others took; never without others."""
    return elapsed_seconds >= late_after_seconds(came_in_seconds)


def late_after_seconds(came_in_seconds: Iterable[float]) -> float:
    """How long a range may take before it is late; infinity when none has come yet."""
    known = list(came_in_seconds)
    return max(LATE_FLOOR_SECONDS, LATE_FACTOR * median(known)) if known else float("inf")


class _Course(Generic[T]):
    """The way of all ranges of one object."""

    def __init__(self, ranges: Iterable[ByteRange], source: RangeSource[T], hedges: HedgeBudget) -> None:
        self._ranges = ranges
        self._source = source
        self._hedges = hedges
        self._running: dict[int, _Running] = {}
        self._done: set[int] = set()
        self._came_in_seconds: list[float] = []
        self._changed = anyio.Event()

    async def work_list(self) -> AsyncIterator[ByteRange | _Running]:
        """Every range once, then the late ones, as they become late, until all have come."""
        for wanted in self._ranges:
            yield wanted
        while self._hedges.total and self._running:
            late = self._latest()
            if late is not None and self._hedges.take():
                late.hedge = anyio.CancelScope()
                yield late
                continue
            changed = self._changed
            with anyio.move_on_after(self._pause_seconds()):
                await changed.wait()

    async def do(self, what: ByteRange | _Running) -> None:
        """One thing of the list."""
        if isinstance(what, _Running):
            try:
                await self._hedge(what)
            finally:
                what.hedge_ended.set()
                self._hedges.give_back()
                self._tell()
        else:
            await self._fetch(what)

    async def _fetch(self, wanted: ByteRange) -> None:
        running = self._running[wanted.number] = _Running(wanted, anyio.current_time())
        try:
            with running.scope:
                await self._source.fetch(wanted)
                self._done.add(wanted.number)
                self._came_in_seconds.append(anyio.current_time() - running.began_seconds)
        except TransferError:
            running.ended.set()
            if not await self._is_made_up_for(running):
                raise
            return
        finally:
            del self._running[wanted.number]
            running.ended.set()
            if running.hedge is not None and wanted.number in self._done:
                running.hedge.cancel()
            self._tell()
        if wanted.number in self._done:
            await self._source.record(wanted)

    async def _is_made_up_for(self, failed: _Running) -> bool:
        """Whether a second request, which is on its way, brings what the first one has failed to bring."""
        if failed.hedge is None:
            return False
        await failed.hedge_ended.wait()
        return failed.wanted.number in self._done

    async def _hedge(self, late: _Running) -> None:
        wanted = late.wanted
        if late.hedge is None or wanted.number in self._done:
            return
        brought: list[T] = []
        with late.hedge:
            try:
                brought.append(await self._source.fetch_aside(wanted))
            except TransferError:
                # The first request is still on its way, with its own attempts.
                return
        if not brought:
            return
        late.scope.cancel()
        await late.ended.wait()
        if wanted.number in self._done:
            self._source.drop(wanted)
            return
        await self._source.adopt(wanted, brought[0])
        self._done.add(wanted.number)
        await self._source.record(wanted)

    def _latest(self) -> _Running | None:
        """The range that has been on its way the longest, if it is late and nobody has asked for it again."""
        open_ones = [running for running in self._running.values() if running.hedge is None]
        oldest = min(open_ones, key=lambda running: running.began_seconds, default=None)
        if oldest is None or not is_late(anyio.current_time() - oldest.began_seconds, self._came_in_seconds):
            return None
        return oldest

    def _pause_seconds(self) -> float:
        """Until the next range becomes late, if nothing changes before; a while when all hedges are taken elsewhere."""
        began = [running.began_seconds for running in self._running.values() if running.hedge is None]
        if not began:
            return float("inf")
        late_seconds = min(began) + late_after_seconds(self._came_in_seconds) - anyio.current_time()
        return late_seconds if late_seconds > 0 else LATE_FLOOR_SECONDS

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
