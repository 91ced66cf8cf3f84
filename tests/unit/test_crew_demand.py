"""When workers are given something: as long as processors are idle, or one would not do."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest

from transfer.engine.crew.demand import Demand, Reading, read
from transfer.system import processor

PID = 4711


class Machine:
    """Plays the processors: what they did in the second before each further reading; None where that cannot be read."""

    def __init__(self, *idle_and_used: tuple[float, float] | None) -> None:
        self._now = Reading(0.0, 0.0, {PID: 0.0})
        self._coming = [(0.0, 0.0), *idle_and_used]
        self.pids: list[int] = [PID]
        self.has_ended = anyio.Event()
        self.rises: list[int] = []

    def read(self, pids: Sequence[int]) -> Reading | None:
        assert pids == self.pids
        coming = self._coming.pop(0)
        if not self._coming:
            self.has_ended.set()
        if coming is None:
            return None
        idle, used = coming
        now = self._now
        used_seconds = {pid: seconds + used for pid, seconds in now.used_seconds.items()}
        self._now = Reading(now.clock_seconds + 1, now.idle_seconds + idle, used_seconds)
        return self._now

    @property
    def readings_left(self) -> int:
        return len(self._coming)


@asynccontextmanager
async def watched(machine: Machine) -> AsyncIterator[Demand]:
    """The demand after the last reading."""
    async with anyio.create_task_group() as tasks:
        demand = Demand(tasks, lambda: machine.pids, lambda: machine.rises.append(machine.readings_left), machine.read)
        assert demand.exists()
        await machine.has_ended.wait()
        await anyio.wait_all_tasks_blocked()
        yield demand
        tasks.cancel_scope.cancel()


async def test_nothing_is_looked_at_before_there_is_work() -> None:
    machine = Machine()
    async with anyio.create_task_group() as tasks:
        Demand(tasks, lambda: machine.pids, lambda: None, machine.read)
        await anyio.wait_all_tasks_blocked()
    assert machine.readings_left == 1


async def test_workers_are_of_no_use_where_the_store_needs_the_processors() -> None:
    machine = Machine((0.0, 0.7))
    async with watched(machine) as demand:
        assert not demand.exists()
    assert machine.rises == []


async def test_they_are_of_use_again_when_processors_have_nothing_to_do() -> None:
    machine = Machine((0.0, 0.7), (0.3, 0.7), (0.6, 0.7), (0.6, 0.7))
    async with watched(machine) as demand:
        assert demand.exists()
    assert machine.rises == [1]


async def test_they_are_of_use_when_nobody_can_tell_any_more() -> None:
    machine = Machine((0.0, 0.7), None)
    async with watched(machine) as demand:
        assert demand.exists()
    assert machine.rises == [0]


async def test_one_that_has_ended_meanwhile_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "idle_seconds", lambda: 0.0)
    monkeypatch.setattr(processor, "computed_seconds", {1: 1000.0, os.getpid(): 5.0}.get)
    before = read([1, 2])
    assert before is not None
    assert before.used_seconds == {1: 1000.0, os.getpid(): 5.0}
    now = Reading(before.clock_seconds + 1, 0.0, {os.getpid(): 6.5})
    readings = [before, now]
    seen = anyio.Event()

    def play(_: Sequence[int]) -> Reading | None:
        if len(readings) == 1:
            seen.set()
        return readings.pop(0) if readings else None

    async with anyio.create_task_group() as tasks:
        demand = Demand(tasks, lambda: [1], lambda: None, play)
        demand.exists()
        await seen.wait()
        await anyio.wait_all_tasks_blocked()
        assert demand.exists()
        tasks.cancel_scope.cancel()


async def test_without_workers_nobody_looks_on() -> None:
    machine = Machine((0.0, 0.7), (0.0, 0.7))
    async with anyio.create_task_group() as tasks:
        machine.pids = []
        demand = Demand(tasks, lambda: machine.pids, lambda: None, machine.read)
        assert demand.exists()
    assert machine.readings_left == 2
    assert demand.exists()


async def test_where_the_system_tells_nothing_they_are_of_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "_STATISTICS", "/nonexistent/stat")
    assert processor.idle_seconds() is None
    async with anyio.create_task_group() as tasks:
        demand = Demand(tasks, lambda: [PID], lambda: None)
        assert demand.exists()
    assert demand.exists()


def test_what_a_process_computes_is_read() -> None:
    before = read([])
    assert before is not None
    sum(range(2_000_000))
    after = read([])
    assert after is not None
    assert after.used_seconds[os.getpid()] - before.used_seconds[os.getpid()] > 0.001
    assert after.clock_seconds > before.clock_seconds
    assert after.idle_seconds >= before.idle_seconds
