"""A journal that was cut anywhere, or in which bytes changed, answers with a part of what was written, or nothing."""

import asyncio
import random
import shutil
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transfer.journal.claims import Claims
from transfer.journal.database import FILE_NAME, DamagedJournalError, check, connect, is_damage
from transfer.journal.disk import DiskRecords
from transfer.journal.finished import find_notes
from transfer.journal.journal import Journal
from transfer.journal.liveness import Runs
from transfer.model.unfinished import Direction, FinishedPart, ItemIdentity, JobDescription, UnfinishedJob

JOBS = [JobDescription("e", ("/a",), "s3://b/"), JobDescription("e", ("s3://b/c",), "/d")]
ITEMS = [
    ItemIdentity(Direction.UPLOAD, "e", "/a/1", "s3://b/1", "size=1 mtime=2", 1 << 33),
    ItemIdentity(Direction.DOWNLOAD, "e", "s3://b/c", "/d", "etag=3", 1 << 20),
]
NAMES = [f"name-{number}" for number in range(6)]


def fingerprint_of(name: str) -> str:
    return f"print of {name}"


def without_holders(jobs: Iterable[UnfinishedJob]) -> tuple[UnfinishedJob, ...]:
    return tuple(replace(job, holder=None) for job in jobs)


@dataclass
class Written:
    """A journal's files, and every answer it ever gave.

    `log` is what SQLite had not yet moved into `main`.
    """

    main: bytes = b""
    log: bytes = b""
    answers: list[tuple[UnfinishedJob, ...]] = field(default_factory=list)

    def allows(self, jobs: Iterable[UnfinishedJob]) -> bool:
        """Whether each record is one that was written, and each item's parts are some of those it had then."""
        return all(self._allows_job(job) for job in without_holders(jobs))

    def _allows_job(self, job: UnfinishedJob) -> bool:
        written = [known for answer in self.answers for known in answer]
        items = [item for known in written for item in known.items]
        return any(replace(job, items=()) == replace(known, items=()) for known in written) and all(
            any(
                replace(item, parts=()) == replace(known, parts=()) and set(item.parts) <= set(known.parts)
                for known in items
            )
            for item in job.items
        )


def make_small_pages(folder: Path) -> None:
    folder.mkdir()
    connection = sqlite3.connect(folder / FILE_NAME)
    connection.execute("PRAGMA page_size = 512")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


async def write(folder: Path, written: Written, parts: Iterable[int], *, again: bool) -> None:
    """Record two jobs with one item each; again: one item from nothing, the other further."""

    async def answered() -> None:
        written.answers.append(without_holders(await journal.jobs()))

    journal = Journal(str(folder), pytest.fail)
    for description, identity in zip(JOBS, ITEMS, strict=True):
        job = await journal.begin(description)
        await answered()
        item = await journal.claim(job.id, identity)
        await answered()
        if again and identity is ITEMS[0]:
            await journal.restart(item.id, replace(identity, fingerprint="size=1 mtime=9"))
            await answered()
        await journal.set_upload(item.id, f"upload-{again}")
        await answered()
        for number in parts:
            await journal.note_part(item.id, FinishedPart(number, number << 23, 1 << 23, bytes([number]) * 8, "etag"))
            await answered()
        if not again:
            for name in NAMES:
                journal.note_finished(job.id, name, fingerprint_of(name), 10)
            await answered()
    if again:
        shutil.copy(folder / FILE_NAME, folder / "copy")
        shutil.copy(folder / f"{FILE_NAME}-wal", folder / "copy-wal")
    await journal.aclose()
    written.answers.append(without_holders(await journal_jobs(folder)))


async def journal_jobs(folder: Path) -> tuple[UnfinishedJob, ...]:
    journal = Journal(str(folder), pytest.fail)
    jobs = await journal.jobs()
    await journal.aclose()
    return jobs


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder, written = tmp_path_factory.mktemp("closed") / "state", Written()
    make_small_pages(folder)
    asyncio.run(write(folder, written, range(1, 9), again=False))
    written.main = (folder / FILE_NAME).read_bytes()
    return written


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder, written = tmp_path_factory.mktemp("live") / "state", Written()
    make_small_pages(folder)
    asyncio.run(write(folder, written, (1, 2), again=False))
    asyncio.run(write(folder, written, (2, 3), again=True))
    written.main, written.log = (folder / "copy").read_bytes(), (folder / "copy-wal").read_bytes()
    return written


