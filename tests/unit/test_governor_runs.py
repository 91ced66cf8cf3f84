"""Whole runs of the lanes and their governor against imitated stores, in virtual time: compared with numbers of
requests that a user could have set by hand."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.support.virtual_time import run_in_virtual_time
from transfer.engine.lanes import Lanes
from transfer.model.events import ConcurrencyChanged, Event
from transfer.plan.governor import DEFAULT_INITIAL, Governor
from transfer.plan.retry import backoff_seconds

KIB = 1024
MIB = 1024**2
MB = 1_000_000
PART = 8 * MIB
STEP_BYTES = MIB
MORE_WORKERS_THAN_LANES = 2


@dataclass
class Store:
    """A store, and the one processor that it and the client share.

    Attributes:
        request_seconds: Processor time of one request.
        processor_bytes_per_second: How fast that processor moves bodies.
        slow_above: More requests than this at a time are asked to slow down.
    """

    first_byte_seconds: float
    lane_bytes_per_second: float = float("inf")
    request_seconds: float = 0.0
    processor_bytes_per_second: float = float("inf")
    slow_above: int | None = None
    in_flight: int = 0
    most_in_flight: int = 0
    slowed: int = 0
    _random: random.Random = field(default_factory=lambda: random.Random(1))
    _processor_free_seconds: float = 0.0

    async def answer(self, size: int, count_bytes: Callable[[int], None]) -> bool:
        """Move one body; False asks to slow down."""
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        is_too_many = self.slow_above is not None and self.in_flight > self.slow_above
        try:
            await asyncio.sleep(self._about(self.first_byte_seconds))
            if is_too_many:
                self.slowed += 1
                return False
            await self._work(self.request_seconds)
            for offset in range(0, size, STEP_BYTES):
                await self._move(min(STEP_BYTES, size - offset), count_bytes)
            return True
        finally:
            self.in_flight -= 1

    async def _move(self, count: int, count_bytes: Callable[[int], None]) -> None:
        loop = asyncio.get_running_loop()
        due_seconds = loop.time() + count / self.lane_bytes_per_second
        await self._work(count / self.processor_bytes_per_second)
        await asyncio.sleep(max(0.0, due_seconds - loop.time()))
        count_bytes(count)

    async def _work(self, seconds: float) -> None:
        """Take a turn at the processor."""
        now = asyncio.get_running_loop().time()
        self._processor_free_seconds = max(self._processor_free_seconds, now) + self._about(seconds)
        await asyncio.sleep(self._processor_free_seconds - now)

    def _about(self, seconds: float) -> float:
        return seconds * self._random.uniform(0.9, 1.1)


@dataclass
class Run:
    """What became of one run."""

    seconds: float
    limits: list[tuple[float, int]]


class _Client:
    """Moves a number of bodies, with as many workers as a run has."""

    def __init__(self, store: Store, governor: Governor, size: int, count: int) -> None:
        self._store = store
        self._size = size
        self._left = count
        self._random = random.Random(2)
        self._limits: list[tuple[float, int]] = []
        self._lanes = Lanes(governor, self._note)
        self._workers: list[asyncio.Task[None]] = []

    async def run(self) -> Run:
        self._lanes.start()
        if self._size == PART:
            await asyncio.sleep(self._store.first_byte_seconds)
            self._lanes.expect_parts(self._store.first_byte_seconds)
        self._grow()
        for worker in self._workers:
            await worker
        self._lanes.stop()
        return Run(asyncio.get_running_loop().time(), self._limits)

    def _grow(self) -> None:
        if self._left and len(self._workers) < self._lanes.limit + self._lanes.pausing + MORE_WORKERS_THAN_LANES:
            self._workers.append(asyncio.create_task(self._serve()))

    async def _serve(self) -> None:
        while self._left:
            self._left -= 1
            self._grow()
            attempt = 0
            while not await self._once():
                attempt += 1
                self._lanes.begin_pause()
                await asyncio.sleep(backoff_seconds(attempt, self._random.random(), retry_after_seconds=None))
                self._lanes.end_pause()

    async def _once(self) -> bool:
        lane = self._lanes.lane()
        async with lane:
            done = await self._store.answer(self._size, self._lanes.count_bytes)
        if done:
            self._lanes.count_request()
        else:
            self._lanes.count_slowdown(lane.began_seconds)
        return done

    def _note(self, event: Event) -> None:
        assert isinstance(event, ConcurrencyChanged)
        self._limits.append((asyncio.get_running_loop().time(), event.limit))


def run(store: Store, governor: Governor, size: int, count: int) -> Run:
    return run_in_virtual_time(_Client(store, governor, size, count).run())


def latency_bound() -> Store:
    return Store(first_byte_seconds=0.03, request_seconds=150e-6)


def pace_bound() -> Store:
    return Store(first_byte_seconds=0.03, lane_bytes_per_second=90 * MB, processor_bytes_per_second=1500 * MB)


def slow_line_each() -> Store:
    """A part takes more than a second: no round ends within a window."""
    return Store(first_byte_seconds=0.1, lane_bytes_per_second=5 * MB)


def processor_bound() -> Store:
    return Store(first_byte_seconds=0.002, request_seconds=150e-6, processor_bytes_per_second=1500 * MB)


def slow_above_32() -> Store:
    return Store(0.03, 90 * MB, request_seconds=150e-6, processor_bytes_per_second=1500 * MB, slow_above=32)


@pytest.mark.parametrize(
    ("make", "size", "count", "by_hand", "share"),
    [
        (latency_bound, 4 * KIB, 4000, (128, 256), 1.15),
        (latency_bound, 256 * KIB, 4000, (128, 256), 1.15),
        (pace_bound, PART, 128, (32, 64, 256), 1.05),
        (pace_bound, PART, 640, (16, 64), 1.05),
        (processor_bound, 4 * KIB, 3000, (16, 32), 1.05),
        (processor_bound, PART, 128, (4, 16), 1.05),
        (slow_line_each, PART, 512, (256,), 2.0),
        (slow_above_32, PART, 128, (32,), 1.2),
        (slow_above_32, PART, 640, (32,), 1.1),
        (slow_above_32, 4 * KIB, 2000, (32,), 1.15),
    ],
)
def test_the_defaults_take_about_as_long_as_the_best_number_set_by_hand(
    make: Callable[[], Store], size: int, count: int, by_hand: tuple[int, ...], share: float
) -> None:
    best = min(run(make(), Governor.fixed(limit), size, count).seconds for limit in by_hand)
    assert run(make(), Governor(DEFAULT_INITIAL), size, count).seconds <= share * best


def test_many_small_requests_far_away_get_all_lanes_within_a_few_rounds() -> None:
    found = run(latency_bound(), Governor(DEFAULT_INITIAL), 4 * KIB, 3000)
    reached_seconds = next(seconds for seconds, limit in found.limits if limit == 256)
    assert reached_seconds < 5 * 0.04


@pytest.mark.parametrize(("size", "count", "limits"), [(4 * KIB, 3000, [64, 32]), (PART, 640, [16, 32, 16])])
def test_a_store_near_by_is_tried_with_one_doubling_that_is_taken_back(
    size: int, count: int, limits: list[int]
) -> None:
    store = processor_bound()
    found = run(store, Governor(DEFAULT_INITIAL), size, count)
    assert store.most_in_flight <= max(limits)
    assert [limit for _, limit in found.limits[: len(limits)]] == limits


@pytest.mark.parametrize(("size", "count", "tried"), [(4 * KIB, 2000, 64), (PART, 640, 48)])
def test_a_store_with_a_ceiling_objects_once_in_a_while(size: int, count: int, tried: int) -> None:
    store = slow_above_32()
    found = run(store, Governor(DEFAULT_INITIAL), size, count)
    assert [limit for _, limit in found.limits[:2]] == [tried, 32]
    assert found.limits[1][0] - found.limits[0][0] < 0.05
    assert store.slowed < 150


def test_a_ceiling_below_the_start_is_found() -> None:
    def make() -> Store:
        return Store(0.03, request_seconds=150e-6, slow_above=10)

    store = make()
    taken = run(store, Governor(DEFAULT_INITIAL), 4 * KIB, 2000).seconds
    by_hand = run(make(), Governor.fixed(10), 4 * KIB, 2000).seconds
    assert taken <= 1.35 * by_hand
    assert store.slowed < 200
