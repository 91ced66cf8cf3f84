import asyncio
import os
import random
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from transfer.journal import database, disk, finished, keeper, liveness, schema
from transfer.journal.journal import Journal, StartedJob
from transfer.journal.keeper import Keeper, Work
from transfer.journal.network import is_network_type, is_on_network
from transfer.model.errors import HeldError
from transfer.model.unfinished import (
    Direction,
    FinishedPart,
    ItemIdentity,
    JobDescription,
    UnfinishedItem,
    UnfinishedJob,
)
from transfer.system.mounts import devices_of_type

PROJECT = Path(schema.__file__).parents[2]
JOB = JobDescription(
    "https://store", ("/data",), "s3://bucket/", (("--sse", "aws:kms"),), ("cp", "x"), "/home", (("A", "b"),)
)
OTHER_JOB = replace(JOB, destination="s3://other/")
ITEM = ItemIdentity(Direction.UPLOAD, "https://store", "/data/a", "s3://bucket/a", "size=9 mtime=1", 9)
RANGE = ItemIdentity(Direction.DOWNLOAD, "https://store", "s3://bucket/b", "/data/b", 'etag="x"', 1 << 40)

Open = Callable[[], AbstractAsyncContextManager[Journal]]


def part(number: int) -> FinishedPart:
    return FinishedPart(number, (number - 1) * 8, 8, number.to_bytes(8, "big"), f'"etag-{number}"')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "transfer"


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def opened(folder: Path, warnings: list[str]) -> Open:
    @asynccontextmanager
    async def make() -> AsyncIterator[Journal]:
        journal = Journal(str(folder), warnings.append)
        try:
            yield journal
        finally:
            await journal.aclose()

    return make


@pytest.fixture(autouse=True)
def _no_unexpected_warning(request: pytest.FixtureRequest, warnings: list[str]) -> Iterator[None]:
    yield
    if request.node.get_closest_marker("usefixtures") is None:
        assert warnings == []


@pytest.fixture
def trouble() -> None:
    """Marks tests that look at the warnings themselves."""


async def the_job(journal: Journal) -> UnfinishedJob:
    [job] = await journal.jobs()
    return job


def other_process(folder: Path, script: str) -> subprocess.Popen[str]:
    head = "import asyncio, itertools, sys\nfrom tests.unit.test_journal import *\nfolder = sys.argv[1]\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + script, str(folder)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> str:
    process.kill()
    rest, _ = process.communicate()
    return rest


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def hold_and_wait(folder: str) -> None:
    journal = Journal(folder, say)
    job = await journal.begin(JOB)
    item = await journal.claim(job.id, ITEM)
    await journal.set_upload(item.id, "upload-1")
    await asyncio.gather(*(journal.note_part(item.id, part(number)) for number in (1, 2)))
    say("held")
    await asyncio.to_thread(sys.stdin.read)


async def write_parts(folder: str, first: int) -> None:
    journal = Journal(folder, say)
    job = await journal.begin(JOB)
    item = await journal.claim(job.id, ITEM)
    number = first
    while True:
        await journal.note_part(item.id, part(number))
        say(str(number))
        number += 1


@pytest.fixture
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = other_process(folder, "asyncio.run(hold_and_wait(folder))")
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    end(process)


async def test_what_one_run_records_the_next_one_finds(opened: Open) -> None:
    async with opened() as journal:
        job = await journal.begin(JOB)
        assert job == StartedJob(job.id, 0, 0, is_new=True)
        item = await journal.claim(job.id, ITEM)
        assert item == UnfinishedItem(item.id, ITEM, None, None, item.began_seconds, (), is_new=True)
        await journal.set_upload(item.id, "upload-1")
        for number in (2, 1, 3):
            await journal.note_part(item.id, part(number))
        await journal.drop_parts(item.id, [3, 7])
        ranges = await journal.claim(job.id, RANGE)
        await journal.set_temporary(ranges.id, ".b.transfer")
        await journal.note_part(ranges.id, FinishedPart(1, 0, 1 << 33, b""))
        journal.note_finished(job.id, "c", "print", 5)
    async with opened() as journal:
        again = await journal.begin(JOB)
        assert again == StartedJob(job.id, 1, 5, is_new=False)
        assert await journal.find_finished(again.id, ["c", "d"]) == {"c": "print"}
        changed = replace(ITEM, fingerprint="size=9 mtime=2")
        found = await journal.claim(again.id, changed)
        assert found == UnfinishedItem(
            item.id, ITEM, "upload-1", None, item.began_seconds, (part(1), part(2)), is_new=False
        )
        assert found.finished_bytes == 16
        found = await journal.claim(again.id, RANGE)
        assert (found.temporary, found.parts) == (".b.transfer", (FinishedPart(1, 0, 1 << 33, b""),))


async def test_a_restarted_item_has_nothing_of_before(opened: Open) -> None:
    changed = replace(ITEM, fingerprint="size=10 mtime=2", size=10)
    async with opened() as journal:
        job = await journal.begin(JOB)
        item = await journal.claim(job.id, ITEM)
        await journal.set_upload(item.id, "upload-1")
        await journal.set_temporary(item.id, "name")
        await journal.note_part(item.id, part(1))
        await journal.restart(item.id, changed)
        await journal.note_part(item.id, part(2))
        [found] = (await the_job(journal)).items
        assert (found.id, found.identity, found.upload_id, found.temporary) == (item.id, changed, None, None)
        assert found.parts == (part(2),)
        assert found.began_seconds > item.began_seconds
        await journal.set_upload(item.id, None)


