import asyncio

import pytest

from transfer.engine import lanes as lanes_module
from transfer.engine.lanes import Lanes
from transfer.model.events import ConcurrencyChanged, Event
from transfer.plan.governor import Governor, Window


class ScriptedGovernor(Governor):
    """Answers with the limits given, one a window, and keeps the windows."""

    def __init__(self, initial: int, *limits: int) -> None:
        super().__init__(initial)
        self._script = list(limits)
        self._now = initial
        self.windows: list[Window] = []
        self.observed = asyncio.Event()

    @property
    def limit(self) -> int:
        return self._now

    def observe(self, window: Window) -> int:
        self.windows.append(window)
        if self._script:
            self._now = self._script.pop(0)
        self.observed.set()
        return self._now


class Holder:
    """A task that takes a lane and keeps it until told to let go."""

    def __init__(self, lanes: Lanes, order: list[int], number: int) -> None:
        self._lanes = lanes
        self._order = order
        self._number = number
        self.let_go = asyncio.Event()
        self.task = asyncio.create_task(self._hold())

    async def _hold(self) -> None:
        async with self._lanes.lane():
            self._order.append(self._number)
            await self.let_go.wait()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def order() -> list[int]:
    return []


async def test_lanes_are_bounded_and_given_in_the_order_of_asking(order: list[int]) -> None:
    lanes = Lanes(Governor.fixed(2), lambda _: None)
    holders = [Holder(lanes, order, number) for number in range(5)]
    await settle()
    assert order == [0, 1]
    assert lanes.in_use == 2
    holders[1].let_go.set()
    await settle()
    assert order == [0, 1, 2]
    for holder in holders:
        holder.let_go.set()
    await asyncio.gather(*(holder.task for holder in holders))
    assert order == [0, 1, 2, 3, 4]
    assert lanes.in_use == 0


async def test_who_comes_later_does_not_overtake_who_waits(order: list[int]) -> None:
    lanes = Lanes(Governor.fixed(1), lambda _: None)
    first, second = Holder(lanes, order, 0), Holder(lanes, order, 1)
    await settle()
    first.let_go.set()
    third = Holder(lanes, order, 2)
    second.let_go.set()
    third.let_go.set()
    await asyncio.gather(first.task, second.task, third.task)
    assert order == [0, 1, 2]


async def test_a_cancelled_waiter_takes_no_lane(order: list[int]) -> None:
    lanes = Lanes(Governor.fixed(1), lambda _: None)
    first, second, third = (Holder(lanes, order, number) for number in range(3))
    await settle()
    second.task.cancel()
    await settle()
    first.let_go.set()
    await settle()
    assert order == [0, 2]
    third.let_go.set()
    await third.task
    assert lanes.in_use == 0


async def test_a_lane_given_to_one_cancelled_in_the_same_turn_goes_on(order: list[int]) -> None:
    lanes = Lanes(Governor.fixed(1), lambda _: None)
    async with lanes.lane():
        first, second = Holder(lanes, order, 0), Holder(lanes, order, 1)
        await settle()
    # The lane is the first one's by now, but its task has not run yet.
    first.task.cancel()
    await settle()
    assert order == [1]
    second.let_go.set()
    await second.task
    assert lanes.in_use == 0


async def test_a_failure_gives_the_lane_back() -> None:
    lanes = Lanes(Governor.fixed(1), lambda _: None)
    for _ in range(3):
        with pytest.raises(ValueError, match="inside"):
            async with lanes.lane():
                raise ValueError("inside")
    assert lanes.in_use == 0


async def test_a_wider_limit_admits_those_who_wait_and_is_told(
    order: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes_module, "WINDOW_SECONDS", 0.01)
    events: list[Event] = []
    governor = ScriptedGovernor(1, 3)
    lanes = Lanes(governor, events.append)
    holders = [Holder(lanes, order, number) for number in range(4)]
    lanes.start()
    lanes.start()
    await governor.observed.wait()
    await settle()
    lanes.stop()
    lanes.stop()
    assert order == [0, 1, 2]
    assert events == [ConcurrencyChanged(3)]
    for holder in holders:
        holder.let_go.set()
    await asyncio.gather(*(holder.task for holder in holders))


async def test_a_narrower_limit_takes_no_lane_away_but_gives_none_out(
    order: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes_module, "WINDOW_SECONDS", 0.01)
    governor = ScriptedGovernor(3, 1)
    lanes = Lanes(governor, lambda _: None)
    holders = [Holder(lanes, order, number) for number in range(5)]
    lanes.start()
    await governor.observed.wait()
    lanes.stop()
    holders[0].let_go.set()
    holders[1].let_go.set()
    await settle()
    assert order == [0, 1, 2]
    holders[2].let_go.set()
    await settle()
    assert order == [0, 1, 2, 3]
    for holder in holders:
        holder.let_go.set()
    await asyncio.gather(*(holder.task for holder in holders))


async def test_each_window_tells_what_happened_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "WINDOW_SECONDS", 0.01)
    governor = ScriptedGovernor(4)
    lanes = Lanes(governor, lambda _: None)
    lanes.start()
    async with lanes.lane(), lanes.lane():
        lanes.count_bytes(500)
        lanes.count_bytes(-100)
        lanes.count_request()
        lanes.count_slowdown()
        lanes.count_timeout()
    await governor.observed.wait()
    governor.observed.clear()
    await governor.observed.wait()
    lanes.stop()
    first, second = governor.windows[:2]
    assert (first.work_bytes, first.requests, first.in_use, first.slowdowns, first.timeouts) == (400, 1, 2, 1, 1)
    assert (second.work_bytes, second.requests, second.in_use, second.slowdowns, second.timeouts) == (0, 0, 0, 0, 0)
    assert first.seconds > 0


async def test_bytes_taken_back_later_do_not_make_a_window_negative(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "WINDOW_SECONDS", 0.01)
    governor = ScriptedGovernor(1)
    lanes = Lanes(governor, lambda _: None)
    lanes.start()
    lanes.count_bytes(-100)
    await governor.observed.wait()
    lanes.stop()
    assert governor.windows[0].work_bytes == 0
