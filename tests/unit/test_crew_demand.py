"""When workers are given something: as long as processors are idle, or one process has no time for all of it."""

import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest

from transfer.engine.crew import demand
from transfer.engine.crew.demand import Demand, Reading, read
from transfer.system import occupancy, processor

PID = 4711


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demand, "FIRST_LOOK_SECONDS", 0)
    monkeypatch.setattr(demand, "LOOK_SECONDS", 0)


class Machine:
    """Plays the processors: idle and occupied in the second before each further reading; None where nobody can tell."""

    def __init__(self, *idle_and_occupied: tuple[float, float] | None) -> None:
        self._now = Reading(0.0, 0.0, {PID: 0.0})
        self._coming = [(0.0, 0.0), *idle_and_occupied]
        self.pids: list[int] = [PID]
        self.has_ended = anyio.Event()
        self.rises: list[int] = []

    def read(self, pids: Sequence[int]) -> Reading | None:
        assert pids == self.pids
        coming = self._coming.pop(0)
        if not self._coming:
            # Without workers it watches no more.
            self.pids = []
            self.has_ended.set()
        if coming is None:
            return None
        idle, occupied = coming
        now = self._now
        occupied_seconds = {pid: seconds + occupied for pid, seconds in now.occupied_seconds.items()}
        self._now = Reading(now.clock_seconds + 1, now.idle_seconds + idle, occupied_seconds)
        return self._now

    @property
    def readings_left(self) -> int:
        return len(self._coming)


@asynccontextmanager
async def watched(machine: Machine) -> AsyncIterator[Demand]:
    """The demand after the last reading."""
    async with anyio.create_task_group() as tasks:
        asked = Demand(tasks, lambda: machine.pids, lambda: machine.rises.append(machine.readings_left), machine.read)
        assert asked.exists()
        await machine.has_ended.wait()
        await anyio.wait_all_tasks_blocked()
        yield asked
        tasks.cancel_scope.cancel()


async def test_nothing_is_looked_at_before_there_is_work() -> None:
    machine = Machine()
    async with anyio.create_task_group() as tasks:
        Demand(tasks, lambda: machine.pids, lambda: None, machine.read)
        await anyio.wait_all_tasks_blocked()
    assert machine.readings_left == 1


async def test_workers_are_of_no_use_where_the_store_needs_the_processors() -> None:
    machine = Machine((0.0, 0.7))
    async with watched(machine) as asked:
        assert not asked.exists()
    assert machine.rises == []


async def test_they_are_of_use_again_when_processors_have_nothing_to_do() -> None:
    machine = Machine((0.0, 0.7), (0.3, 0.7), (0.6, 0.7), (0.6, 0.7))
    async with watched(machine) as asked:
        assert asked.exists()
    assert machine.rises == [1]


async def test_they_are_of_use_when_nobody_can_tell_any_more() -> None:
    machine = Machine((0.0, 0.7), None)
    async with watched(machine) as asked:
        assert asked.exists()
    assert machine.rises == [0]


async def test_one_that_has_ended_meanwhile_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "idle_seconds", lambda: 0.0)
    here = threading.get_native_id()
    monkeypatch.setattr(occupancy, "occupied_seconds", {1: 1000.0, here: 5.0}.get)
    before = read([1, 2])
    assert before is not None
    assert before.occupied_seconds == {1: 1000.0, here: 5.0}
    now = Reading(before.clock_seconds + 1, 0.0, {here: 6.5})
    readings = [before, now]
    seen = anyio.Event()

    def play(_: Sequence[int]) -> Reading | None:
        if len(readings) == 1:
            seen.set()
        return readings.pop(0) if readings else None

    async with anyio.create_task_group() as tasks:
        asked = Demand(tasks, lambda: [1], lambda: None, play)
        asked.exists()
        await seen.wait()
        await anyio.wait_all_tasks_blocked()
        assert asked.exists()
        tasks.cancel_scope.cancel()


async def test_without_workers_nobody_looks_on() -> None:
    machine = Machine((0.0, 0.7), (0.0, 0.7))
    async with anyio.create_task_group() as tasks:
        machine.pids = []
        asked = Demand(tasks, lambda: machine.pids, lambda: None, machine.read)
        assert asked.exists()
    assert machine.readings_left == 2
    assert asked.exists()


async def test_they_stay_of_use_to_a_store_that_costs_little_on_a_machine_that_others_use_too() -> None:
    machine = Machine((0.0, 1.97), (0.0, 1.0), (0.0, 1.9))
    async with watched(machine) as asked:
        assert asked.exists()
    assert machine.rises == []


@pytest.mark.parametrize("occupied", [0.5, 0.89, 0.91, 0.94, 0.96, 1.0, 1.1])
async def test_what_stays_as_it_is_changes_its_mind_once_at_most(occupied: float) -> None:
    machine = Machine(*[(0.0, occupied)] * 8)
    async with watched(machine) as asked:
        assert asked.exists() is (occupied >= 0.9)
    assert machine.rises == []


@pytest.mark.parametrize("idle", [0.0, 0.19, 0.21, 0.4, 0.6, 1.0])
async def test_processors_that_stay_as_idle_as_they_are_change_its_mind_once_at_most(idle: float) -> None:
    machine = Machine(*[(idle, 0.3)] * 8)
    async with watched(machine) as asked:
        assert asked.exists() is (idle >= 0.2)
    assert machine.rises == []


@pytest.mark.parametrize("silent", ["idle_seconds", "occupied_seconds"])
async def test_where_the_system_tells_nothing_they_are_of_use(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor if silent == "idle_seconds" else occupancy, silent, lambda *_: None)
    assert read([]) is None
    async with anyio.create_task_group() as tasks:
        asked = Demand(tasks, lambda: [PID], lambda: None)
        assert asked.exists()
    assert asked.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="workers are processes of Linux alone")
def test_what_a_thread_computes_is_read() -> None:
    here = threading.get_native_id()
    before = read([])
    assert before is not None
    sum(range(2_000_000))
    after = read([])
    assert after is not None
    assert after.occupied_seconds[here] - before.occupied_seconds[here] > 0.001
    assert after.clock_seconds > before.clock_seconds
    assert after.idle_seconds >= before.idle_seconds
