"""Late ranges at the end of an object, with a source that is told when each range comes."""

from collections.abc import Callable
from dataclasses import replace

import anyio
import pytest

from transfer.engine import hedging
from transfer.engine.hedging import HedgeBudget, RangeSource, fetch_ranges, late_after_seconds
from transfer.model.errors import WireError
from transfer.model.ranges import ByteRange
from transfer.plan.parts import split_ranges

RANGES = tuple(split_ranges(60, 10))


@pytest.fixture(autouse=True)
def _no_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hedging, "LATE_FLOOR_SECONDS", 0.0)


class Store:
    """Ranges come at once, but for those that hang until they are released."""

    def __init__(self, *hanging: int) -> None:
        self.hanging = {number: anyio.Event() for number in hanging}
        self.aside_hangs = anyio.Event()
        self.aside_hangs.set()
        self.aside_error: Exception | None = None
        self.placed: dict[int, str] = {}
        self.stopped: list[int] = []
        self.asked_aside: list[int] = []
        self.dropped: list[int] = []
        self.recorded: list[int] = []
        self.on_aside: Callable[[int], None] = lambda number: None

    async def fetch(self, wanted: ByteRange) -> None:
        try:
            if wanted.number in self.hanging:
                await self.hanging[wanted.number].wait()
            else:
                await anyio.sleep(0.001)
        except BaseException:
            self.stopped.append(wanted.number)
            raise
        self.placed[wanted.number] = "fetched"

    async def aside(self, wanted: ByteRange) -> str:
        self.asked_aside.append(wanted.number)
        self.on_aside(wanted.number)
        await self.aside_hangs.wait()
        if self.aside_error is not None:
            raise self.aside_error
        return f"content {wanted.number}"

    async def adopt(self, wanted: ByteRange, content: str) -> None:
        assert content == f"content {wanted.number}"
        assert wanted.number in self.stopped
        self.placed[wanted.number] = "adopted"

    async def record(self, wanted: ByteRange) -> None:
        assert wanted.number in self.placed
        self.recorded.append(wanted.number)

    def source(self) -> RangeSource[str]:
        return RangeSource(
            self.fetch, self.aside, self.adopt, lambda wanted: self.dropped.append(wanted.number), self.record
        )

    async def run(self, *, hedges: int = 2, workers: int = 4) -> None:
        budget = HedgeBudget(hedges)
        await fetch_ranges(RANGES, self.source(), lambda count: count < workers, hedges=budget)
        assert sorted(self.recorded) == [wanted.number for wanted in RANGES]
        assert hedges == 0 or budget.take()


async def test_ranges_that_come_in_time_are_fetched_once() -> None:
    store = Store()
    await store.run()
    assert store.placed == dict.fromkeys(range(1, 7), "fetched")
    assert store.asked_aside == []


@pytest.mark.parametrize("hanging", [(6,), (1,), (2, 5)])
async def test_ranges_that_hang_are_fetched_aside_and_their_first_requests_stopped(hanging: tuple[int, ...]) -> None:
    store = Store(*hanging)
    await store.run()
    assert store.placed == {number: "adopted" if number in hanging else "fetched" for number in range(1, 7)}
    assert sorted(store.stopped) == list(hanging)
    assert sorted(store.asked_aside) == list(hanging)


async def test_more_late_ranges_than_hedges_are_taken_in_turn() -> None:
    store = Store(2, 3, 4, 5)
    await store.run(workers=8)
    assert store.placed == {1: "fetched", 2: "adopted", 3: "adopted", 4: "adopted", 5: "adopted", 6: "fetched"}


async def test_a_first_request_that_comes_after_all_wins() -> None:
    store = Store(6)
    store.aside_hangs = anyio.Event()
    store.on_aside = lambda number: store.hanging[number].set()
    await store.run()
    assert store.placed[6] == "fetched"
    assert store.stopped == []


async def test_what_comes_twice_in_the_same_moment_is_placed_once() -> None:
    store = Store(6)

    async def fetch_to_the_end(wanted: ByteRange) -> None:
        if wanted.number == 6:
            with anyio.CancelScope(shield=True):
                await store.hanging[6].wait()
        store.placed[wanted.number] = "fetched"

    async def aside_then_release(wanted: ByteRange) -> str:
        store.asked_aside.append(wanted.number)
        return f"content {wanted.number}"

    source = replace(store.source(), fetch=fetch_to_the_end, fetch_aside=aside_then_release)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: fetch_ranges(RANGES, source, lambda count: count < 4, hedges=HedgeBudget()))
        while not store.asked_aside:
            await anyio.sleep(0)
        await anyio.wait_all_tasks_blocked()
        store.hanging[6].set()
    assert store.placed[6] == "fetched"
    assert store.dropped == [6]


async def test_a_hedge_that_fails_leaves_the_first_request_alone() -> None:
    store = Store(6)
    store.aside_error = WireError("the connection broke")
    store.on_aside = lambda number: store.hanging[number].set()
    await store.run()
    assert store.placed[6] == "fetched"


async def test_nothing_is_asked_twice_when_that_is_not_wanted() -> None:
    store = Store(6)
    with anyio.move_on_after(0.05) as scope:
        await store.run(hedges=0)
    assert scope.cancelled_caught
    assert store.asked_aside == []


async def test_an_error_of_a_first_request_ends_everything() -> None:
    store = Store(6)

    async def fail(wanted: ByteRange) -> None:
        if wanted.number == 3:
            raise WireError("broken for good")
        await store.fetch(wanted)

    source = replace(store.source(), fetch=fail)
    with pytest.raises(WireError, match="broken for good"):
        await fetch_ranges(RANGES, source, lambda count: count < 4, hedges=HedgeBudget())


async def test_a_first_request_that_fails_for_good_is_made_up_for_by_the_second() -> None:
    store = Store(6)
    store.aside_hangs = anyio.Event()

    async def fail_once_asked_twice(wanted: ByteRange) -> None:
        if wanted.number != 6:
            await store.fetch(wanted)
            return
        while not store.asked_aside:
            await anyio.sleep(0)
        store.stopped.append(6)
        store.aside_hangs.set()
        raise WireError("broken for good")

    source = replace(store.source(), fetch=fail_once_asked_twice)
    await fetch_ranges(RANGES, source, lambda count: count < 4, hedges=HedgeBudget())
    assert store.placed[6] == "adopted"
    assert 6 in store.recorded


def test_late_is_told_by_what_the_others_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert late_after_seconds([]) == float("inf")
    assert late_after_seconds([0.1, 0.2, 9.0]) == hedging.LATE_FLOOR_SECONDS
    assert late_after_seconds([2.0, 3.0, 4.0]) == hedging.LATE_FACTOR * 3.0
