import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from transfer.engine import landing
from transfer.engine.landing import VISITS, Landings
from transfer.engine.threads import Threads
from transfer.model.errors import TransferError, UnsafeKeyError
from transfer.stores.local.landing import OpenFolders, WholeFile, land

T = TypeVar("T")


class Disk:
    """Lands files when it is let, and remembers which came together."""

    def __init__(self) -> None:
        self.is_free = threading.Event()
        self.visits: list[list[str]] = []

    def land(self, files: Sequence[WholeFile], folders: OpenFolders) -> list[str | TransferError]:
        self.visits.append([file.relative for file in files])
        assert self.is_free.wait(10)
        return land(files, folders)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(landing, "land", disk.land)
    monkeypatch.setattr(landing, "is_in_memory", lambda _: False)
    return disk


@pytest.fixture
def landings() -> Landings:
    return Landings(Threads())


def whole(root: Path, relative: str) -> WholeFile:
    return WholeFile(str(root), relative, relative.encode(), None, keeps_spelling=True)


async def begin(landings: Landings, root: Path, disk: Disk, names: Sequence[str]) -> list[asyncio.Task[str]]:
    """Begin to land files, until as many visits as there may be are on their way."""
    tasks = [asyncio.create_task(landings.land(whole(root, name))) for name in names]
    while len(disk.visits) < min(len(names), VISITS):
        await asyncio.sleep(0)
    return tasks


def names_below(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


async def test_what_waits_goes_together(tmp_path: Path, landings: Landings, disk: Disk) -> None:
    names = [f"{number:03d}" for number in range(VISITS + 40)]
    tasks = await begin(landings, tmp_path, disk, names)
    disk.is_free.set()
    assert await asyncio.gather(*tasks) == [str(tmp_path / name) for name in names]
    assert names_below(tmp_path) == names
    assert sorted(name for visit in disk.visits for name in visit) == names
    assert len(disk.visits) < len(names) / 2


async def test_one_that_fails_fails_alone(tmp_path: Path, landings: Landings, disk: Disk) -> None:
    names = ["a", "b", "c", "d", "../e", "f", "g", "h", "i"]
    tasks = await begin(landings, tmp_path, disk, names)
    disk.is_free.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [name for name, result in zip(names, results, strict=True) if isinstance(result, BaseException)] == ["../e"]
    assert isinstance(results[4], UnsafeKeyError)


async def test_whoever_is_cancelled_takes_nobody_along(tmp_path: Path, landings: Landings, disk: Disk) -> None:
    names = [f"{number:02d}" for number in range(VISITS + 8)]
    tasks = await begin(landings, tmp_path, disk, names)
    on_its_way, waiting = tasks[0], tasks[VISITS + 1]
    on_its_way.cancel()
    waiting.cancel()
    await asyncio.sleep(0)
    disk.is_free.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results].count(True) == 2
    # What a thread has begun it ends: the file is whole.
    assert names_below(tmp_path) == [name for name in names if name != names[VISITS + 1]]
    assert await landings.land(whole(tmp_path, "more")) == str(tmp_path / "more")


async def test_a_turn_is_not_lost_with_whom_it_came_to(tmp_path: Path, landings: Landings, disk: Disk) -> None:
    waiting: list[asyncio.Task[str]] = []

    async def land_and_cancel(name: str) -> None:
        await landings.land(whole(tmp_path, name))
        # One of those that wait has been told by now that it is its turn, and has not gone on yet.
        for task in waiting:
            task.cancel()

    async with asyncio.timeout(10):
        for attempt in range(2):
            disk.is_free.clear()
            disk.visits.clear()
            first = [asyncio.create_task(land_and_cancel(f"first{attempt}-{number}")) for number in range(VISITS)]
            while len(disk.visits) < VISITS:
                await asyncio.sleep(0)
            waiting += [asyncio.create_task(landings.land(whole(tmp_path, f"{number}"))) for number in range(VISITS)]
            await asyncio.sleep(0)
            disk.is_free.set()
            await asyncio.gather(*first)
            await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_visit_that_never_came_about_is_made_up_for(tmp_path: Path, disk: Disk) -> None:
    class Busy(Threads):
        calls = 0

        async def run(self, work: Callable[[], T]) -> T:
            self.calls += 1
            if self.calls == VISITS + 1:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                await asyncio.sleep(0)
            return await super().run(work)

    names = [f"{number:02d}" for number in range(4 * VISITS)]
    tasks = await begin(Landings(Busy()), tmp_path, disk, names)
    disk.is_free.set()
    async with asyncio.timeout(10):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results].count(True) == 1
    assert len(names_below(tmp_path)) == len(names) - 1


async def test_in_memory_no_thread_is_asked_twice(
    tmp_path: Path, landings: Landings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "is_in_memory", lambda _: True)
    await landings.land(whole(tmp_path, "first"))

    async def refuse(_: Threads, work: object) -> None:
        raise AssertionError(work)

    monkeypatch.setattr(Threads, "run", refuse)
    assert await landings.land(whole(tmp_path, "second")) == str(tmp_path / "second")
    landings.close()