class Reader:
    """Reads files as the journal does when it opens them, without replacing those that are damaged."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._runs = Runs(str(folder))

    def read(self, main: bytes, log: bytes) -> tuple[UnfinishedJob, ...] | None:
        """All jobs, or None when the files are damaged; whatever is wrong is recognised as damage."""
        self._path.write_bytes(main)
        if log:
            self._path.with_name(f"{FILE_NAME}-wal").write_bytes(log)
        connection = connect(self._path)
        try:
            check(connection, len(main))
            for job_id in (1, 2):
                found = find_notes(connection, job_id, [name.encode() for name in NAMES])
                assert {(name, fingerprint_of(name), 10) for name in NAMES} >= set(found)
            return DiskRecords(connection, self._runs, Claims()).jobs()
        except (sqlite3.Error, UnicodeDecodeError, DamagedJournalError) as error:
            if not is_damage(error):
                raise
            return None
        finally:
            # Files that are gone before they are closed need not reach the disk, which is most of the time.
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(FILE_NAME + suffix).unlink(missing_ok=True)
            connection.close()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(tmp_path_factory.mktemp("reader"))


def test_the_files_are_read_when_nothing_is_wrong(closed: Written, live: Written, reader: Reader) -> None:
    assert len(closed.main) < 30_000
    assert reader.read(closed.main, b"") == closed.answers[-1]
    assert reader.read(live.main, live.log) == live.answers[-2]
    assert [len(item.parts) for job in closed.answers[-1] for item in job.items] == [8, 8]
    assert [len(item.parts) for job in live.answers[-2] for item in job.items] == [2, 3]


def test_a_file_cut_at_any_byte_is_recognised(closed: Written, reader: Reader) -> None:
    for length in range(len(closed.main)):
        jobs = reader.read(closed.main[:length], b"")
        # SQLite takes what is missing of the last page for zeros.
        assert jobs is None or (length > len(closed.main) - 512 and closed.allows(jobs)), length


def test_a_log_cut_at_any_byte_gives_a_moment_of_the_past(live: Written, reader: Reader) -> None:
    found = {reader.read(live.main, live.log[:length]) for length in range(len(live.log))}
    assert found <= {*live.answers}
    assert len(found) >= 6


def test_a_file_cut_below_its_log_gives_nothing_that_was_not_written(live: Written, reader: Reader) -> None:
    for length in range(len(live.main)):
        jobs = reader.read(live.main[:length], live.log)
        assert jobs is None or live.allows(jobs), length


def test_each_changed_byte_is_recognised_or_harmless(closed: Written, reader: Reader) -> None:
    changed = bytearray(closed.main)
    generator = random.Random(8)
    for position in range(0, len(changed), 3):
        changed[position] ^= generator.randrange(1, 256)
        if position not in range(60, 64):
            jobs = reader.read(bytes(changed), b"")
            assert jobs is None or closed.allows(jobs), position
        changed[position] = closed.main[position]


async def open_and_use(folder: Path, written: Written) -> list[str]:
    """Open a damaged journal, as the next run would; answers its warnings."""
    warnings: list[str] = []
    journal = Journal(str(folder), warnings.append)
    assert written.allows(await journal.jobs())
    for description, identity in zip(JOBS, ITEMS, strict=True):
        job = await journal.begin(description)
        found = await journal.find_finished(job.id, NAMES)
        assert found.items() <= {name: fingerprint_of(name) for name in NAMES}.items()
        item = await journal.claim(job.id, identity)
        known = [known for answer in written.answers for job in answer for known in job.items]
        assert item.is_new or any(
            (item.identity, item.upload_id) == (known.identity, known.upload_id) and {*item.parts} <= {*known.parts}
            for known in known
        )
        await journal.note_part(item.id, FinishedPart(99, 0, 1, b""))
        journal.note_finished(job.id, "new", "print", 1)
        await journal.finish(item.id)
        await journal.end(job.id, keep=False)
    await journal.aclose()
    return warnings


def use(main: bytes, log: bytes, folder: Path, written: Written) -> list[str]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / FILE_NAME).write_bytes(main)
    if log:
        (folder / f"{FILE_NAME}-wal").write_bytes(log)
    return asyncio.run(open_and_use(folder, written))


def test_a_run_goes_on_with_a_cut_file(closed: Written, live: Written, tmp_path: Path) -> None:
    for length in range(2, len(closed.main) - 512, 499):
        [warning] = use(closed.main[:length], b"", tmp_path / "state", closed)
        assert "set aside" in warning
        [aside] = (path for path in (tmp_path / "state").glob("*damaged*") if path.suffix[-4:] not in ("-wal", "-shm"))
        assert str(aside) in warning
    for length in range(1, len(live.log), 499):
        assert use(live.main, live.log[:length], tmp_path / "state", live) == []


@given(data=st.data())
@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_run_goes_on_with_changed_bytes(closed: Written, live: Written, tmp_path: Path, data: st.DataObject) -> None:
    written = data.draw(st.sampled_from([closed, live]))
    main, log = bytearray(written.main), bytearray(written.log)
    for target in [target for target in (main, log) if target]:
        for position in data.draw(st.lists(st.integers(0, len(target) - 1), max_size=8)):
            target[position] = data.draw(st.integers(0, 255))
    assert len(use(bytes(main), bytes(log), tmp_path / "state", written)) <= 2
