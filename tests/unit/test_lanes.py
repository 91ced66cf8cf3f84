import asyncio

import pytest

from tests.support.virtual_time import run_in_virtual_time
from transfer.engine import lanes as lanes_module
from transfer.engine.lanes import Lanes
from transfer.model.events import ConcurrencyChanged, Event
from transfer.plan.governor import DEFAULT_INITIAL, FAR_SECONDS, Governor, Window


class ScriptedGovernor(Governor):
    """Answers with the limits given, one a window, and keeps the windows."""

    def __init__(self, initial: int, *limits: int) -> None:
        super().__init__(initial)
        self._script = list(limits)
        self.windows: list[Window] = []
        self.cuts_next = 0
        self.observed = asyncio.Event()

    def script(self, *limits: int) -> None:
        """Answer with these next."""
        self._script.extend(limits)

    def observe(self, window: Window) -> int:
        self.windows.append(window)
        self.cuts += self.cuts_next
        self.cuts_next = 0
        if self._script:
            self.limit = self._script.pop(0)
        self.observed.set()
        return self.limit


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


@pytest.fixture
def short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every window ends after a moment, whatever happened in it."""
    monkeypatch.setattr(lanes_module, "SHORTEST_WINDOW_SECONDS", 0.01)
    monkeypatch.setattr(lanes_module, "LONGEST_WINDOW_SECONDS", 0.01)


async def test_who_takes_a_lane_without_a_task_has_the_same_turn_as_others(order: list[int]) -> None:
    lanes = Lanes(Governor.fixed(2), lambda _: None)
    assert lanes.take_now()
    first = Holder(lanes, order, 1)
    await settle()
    assert not lanes.take_now()
    second = Holder(lanes, order, 2)
    await settle()
    lanes.take_later(lambda: order.append(3))
    third = Holder(lanes, order, 4)
    await settle()
    assert (order, lanes.in_use, lanes.waiting) == ([1], 2, 3)
    lanes.release()
    # Free is not enough: somebody was there before.
    assert not lanes.take_now()
    first.let_go.set()
    await settle()
    assert (order, lanes.in_use, lanes.waiting) == ([1, 2, 3], 2, 1)
    second.let_go.set()
    third.let_go.set()
    await asyncio.gather(first.task, second.task, third.task)
    assert (order, lanes.in_use, lanes.waiting) == ([1, 2, 3, 4], 1, 0)
    assert lanes.take_now()


async def test_a_lane_that_is_given_back_at_once_goes_to_the_next() -> None:
    lanes = Lanes(Governor.fixed(1), lambda _: None)
    assert lanes.take_now()
    # As many as several runs that share the lanes leave behind when they are stopped together.
    for _ in range(2000):
        lanes.take_later(lanes.release)
    lanes.release()
    assert (lanes.in_use, lanes.waiting) == (0, 0)


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


@pytest.mark.usefixtures("short_windows")
async def test_a_wider_limit_admits_those_who_wait_and_is_told(order: list[int]) -> None:
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


@pytest.mark.usefixtures("short_windows")
async def test_a_narrower_limit_takes_no_lane_away_but_gives_none_out(order: list[int]) -> None:
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


@pytest.mark.usefixtures("short_windows")
async def test_each_window_tells_what_happened_in_it() -> None:
    governor = ScriptedGovernor(4)
    lanes = Lanes(governor, lambda _: None)
    lanes.start()
    async with lanes.lane(), lanes.lane():
        lanes.count_bytes(500)
        lanes.count_bytes(-100)
        lanes.count_request()
        lanes.count_timeout(asyncio.get_running_loop().time())
        lanes.count_slowdown(asyncio.get_running_loop().time())
    await governor.observed.wait()
    governor.observed.clear()
    await governor.observed.wait()
    lanes.stop()
    first, second = governor.windows[:2]
    assert (first.work_bytes, first.requests, first.in_use, first.slowdowns, first.timeouts) == (400, 1, 2, 1, 1)
    assert (second.work_bytes, second.requests, second.in_use, second.slowdowns, second.timeouts) == (0, 0, 2, 0, 0)
    assert first.seconds > 0


@pytest.mark.usefixtures("short_windows")
async def test_bytes_taken_back_later_do_not_make_a_window_negative() -> None:
    governor = ScriptedGovernor(1)
    lanes = Lanes(governor, lambda _: None)
    lanes.start()
    lanes.count_bytes(-100)
    await governor.observed.wait()
    lanes.stop()
    assert governor.windows[0].work_bytes == 0


class Rounds:
    """Lanes whose governor keeps the windows, in virtual time."""

    def __init__(self, limit: int) -> None:
        self.governor = ScriptedGovernor(limit)
        self.lanes = Lanes(self.governor, lambda _: None)
        self.lanes.start()

    async def make(self, requests: int, each_seconds: float) -> None:
        """Make requests, one after the other."""
        for _ in range(requests):
            async with self.lanes.lane():
                await asyncio.sleep(each_seconds)
            self.lanes.count_request()

    def windows(self) -> list[tuple[float, int]]:
        """Of each window in which a lane was busy, its length and the requests that ended."""
        return [(round(seen.seconds, 3), seen.requests) for seen in self.governor.windows if seen.in_use]


def test_a_window_ends_when_as_many_requests_have_ended_as_there_are_lanes() -> None:
    async def main() -> list[tuple[float, int]]:
        rounds = Rounds(3)
        await asyncio.sleep(1.01)
        await asyncio.gather(*(rounds.make(1, 0.1 + number / 100) for number in range(3)))
        return rounds.windows()

    assert run_in_virtual_time(main()) == [(0.12, 3)]


def test_the_first_windows_are_short_and_later_ones_longer() -> None:
    async def main() -> list[tuple[float, int]]:
        rounds = Rounds(1)
        await rounds.make(3000, 0.001)
        return rounds.windows()

    lengths = [seconds for seconds, _ in run_in_virtual_time(main())]
    assert 0.03 < lengths[0] < 0.05
    assert lengths == sorted(lengths)
    assert lengths[-1] == pytest.approx(lanes_module.LONGEST_WINDOW_SECONDS, rel=0.01)


def test_a_window_does_not_wait_for_slow_requests() -> None:
    async def main() -> list[tuple[float, int]]:
        rounds = Rounds(1)
        await rounds.make(1, 1.1)
        return rounds.windows()

    assert run_in_virtual_time(main()) == [(lanes_module.LONGEST_WINDOW_SECONDS, 0)] * 4


def test_the_first_objection_ends_the_window_at_once_and_the_rest_of_it_does_not() -> None:
    async def main() -> list[Window]:
        rounds = Rounds(8)
        lane = rounds.lanes.lane()
        async with lane:
            await asyncio.sleep(0.01)
            rounds.lanes.count_slowdown(lane.began_seconds)
            for _ in range(5):
                await asyncio.sleep(0.001)
                rounds.lanes.count_slowdown(lane.began_seconds)
            await asyncio.sleep(lanes_module.LONGEST_WINDOW_SECONDS)
        rounds.lanes.stop()
        return rounds.governor.windows

    first, second = run_in_virtual_time(main())[:2]
    assert (round(first.seconds, 3), first.slowdowns) == (0.01, 1)
    assert (round(second.seconds, 3), second.slowdowns) == (lanes_module.LONGEST_WINDOW_SECONDS, 5)


def test_requests_that_pause_count_up_to_the_number_of_lanes() -> None:
    lanes = Lanes(Governor.fixed(3), lambda _: None)
    for _ in range(5):
        lanes.begin_pause()
    assert lanes.pausing == 3
    for _ in range(4):
        lanes.end_pause()
    assert lanes.pausing == 1


def test_an_objection_to_a_request_of_before_the_last_cut_is_not_counted() -> None:
    async def main() -> list[tuple[int, int]]:
        rounds = Rounds(8)
        rounds.governor.script(4)
        rounds.governor.cuts_next = 1
        old = rounds.lanes.lane()
        async with old:
            await asyncio.sleep(0.01)
            rounds.lanes.count_slowdown(old.began_seconds)
            assert rounds.lanes.limit == 4
            await asyncio.sleep(0.01)
            new = rounds.lanes.lane()
            async with new:
                rounds.lanes.count_slowdown(old.began_seconds)
                rounds.lanes.count_slowdown(new.began_seconds)
                rounds.lanes.count_timeout(old.began_seconds)
                rounds.lanes.count_timeout(new.began_seconds)
                await asyncio.sleep(lanes_module.LONGEST_WINDOW_SECONDS)
        rounds.lanes.stop()
        return [(window.slowdowns, window.timeouts) for window in rounds.governor.windows]

    assert run_in_virtual_time(main())[:2] == [(1, 0), (1, 1)]


def test_an_objection_counts_when_the_limit_was_only_tried_out() -> None:
    async def main() -> list[int]:
        rounds = Rounds(8)
        rounds.governor.script(5)
        old = rounds.lanes.lane()
        async with old:
            await asyncio.sleep(2 * lanes_module.LONGEST_WINDOW_SECONDS)
            assert rounds.lanes.limit == 5
            rounds.lanes.count_slowdown(old.began_seconds)
        rounds.lanes.stop()
        return [window.slowdowns for window in rounds.governor.windows]

    assert sum(run_in_virtual_time(main())) == 1


def test_parts_begin_with_what_the_distance_of_the_store_allows() -> None:
    async def main() -> list[Event]:
        events: list[Event] = []
        lanes = Lanes(Governor(DEFAULT_INITIAL), events.append)
        lanes.start()
        lanes.expect_parts(FAR_SECONDS)
        lanes.expect_parts(FAR_SECONDS)
        lanes.stop()
        return events

    assert run_in_virtual_time(main()) == [ConcurrencyChanged(48)]