async def test_a_part_that_is_done_again_replaces_the_first(opened: Open) -> None:
    async with opened() as journal:
        item = await journal.claim((await journal.begin(JOB)).id, ITEM)
        await journal.note_part(item.id, part(1))
        await journal.note_part(item.id, replace(part(1), etag='"other"'))
        assert (await the_job(journal)).items[0].parts == (replace(part(1), etag='"other"'),)


async def test_a_finished_item_is_forgotten_and_a_released_one_is_not(opened: Open) -> None:
    async with opened() as journal:
        job = await journal.begin(JOB)
        item, ranges = await journal.claim(job.id, ITEM), await journal.claim(job.id, RANGE)
        await journal.note_part(item.id, part(1))
        await journal.finish(item.id)
        await journal.release(ranges.id)
        assert [found.identity for found in (await the_job(journal)).items] == [RANGE]
        fresh = await journal.claim(job.id, ITEM)
        assert (fresh.is_new, fresh.parts) == (True, ())
        assert fresh.id not in (item.id, ranges.id)
        assert not (await journal.claim(job.id, RANGE)).is_new


async def test_an_item_belongs_to_the_job_that_claimed_it_last(opened: Open) -> None:
    async with opened() as journal:
        first, second = await journal.begin(JOB), await journal.begin(OTHER_JOB)
        await journal.release((await journal.claim(first.id, ITEM)).id)
        await journal.claim(second.id, ITEM)
        assert [len(job.items) for job in await journal.jobs()] == [0, 1]


async def test_names_may_hold_whatever_a_file_system_allows(opened: Open) -> None:
    name = "\udc80\udcff \x00 ä \U0001f600"
    identity = replace(ITEM, source="/" + name, destination="s3://b/" + name)
    async with opened() as journal:
        job = await journal.begin(replace(JOB, sources=("/" + name,)))
        await journal.claim(job.id, identity)
        journal.note_finished(job.id, name, name, 1)
        assert await journal.find_finished(job.id, [name]) == {name: name}
    async with opened() as journal:
        found = await the_job(journal)
        assert (found.description.sources, found.items[0].identity) == (("/" + name,), identity)


