import dataclasses
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.engine.crew.follower import Follower
from transfer.engine.crew.member import Member
from transfer.engine.crew.shared_governor import SharedGovernor, joined
from transfer.model.events import ignore_event
from transfer.plan.governor import Governor, Window

WINDOWS = st.builds(
    Window,
    seconds=st.floats(0.01, 1.0),
    work_bytes=st.integers(0, 10**9),
    requests=st.integers(0, 10**4),
    in_use=st.integers(0, 10**3),
    slowdowns=st.integers(0, 5),
    timeouts=st.integers(0, 5),
)


class Seen(Governor):
    """A governor that keeps what it is shown."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.windows: list[Window] = []

    def observe(self, window: Window) -> int:
        self.windows.append(window)
        return self.limit


class Worker:
    """Stands where a member does: how much it holds, and the share it was given last."""

    def __init__(self, pid: int, held: int = 1) -> None:
        self.pid = pid
        self.held = held
        self.share = 0
        self.cuts = 0

    def may_make(self, requests: int, cuts: int) -> None:
        self.share = requests
        self.cuts = cuts


def shared(limit: int, *workers: Worker) -> tuple[SharedGovernor, Seen]:
    governor = Seen(limit)
    made = SharedGovernor(governor, ignore_event)
    made.share_with(cast("list[Member]", list(workers)))
    return made, governor


def member(worker: Worker) -> Member:
    return cast("Member", worker)


def window(**fields: Any) -> Window:
    return dataclasses.replace(Window(0.5, 1000, 10, 4), **fields)


def test_before_there_are_workers_all_is_for_the_first_process() -> None:
    governor = SharedGovernor(Governor(32), ignore_event)
    assert (governor.limit, governor.total) == (32, 32)


def test_whoever_has_something_to_do_has_a_share() -> None:
    one, two = Worker(1), Worker(2, held=0)
    governor, _ = shared(32, one, two)
    assert (governor.limit, one.share, two.share, governor.total) == (16, 16, 0, 32)
    two.held = 5
    governor.divide()
    assert (governor.limit, one.share, two.share) == (11, 11, 10)
    one.held = 0
    governor.divide()
    assert (governor.limit, one.share, two.share) == (16, 0, 16)


def test_the_share_of_a_lost_worker_goes_to_the_others() -> None:
    one, two = Worker(1), Worker(2)
    governor, seen = shared(30, one, two)
    governor.note(member(one), window())
    governor.note(member(two), window())
    governor.share_with([member(two)])
    assert (governor.limit, two.share) == (15, 15)
    governor.observe(window())
    assert seen.windows == [joined(window(), [window()])]


def test_a_new_limit_is_divided_at_once() -> None:
    one = Worker(1)
    governor, seen = shared(8, one)
    seen.limit = 20
    assert governor.observe(window()) == 10
    assert (governor.limit, one.share) == (10, 10)


def test_the_governor_sees_what_all_achieve() -> None:
    one, two = Worker(1), Worker(2)
    governor, seen = shared(8, one, two)
    governor.note(member(one), window(seconds=1.0, work_bytes=4000, requests=40, in_use=3))
    governor.note(member(two), window(seconds=0.25, work_bytes=500, requests=5, in_use=2))
    governor.observe(Window(0.5, 100, 1, 1))
    assert seen.windows == [Window(0.5, 100 + 2000 + 1000, 1 + 20 + 10, 1 + 3 + 2)]


def test_objections_are_counted_once_and_none_is_lost() -> None:
    one = Worker(1)
    governor, seen = shared(8, one)
    governor.note(member(one), window(slowdowns=2, timeouts=1))
    governor.note(member(one), window(slowdowns=3))
    for _ in range(2):
        governor.observe(window(slowdowns=1))
    assert [(one.slowdowns, one.timeouts) for one in seen.windows] == [(6, 1), (1, 0)]


@given(WINDOWS, st.lists(WINDOWS, max_size=5))
def test_equal_windows_add_up(own: Window, others: list[Window]) -> None:
    aligned = [dataclasses.replace(one, seconds=own.seconds) for one in others]
    found = joined(own, aligned)
    assert found.seconds == own.seconds
    for name in ("requests", "in_use", "slowdowns", "timeouts"):
        assert getattr(found, name) == sum(getattr(one, name) for one in (own, *aligned))
    assert found.work_bytes == pytest.approx(sum(one.work_bytes for one in (own, *aligned)), abs=len(aligned))


def test_a_follower_tells_all_but_a_second_idle_window() -> None:
    told: list[Window] = []
    tell: Callable[[Window], None] = told.append
    follower = Follower(tell)
    follower.limit = 7
    idle, busy = Window(0.5, 0, 0, 0), window()
    assert [follower.observe(one) for one in (idle, busy, busy, idle, idle, busy)] == [7] * 6
    assert told == [busy, busy, idle, busy]


def test_more_processes_than_lanes_do_not_look_like_the_time_before_a_cut() -> None:
    workers = [Worker(pid) for pid in range(1, 8)]
    governor = SharedGovernor(Governor(4, maximum=4), ignore_event)
    governor.share_with(cast("list[Member]", workers))
    assert sum(worker.share for worker in workers) + governor.limit == 8
    for worker in workers:
        governor.note(member(worker), window(in_use=1))
    governor.observe(window(in_use=1, slowdowns=1))
    assert (governor.total, governor.cuts) == (2, 1)
    assert {worker.cuts for worker in workers} == {1}