async def test_concurrent_parts_share_commits(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = []
    real = database.connect

    def connect(path: Path) -> sqlite3.Connection:
        connection = real(path)
        connection.set_trace_callback(lambda text: commits.append(text) if text == "COMMIT" else None)
        return connection

    monkeypatch.setattr(database, "connect", connect)
    async with opened() as journal:
        item = await journal.claim((await journal.begin(JOB)).id, ITEM)
        commits.clear()
        await asyncio.gather(*(journal.note_part(item.id, part(number)) for number in range(1, 101)))
        assert 1 <= len(commits) <= 50
        assert (await the_job(journal)).items[0].parts == tuple(part(number) for number in range(1, 101))


async def test_ten_thousand_notes_are_found_at_once_and_later(opened: Open) -> None:
    names = [f"folder/{number}" for number in range(10_000)]
    async with opened() as journal:
        job = await journal.begin(JOB)
        for number, name in enumerate(names):
            journal.note_finished(job.id, name, f"print-{number}", number)
        found = await journal.find_finished(job.id, names[::3])
        assert found == {name: f"print-{number}" for number, name in enumerate(names) if number % 3 == 0}
    async with opened() as journal:
        assert await journal.begin(JOB) == StartedJob(job.id, 10_000, sum(range(10_000)), is_new=False)
        assert len(await journal.find_finished(job.id, [*names, "none"])) == 10_000
        journal.note_finished(job.id, names[7], "changed", 1_000_007)
        await journal.end(job.id, keep=True)
        assert (await the_job(journal)).finished_items == 10_000
        assert (await the_job(journal)).finished_bytes == sum(range(10_000)) + 1_000_000


async def test_notes_reach_the_disk_without_anybody_asking(opened: Open, folder: Path) -> None:
    async with opened() as journal:
        job = await journal.begin(JOB)
        journal.note_finished(job.id, "a", "print", 1)
        reader = database.connect(folder / database.FILE_NAME)
        while reader.execute("SELECT count(*) FROM finished").fetchall() != [(1,)]:
            await asyncio.sleep(0.001)
        reader.close()


async def test_an_ended_job_is_forgotten_or_kept(opened: Open) -> None:
    async with opened() as journal:
        kept, gone = await journal.begin(JOB), await journal.begin(OTHER_JOB)
        await journal.note_part((await journal.claim(gone.id, ITEM)).id, part(1))
        journal.note_finished(gone.id, "a", "print", 1)
        await journal.end(gone.id, keep=False)
        await journal.end(kept.id, keep=True)
        assert [job.id for job in await journal.jobs()] == [kept.id]
        again = await journal.begin(OTHER_JOB)
        assert again.is_new
        assert again.id not in (kept.id, gone.id)
        assert await journal.find_finished(again.id, ["a"]) == {}
        assert (await journal.claim(again.id, ITEM)).is_new
        assert not (await journal.begin(JOB)).is_new


async def test_jobs_are_described_oldest_first(opened: Open) -> None:
    before = time.time()
    async with opened() as journal:
        await journal.begin(JOB)
        await journal.begin(OTHER_JOB)
        first, second = await journal.jobs()
        assert (first.description, second.description) == (JOB, OTHER_JOB)
        assert first.holder is not None
        assert first.holder.process_id == os.getpid()
        assert before <= first.began_seconds <= first.touched_seconds <= time.time()
    async with opened() as journal:
        assert [job.holder for job in await journal.jobs()] == [None, None]


async def test_asking_for_jobs_makes_no_journal(opened: Open, folder: Path) -> None:
    async with opened() as journal:
        assert await journal.jobs() == ()
        assert not await journal.take(1)
    assert not folder.exists()


async def test_only_this_user_can_look_into_the_journal(opened: Open, folder: Path) -> None:
    async with opened() as journal:
        await journal.begin(JOB)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for path in folder.rglob("*"):
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


async def test_after_closing_nothing_is_left_but_the_file(opened: Open, folder: Path) -> None:
    async with opened() as journal:
        await journal.claim((await journal.begin(JOB)).id, ITEM)
        await journal.aclose()
        await journal.aclose()
        await journal.note_part(1, part(1))
        journal.note_finished(1, "a", "print", 1)
    assert {path.name for path in folder.iterdir()} == {"journal.sqlite3", "journal.lock", "runs"}
    assert list((folder / "runs").iterdir()) == []


async def test_a_cancelled_close_still_writes_everything(opened: Open, warnings: list[str], folder: Path) -> None:
    journal = Journal(str(folder), warnings.append)
    job = await journal.begin(JOB)
    journal.note_finished(job.id, "a", "print", 1)
    closing = asyncio.create_task(journal.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await journal.aclose()
    async with opened() as journal:
        assert (await journal.begin(JOB)).finished_items == 1


async def test_a_cancelled_claim_is_let_go(opened: Open) -> None:
    async with opened() as journal:
        job = await journal.begin(JOB)
        claiming = asyncio.create_task(journal.claim(job.id, ITEM))
        await asyncio.sleep(0)
        claiming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await claiming
        assert not (await journal.claim(job.id, ITEM)).is_new
        with pytest.raises(HeldError):
            await journal.claim(job.id, ITEM)


async def test_one_run_does_nothing_twice(opened: Open) -> None:
    async with opened() as journal:
        job = await journal.begin(JOB)
        with pytest.raises(HeldError, match="this run is already doing the same"):
            await journal.begin(JOB)
        results = await asyncio.gather(*(journal.claim(job.id, ITEM) for _ in range(3)), return_exceptions=True)
        assert [type(result) for result in results] == [UnfinishedItem, HeldError, HeldError]
        assert str(results[1]) == "s3://bucket/a: this run is already moving it"


@pytest.mark.parametrize("operation", ["begin", "take", "forget", "claim"])
async def test_what_a_living_process_holds_is_refused(
    opened: Open, holder: subprocess.Popen[str], operation: str
) -> None:
    async with opened() as journal:
        held = await the_job(journal)
        assert held.holder is not None
        assert held.holder.process_id == holder.pid
        attempts: dict[str, Callable[[], Coroutine[None, None, object]]] = {
            "begin": lambda: journal.begin(JOB),
            "take": lambda: journal.take(held.id),
            "forget": lambda: journal.forget(held.id),
            "claim": lambda: journal.claim(held.id, ITEM),
        }
        with pytest.raises(HeldError) as error:
            await attempts[operation]()
        since = time.strftime("%H:%M", time.localtime(held.holder.since_seconds))
        assert f"process {holder.pid} is moving" in error.value.message
        assert error.value.message.endswith((since, time.strftime("%Y-%m-%d")))
        assert error.value.remedy == "wait until it has finished, or end it"
        assert (await journal.begin(OTHER_JOB)).is_new
        assert (await journal.claim(held.id, RANGE)).is_new


async def test_a_killed_process_leaves_its_parts_and_no_claim(
    opened: Open, holder: subprocess.Popen[str], folder: Path
) -> None:
    async with opened() as journal:
        with pytest.raises(HeldError):
            await journal.begin(JOB)
        end(holder)
        assert (await the_job(journal)).holder is None
        job = await journal.begin(JOB)
        item = await journal.claim(job.id, ITEM)
        assert (job.is_new, item.is_new, item.upload_id, item.parts) == (False, False, "upload-1", (part(1), part(2)))
        assert len(list((folder / "runs").iterdir())) == 1


async def test_the_day_is_named_when_a_process_began_before_today(
    opened: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened() as first, opened() as second:
        monkeypatch.setattr("transfer.journal.liveness.time.time", lambda: 1_000_000_000.0)
        await first.begin(JOB)
        with pytest.raises(HeldError, match=f"process {os.getpid()} is moving the same, since 2001-09-"):
            await second.begin(JOB)


async def test_a_part_that_was_reported_survives_every_kill(opened: Open, folder: Path) -> None:
    generator = random.Random(20)
    reported = 0
    for _ in range(20):
        process = other_process(folder, f"asyncio.run(write_parts(folder, {reported + 1}))")
        assert process.stdout is not None
        for _ in range(generator.randrange(1, 200)):
            process.stdout.readline()
        process.kill()
        numbers = [int(line) for line in process.communicate()[0].splitlines(keepends=True) if line.endswith("\n")]
        async with opened() as journal:
            job = await the_job(journal)
            assert job.holder is None
            found = job.items[0].parts
        reported = max([reported, *numbers])
        assert found[:reported] == tuple(part(number) for number in range(1, reported + 1))
        reported = len(found)
        assert found == tuple(part(number) for number in range(1, reported + 1))
    assert reported > 500


async def test_a_run_that_dies_while_it_starts_is_swept(opened: Open, folder: Path) -> None:
    stale = folder / "runs" / f"{'a' * 16}.lock"
    stale.parent.mkdir(parents=True)
    stale.touch()
    async with opened() as journal:
        await journal.begin(JOB)
        assert not stale.exists()


def test_a_starting_run_notices_that_its_file_was_swept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(parents=True)
    starting, sweeping = liveness.Runs(str(folder)), liveness.Runs(str(folder))
    real = liveness._lock
    sweeps = iter([True])

    def lock(fd: int, *, shared: bool = False) -> bool:
        if not shared and next(sweeps, False):
            sweeping.sweep()
        return real(fd, shared=shared)

    monkeypatch.setattr(liveness, "_lock", lock)
    run_id = starting.hold()
    assert sweeping.is_alive(run_id)
    sweeping.sweep()
    assert [path.stem for path in (folder / "runs").iterdir()] == [run_id]
    starting.release()
    assert not sweeping.is_alive(run_id)


def test_the_name_of_a_run_leads_nowhere_else(folder: Path) -> None:
    (folder / "runs").mkdir(parents=True)
    precious = folder / "precious.lock"
    precious.touch()
    assert not liveness.Runs(str(folder)).is_alive("../precious")
    assert precious.exists()


def test_the_lock_is_not_inherited(folder: Path) -> None:
    folder.mkdir(parents=True)
    run = liveness.Runs(str(folder))
    run.hold()
    assert not os.get_inheritable(run._fd)
    run.release()


async def test_a_job_is_taken_and_forgotten(opened: Open) -> None:
    async with opened() as journal:
        job = await journal.begin(JOB)
        await journal.claim(job.id, ITEM)
    async with opened() as first, opened() as second:
        assert await first.take(job.id)
        with pytest.raises(HeldError):
            await second.begin(JOB)
        await first.forget(job.id)
        assert await second.jobs() == ()
        assert not await second.take(job.id)
        assert (await second.begin(JOB)).is_new


async def test_ids_that_are_unknown_change_nothing(opened: Open) -> None:
    async with opened() as journal:
        job = await journal.begin(JOB)
        item = await journal.claim(job.id, ITEM)
        await journal.release(item.id)
        before = await journal.jobs()
        for item_id in (item.id, 99, -1):
            await journal.note_part(item_id, part(1))
            await journal.set_upload(item_id, "x")
            await journal.set_temporary(item_id, "x")
            await journal.drop_parts(item_id, [1])
            await journal.restart(item_id, ITEM)
            await journal.release(item_id)
            await journal.finish(item_id)
        journal.note_finished(99, "a", "print", 1)
        await journal.end(99, keep=False)
        await journal.forget(99)
        assert await journal.find_finished(99, ["a"]) == {}
        assert await journal.jobs() == before


async def test_a_file_of_version_zero_gets_all_tables(opened: Open, folder: Path) -> None:
    folder.mkdir(parents=True)
    sqlite3.connect(folder / database.FILE_NAME).close()
    (folder / database.FILE_NAME).touch()
    async with opened() as journal:
        assert (await journal.begin(JOB)).is_new


async def test_later_migrations_keep_what_is_there(opened: Open, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as journal:
        job = await journal.begin(JOB)
        await journal.note_part((await journal.claim(job.id, ITEM)).id, part(1))
    steps = (*schema.MIGRATIONS, ("CREATE TABLE more(a)", "INSERT INTO more VALUES (1)"), ("DROP TABLE more",))
    monkeypatch.setattr(database, "MIGRATIONS", steps)
    monkeypatch.setattr(database, "VERSION", len(steps))
    async with opened() as journal:
        assert (await the_job(journal)).items[0].parts == (part(1),)
    connection = database.connect(folder / database.FILE_NAME)
    assert connection.execute("PRAGMA user_version").fetchall() == [(len(steps),)]
    connection.close()


async def works_in_memory(journal: Journal) -> None:
    job = await journal.begin(JOB)
    assert job == StartedJob(job.id, 0, 0, is_new=True)
    assert job.id < 0
    item, ranges = await journal.claim(job.id, ITEM), await journal.claim(job.id, RANGE)
    assert item == UnfinishedItem(item.id, ITEM, None, None, item.began_seconds, (), is_new=True)
    assert item.id < 0
    assert item.id != ranges.id
    with pytest.raises(HeldError):
        await journal.claim(job.id, ITEM)
    await journal.note_part(item.id, part(1))
    await journal.set_upload(item.id, "x")
    journal.note_finished(job.id, "a", "print", 1)
    assert await journal.find_finished(job.id, ["a"]) == {}
    await journal.restart(item.id, ITEM)
    await journal.release(item.id)
    assert (await journal.claim(job.id, ITEM)).is_new
    await journal.end(job.id, keep=False)
    assert await journal.jobs() == ()
    assert (await journal.begin(JOB)).is_new


@pytest.mark.usefixtures("trouble")
async def test_a_file_of_a_newer_version_is_not_touched(opened: Open, folder: Path, warnings: list[str]) -> None:
    folder.mkdir(parents=True)
    path = folder / database.FILE_NAME
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE jobs(other)")
    connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    async with opened() as journal:
        await works_in_memory(journal)
    assert path.read_bytes() == before
    [warning] = warnings
    assert "newer version" in warning
    assert str(folder) in warning


@pytest.mark.usefixtures("trouble")
async def test_without_a_folder_everything_works_in_memory(opened: Open, folder: Path, warnings: list[str]) -> None:
    folder.parent.parent.joinpath("state").write_text("a file where a folder should be")
    async with opened() as journal:
        await works_in_memory(journal)
    assert len(warnings) == 1


@pytest.mark.usefixtures("trouble")
@pytest.mark.parametrize("limit", ["PRAGMA query_only = ON", "PRAGMA max_page_count = 20"])
async def test_a_disk_that_refuses_ends_in_memory_and_keeps_the_file(
    opened: Open, folder: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    async with opened() as journal:
        await journal.note_part((await journal.claim((await journal.begin(JOB)).id, ITEM)).id, part(1))
    real = database.connect

    def connect(path: Path) -> sqlite3.Connection:
        connection = real(path)
        connection.execute(limit).fetchall()
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(database, "connect", connect)
        async with opened() as journal:
            job = await journal.begin(OTHER_JOB)
            for number in range(2000):
                journal.note_finished(job.id, f"name-{number}", "print" * 20, 1)
            item = await journal.claim(job.id, RANGE)
            await journal.note_part(item.id, part(1))
            with pytest.raises(HeldError):
                await journal.claim(job.id, RANGE)
            with pytest.raises(HeldError):
                await journal.begin(OTHER_JOB)
            await journal.release(item.id)
            assert (await journal.claim(job.id, RANGE)).is_new
    assert len(warnings) == 1
    assert list(folder.glob("*damaged*")) == []
    async with opened() as journal:
        assert (await journal.jobs())[0].items[0].parts == (part(1),)


@pytest.mark.usefixtures("trouble")
async def test_a_file_that_stays_locked_ends_in_memory(
    opened: Open, folder: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.01)
    async with opened() as journal:
        await journal.begin(JOB)
    blocker = database.connect(folder / database.FILE_NAME)
    blocker.execute("BEGIN IMMEDIATE")
    async with opened() as journal:
        await works_in_memory(journal)
    blocker.close()
    [warning] = warnings
    assert "locked" in warning


def aside_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*damaged*") if not path.name.endswith(("-wal", "-shm")))


@pytest.mark.usefixtures("trouble")
async def test_garbage_is_set_aside(opened: Open, folder: Path, warnings: list[str]) -> None:
    folder.mkdir(parents=True)
    for count in (1, 2, 3):
        (folder / database.FILE_NAME).write_bytes(b"garbage " * 1000)
        async with opened() as journal:
            assert (await journal.begin(JOB)).id > 0
        assert len(aside_of(folder)) == count
        assert all(path.read_bytes() == b"garbage " * 1000 for path in aside_of(folder))
    assert len(warnings) == 3
    assert all("transfer mpu ls" in warning for warning in warnings)
    assert all(str(path) in " ".join(warnings) for path in aside_of(folder))


def overwrite(folder: Path) -> None:
    """Damage every page of the open file, in place."""
    path = folder / database.FILE_NAME
    connection = database.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    with path.open("r+b") as file:
        file.write(b"\xff" * path.stat().st_size)


@pytest.mark.usefixtures("trouble")
async def test_damage_during_a_run_keeps_its_claims_and_what_it_records_from_then_on(
    opened: Open, folder: Path, warnings: list[str]
) -> None:
    async with opened() as journal, opened() as other:
        job = await journal.begin(JOB)
        item = await journal.claim(job.id, ITEM)
        await journal.set_upload(item.id, "upload-1")
        await journal.note_part(item.id, part(1))
        overwrite(folder)
        assert await other.jobs() == ()
        assert len(aside_of(folder)) == 1
        await journal.note_part(item.id, part(2))
        journal.note_finished(job.id, "a", "print", 1)
        assert await journal.find_finished(job.id, ["a"]) == {"a": "print"}
        with pytest.raises(HeldError):
            await journal.claim(job.id, ITEM)
        with pytest.raises(HeldError):
            await other.begin(JOB)
        second = await other.begin(OTHER_JOB)
        assert second.id != job.id
        with pytest.raises(HeldError):
            await other.claim(second.id, ITEM)
        assert len(aside_of(folder)) == 1
        [found] = [item for job in await journal.jobs() for item in job.items]
        assert (found.identity, found.upload_id, found.parts) == (ITEM, "upload-1", (part(2),))
    assert len(warnings) == 1


@pytest.mark.usefixtures("trouble")
async def test_what_was_lost_to_damage_never_mixes_with_the_records_of_others(opened: Open, folder: Path) -> None:
    async with opened() as journal, opened() as other:
        job = await journal.begin(JOB)
        item = await journal.claim(job.id, ITEM)
        overwrite(folder)
        theirs = await other.begin(OTHER_JOB)
        assert (await other.claim(theirs.id, RANGE)).is_new
        assert theirs.id == job.id
        assert not await journal.set_upload(item.id, "upload-1")
        assert not await journal.note_part(item.id, part(1))
        journal.note_finished(job.id, "a", "print", 1)
        assert await journal.find_finished(job.id, ["a"]) == {}
        await journal.end(job.id, keep=False)
        found = await the_job(other)
        assert (found.description, found.finished_items) == (OTHER_JOB, 0)
        assert [(item.identity, item.parts) for item in found.items] == [(RANGE, ())]
        reader = database.connect(folder / database.FILE_NAME)
        assert reader.execute("SELECT * FROM parts").fetchall() == []
        reader.close()


def test_a_file_that_another_process_has_replaced_is_left_alone(folder: Path) -> None:
    asides: list[Path] = []
    first = database.open_database(str(folder), asides.append)
    second = database.open_database(str(folder), asides.append)
    aside = first.set_aside()
    assert aside is not None
    assert aside.exists()
    fresh = database.open_database(str(folder), asides.append)
    fresh.connection.execute("INSERT INTO runs VALUES (1, 2, 3, 4)")
    assert not second.is_current()
    assert second.set_aside() is None
    fresh.close()
    again = database.open_database(str(folder), asides.append)
    assert again.connection.execute("SELECT * FROM runs").fetchall() == [(1, 2, 3.0, 4)]
    again.close()
    assert asides == []


def test_operations_that_met_damage_are_done_again_from_the_start(folder: Path) -> None:
    warnings: list[str] = []
    keeper = Keeper(str(folder), warnings.append)
    [job] = keeper.perform([lambda records: records.begin(JOB)], creates=True)
    assert isinstance(job, StartedJob)
    connection = database.connect(folder / database.FILE_NAME)
    connection.execute("DROP TABLE finished")
    connection.close()
    works: list[Work] = [
        lambda records: records.claim(job.id, ITEM),
        lambda records: records.find_finished(job.id, ["a"]),
        lambda records: records.claim(job.id, ITEM),
    ]
    item, found, held = keeper.perform(works, creates=True)
    keeper.close()
    assert isinstance(item, UnfinishedItem)
    assert found == {}
    assert isinstance(held, HeldError)
    assert len(warnings) == 1


@pytest.mark.usefixtures("trouble")
async def test_a_file_that_is_removed_under_a_run_is_made_again(opened: Open, folder: Path) -> None:
    async with opened() as journal:
        job = await journal.begin(JOB)
        item = await journal.claim(job.id, ITEM)
        for path in folder.glob(f"{database.FILE_NAME}*"):
            path.unlink()
        await journal.note_part(item.id, part(1))
        journal.note_finished(job.id, "a", "print", 3)
        found = await the_job(journal)
        assert (found.id, found.finished_items, found.items[0].parts) == (job.id, 1, (part(1),))


@pytest.mark.parametrize(
    ("table", "column"),
    [("parts", "value"), ("parts", "offset"), ("items", "fingerprint"), ("jobs", "description"), ("finished", "size")],
)
async def test_a_row_that_changed_on_disk_is_dropped(opened: Open, folder: Path, table: str, column: str) -> None:
    async with opened() as journal:
        job = await journal.begin(JOB)
        await journal.note_part((await journal.claim(job.id, ITEM)).id, part(1))
        journal.note_finished(job.id, "a", "print", 1)
    connection = database.connect(folder / database.FILE_NAME)
    connection.execute(f"UPDATE {table} SET {column} = CAST({column} || '1' AS BLOB)")
    connection.close()
    async with opened() as journal:
        jobs = await journal.jobs()
        assert len(jobs) == (table != "jobs")
        assert sum(len(job.items) for job in jobs) == (table not in ("jobs", "items"))
        job = await journal.begin(JOB)
        assert job.is_new == (table == "jobs")
        assert len(await journal.find_finished(job.id, ["a"])) == (table not in ("finished", "jobs"))
        item = await journal.claim(job.id, ITEM)
        assert item.is_new == (table == "items")
        assert len(item.parts) == (table in ("jobs", "finished"))


async def test_an_old_sign_of_life_is_renewed_by_parts(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as journal:
        job = await journal.begin(JOB)
        item = await journal.claim(job.id, ITEM)
        before = await the_job(journal)
        monkeypatch.setattr(disk, "_TOUCH_SECONDS", -1.0)
        await journal.note_part(item.id, part(1))
        after = await the_job(journal)
        assert after.touched_seconds > before.touched_seconds
        assert after.began_seconds == before.began_seconds


def test_start_up_does_not_load_the_database() -> None:
    script = "import sys, transfer.journal.journal\nassert 'sqlite3' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], cwd=PROJECT, check=True)


async def test_lock_files_that_cannot_be_opened_count_as_living_and_do_no_harm(opened: Open, folder: Path) -> None:
    async with opened() as journal:
        await journal.begin(JOB)
    strange = folder / "runs" / f"{'a' * 16}.lock"
    strange.mkdir()
    dead = folder / "runs" / f"{'b' * 16}.lock"
    dead.touch()
    async with opened() as journal:
        assert not (await journal.begin(JOB)).is_new
        assert strange.exists()
        assert not dead.exists()
    assert liveness.Runs(str(folder)).is_alive(strange.stem)


def test_a_lock_file_that_is_forbidden_counts_as_living(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(parents=True)
    runs, other = liveness.Runs(str(folder)), liveness.Runs(str(folder))
    forbidden = other.hold()
    other._path("c" * 16).touch()
    real = os.open

    def refuse(path: Path, *rest: int) -> int:
        if path.stem == forbidden:
            raise PermissionError
        return real(path, *rest)

    monkeypatch.setattr("transfer.journal.liveness.os.open", refuse)
    runs.sweep()
    assert runs.is_alive(forbidden)
    assert [path.stem for path in (folder / "runs").iterdir()] == [forbidden]
    other.release()


def test_a_dead_file_that_cannot_be_removed_is_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = liveness.Runs(str(folder))
    stale = folder / "runs" / f"{'a' * 16}.lock"
    stale.parent.mkdir(parents=True)
    stale.touch()

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "unlink", refuse)
    runs.sweep()
    assert not runs.is_alive(stale.stem)


async def test_the_items_of_a_job_are_read_beside_a_writer(opened: Open, folder: Path) -> None:
    async with opened() as journal, opened() as other:
        job, foreign = await journal.begin(JOB), await other.begin(OTHER_JOB)
        item = await journal.claim(job.id, ITEM)
        await journal.set_upload(item.id, "upload-1")
        await journal.note_part(item.id, part(1))
        await other.claim(foreign.id, RANGE)
        blocker = database.connect(folder / database.FILE_NAME)
        blocker.execute("BEGIN IMMEDIATE")
        [found] = await journal.items_of(job.id)
        assert (found.identity, found.upload_id, found.parts, found.is_new) == (ITEM, "upload-1", (), False)
        assert await journal.items_of(foreign.id) == ()
        assert await journal.items_of(99) == ()
        blocker.close()
        await journal.end(job.id, keep=True)
        assert await journal.items_of(job.id) == ()


async def test_what_is_on_disk_is_told(opened: Open) -> None:
    async with opened() as journal:
        item = await journal.claim((await journal.begin(JOB)).id, ITEM)
        assert await journal.set_upload(item.id, "upload-1")
        assert await journal.set_temporary(item.id, "name")
        assert await journal.note_part(item.id, part(1))
        assert await journal.note_part(item.id, part(1))
        await journal.release(item.id)
        assert not await journal.set_upload(item.id, "upload-1")
        assert not await journal.set_temporary(item.id, "name")
        assert not await journal.note_part(item.id, part(1))


@pytest.mark.usefixtures("trouble")
async def test_what_is_in_memory_alone_is_told(opened: Open, folder: Path) -> None:
    folder.parent.parent.joinpath("state").write_text("a file where a folder should be")
    async with opened() as journal:
        job = await journal.begin(JOB)
        item = await journal.claim(job.id, ITEM)
        assert not await journal.set_upload(item.id, "upload-1")
        assert not await journal.set_temporary(item.id, "name")
        assert not await journal.note_part(item.id, part(1))
        assert await journal.items_of(job.id) == ()


@pytest.fixture
def levels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The level of `PRAGMA synchronous` of each transaction that writes."""
    found: list[str] = []
    level = ""
    real = database.connect

    def trace(text: str) -> None:
        nonlocal level
        if text.startswith("PRAGMA synchronous = "):
            level = text.rsplit(maxsplit=1)[-1]
        if text == "COMMIT":
            found.append(level)

    def connect(path: Path) -> sqlite3.Connection:
        connection = real(path)
        connection.set_trace_callback(trace)
        return connection

    monkeypatch.setattr(database, "connect", connect)
    return found


async def durability(journal: Journal, levels: list[str]) -> dict[str, str]:
    """The level of each operation; those before it are committed."""
    job = await journal.begin(JOB)
    found = {"begin": levels[-1]}
    item = await journal.claim(job.id, ITEM)
    found["claim"] = levels[-1]
    operations: dict[str, Callable[[], Coroutine[None, None, object]]] = {
        "part": lambda: journal.note_part(item.id, part(1)),
        "upload": lambda: journal.set_upload(item.id, "upload-1"),
        "drop": lambda: journal.drop_parts(item.id, [1]),
        "temporary": lambda: journal.set_temporary(item.id, "name"),
        "release": lambda: journal.release(item.id),
        "claim again": lambda: journal.claim(job.id, ITEM),
        "restart": lambda: journal.restart(item.id, ITEM),
        "finish": lambda: journal.finish(item.id),
    }
    for name, operation in operations.items():
        await operation()
        found[name] = levels[-1]
    return found


DURABLE = {"begin", "claim", "upload", "temporary", "claim again", "restart"}


async def test_what_names_things_at_the_store_survives_a_loss_of_power(opened: Open, levels: list[str]) -> None:
    async with opened() as journal:
        found = await durability(journal, levels)
    assert found == {name: "FULL" if name in DURABLE else "NORMAL" for name in found}


async def test_on_a_network_there_is_no_log_and_every_commit_is_synced(
    opened: Open, folder: Path, levels: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened() as journal:
        await journal.begin(OTHER_JOB)
    monkeypatch.setattr(database, "is_on_network", lambda _: True)
    async with opened() as journal:
        found = await durability(journal, levels)
        assert {path.name for path in folder.iterdir()} == {"journal.sqlite3", "journal.lock", "runs"}
        reader = database.connect(folder / database.FILE_NAME)
        assert reader.execute("PRAGMA journal_mode").fetchall() == [(b"delete",)]
        reader.close()
        assert len(await journal.jobs()) == 2
    assert found == {name: "EXTRA" if name in DURABLE else "FULL" for name in found}


def test_network_file_systems_are_told_from_local_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mountinfo = (
        "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
        "30 22 0:41 / /home rw shared:2 master:1 - nfs4 server:/home rw,vers=4.2\n"
        "31 22 0:42 / /mnt/a\\040b rw - cifs //server/share rw\n"
        "32 22 0:43 / /mnt/c rw - fuse.sshfs host: rw\n"
        "33 22 0:44 / /mnt/d rw - fuseblk /dev/sdb1 rw\n"
        "34 22 0:45 / /mnt/e rw - tmpfs nfs rw\n"
    )
    assert devices_of_type(mountinfo, is_network_type) == {os.makedev(0, minor) for minor in (41, 42, 43)}
    assert devices_of_type("", is_network_type) == frozenset()
    shared = f"1 1 {os.major(tmp_path.stat().st_dev)}:{os.minor(tmp_path.stat().st_dev)} / / rw - nfs4 host:/ rw\n"
    monkeypatch.setattr("transfer.journal.network.read_mounts", lambda: mountinfo)
    assert not is_on_network(tmp_path)
    monkeypatch.setattr("transfer.journal.network.read_mounts", lambda: mountinfo + shared)
    assert is_on_network(tmp_path)


@pytest.fixture
async def blocked(opened: Open, folder: Path) -> AsyncIterator[Journal]:
    """A journal with a claim, whose file another process keeps locked until the journal is closed."""
    async with opened() as journal:
        job = await journal.begin(JOB)
        await journal.claim(job.id, ITEM)
        blocker = database.connect(folder / database.FILE_NAME)
        blocker.execute("BEGIN IMMEDIATE")
        yield journal
        await journal.aclose()
        blocker.close()
    async with opened() as journal:
        assert (await the_job(journal)).holder is None
        job = await journal.begin(JOB)
        assert not (await journal.claim(job.id, ITEM)).is_new


async def test_in_a_hurry_another_process_is_hardly_waited_for(blocked: Journal) -> None:
    blocked.hurry()
    await blocked.release(1)
    assert not await blocked.note_part(1, part(1))
    await blocked.end(1, keep=True)


async def test_a_wait_that_has_begun_ends_in_a_hurry(blocked: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = asyncio.Event()
    loop, real = asyncio.get_running_loop(), time.sleep

    def sleep(seconds: float) -> None:
        loop.call_soon_threadsafe(waits.set)
        real(seconds)

    monkeypatch.setattr("transfer.journal.database.time.sleep", sleep)
    monkeypatch.setattr(database, "WAIT_SECONDS", 1e6)
    releasing = asyncio.create_task(blocked.release(1))
    await waits.wait()
    blocked.hurry()
    await releasing


async def test_a_hurried_run_still_writes_when_nobody_is_in_the_way(opened: Open) -> None:
    async with opened() as journal:
        job = await journal.begin(JOB)
        item = await journal.claim(job.id, ITEM)
        journal.hurry()
        assert await journal.note_part(item.id, part(1))
        await journal.finish(item.id)
        await journal.end(job.id, keep=False)
    async with opened() as journal:
        assert await journal.jobs() == ()


def count_notes(folder: Path) -> int:
    reader = database.connect(folder / database.FILE_NAME)
    [[count]] = reader.execute("SELECT count(*) FROM finished").fetchall()
    reader.close()
    return int(count)


@pytest.mark.parametrize("way", ["end", "forget"])
async def test_many_notes_of_a_job_are_deleted_in_pieces(
    opened: Open, folder: Path, levels: list[str], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(finished, "DELETED_ROWS", 10)
    monkeypatch.setattr(keeper, "_LET_IN_SECONDS", 0.0)
    async with opened() as journal:
        kept, gone = await journal.begin(OTHER_JOB), await journal.begin(JOB)
        for number in range(95):
            journal.note_finished(gone.id, f"name-{number}", "print", 1)
            journal.note_finished(kept.id, f"name-{number}", "print", 1)
        await journal.find_finished(gone.id, [])
        before = len(levels)
        await (journal.end(gone.id, keep=False) if way == "end" else journal.forget(gone.id))
        assert [job.id for job in await journal.jobs()] == [kept.id]
    assert len(levels) - before >= 11
    assert count_notes(folder) == 95


async def test_notes_that_a_killed_run_did_not_delete_are_deleted_later(opened: Open, folder: Path) -> None:
    async with opened() as journal:
        job = await journal.begin(JOB)
        for number in range(5):
            journal.note_finished(job.id, f"name-{number}", "print", 1)
        await journal.find_finished(job.id, [])
        journal.hurry()
    connection = database.connect(folder / database.FILE_NAME)
    connection.execute("DELETE FROM jobs")
    connection.close()
    assert count_notes(folder) == 5
    async with opened() as journal:
        assert (await journal.begin(JOB)).is_new
    assert count_notes(folder) == 0
