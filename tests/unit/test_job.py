import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from transfer.engine.job import Claim, Job, can_continue
from transfer.journal.journal import Journal
from transfer.model.errors import (
    ChecksumMismatchError,
    ConfigurationError,
    ConnectError,
    HeldError,
    LocalFileError,
    SchemeError,
    SourceChangedError,
    StalledError,
    StoreError,
    TransferError,
    UsageError,
    WireError,
)
from transfer.model.unfinished import (
    Direction,
    FinishedPart,
    ItemIdentity,
    JobDescription,
    UnfinishedItem,
    UnfinishedJob,
)

DESCRIPTION = JobDescription("https://store", ("/a",), "s3://b/k")
ITEM = ItemIdentity(Direction.UPLOAD, "https://store", "/a", "s3://b/k", "size=9", 9)
PART = FinishedPart(1, 0, 5, b"value", '"etag"')

Open = Callable[[], AbstractAsyncContextManager[Journal]]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    @asynccontextmanager
    async def make() -> AsyncIterator[Journal]:
        journal = Journal(str(tmp_path / "state"), warnings.append)
        try:
            yield journal
        finally:
            await journal.aclose()
        assert warnings == []

    warnings: list[str] = []
    return make


def single(journal: Journal | None) -> Job:
    return Job(journal, DESCRIPTION, is_tree=False)


def tree(journal: Journal | None) -> Job:
    return Job(journal, DESCRIPTION, is_tree=True)


async def jobs(opened: Open) -> tuple[UnfinishedJob, ...]:
    async with opened() as journal:
        return await journal.jobs()


async def leave_part(opened: Open, make: Callable[[Journal], Job]) -> None:
    async with opened() as journal:
        job = make(journal)
        claim = await job.claim(ITEM)
        await claim.set_upload("upload")
        await claim.note_part(PART)
        await claim.release()
        assert await job.end(is_done=False)


async def test_without_a_journal_nothing_is_remembered() -> None:
    job = tree(None)
    await job.begin()
    claim = await job.claim(ITEM)
    assert (claim.item.identity, claim.item.is_new, claim.remembers) == (ITEM, True, False)
    await claim.set_upload("upload")
    await claim.set_temporary("file")
    await claim.note_part(PART)
    await claim.restart(ITEM)
    await claim.release()
    await claim.finish()
    job.note_finished("name", "fingerprint", 1)
    assert await job.finished(["name"]) == {}
    assert await job.leftovers() == ()
    assert await job.end(is_done=False) is False
    assert job.endpoint == "https://store"


async def test_job_that_never_began_leaves_no_file(opened: Open, tmp_path: Path) -> None:
    async with opened() as journal:
        job = single(journal)
        job.note_finished("name", "fingerprint", 1)
        assert await job.finished(["name"]) == {}
        assert await job.end(is_done=False) is False
    assert not (tmp_path / "state").exists()


async def test_what_is_released_is_there_for_the_next_run(opened: Open) -> None:
    await leave_part(opened, single)
    async with opened() as journal:
        job = single(journal)
        claim = await job.claim(ITEM)
        assert (claim.item.upload_id, claim.item.parts, claim.has_upload) == ("upload", (PART,), True)
        assert claim.remembers
        await claim.finish()
        assert await job.end(is_done=True) is False
    assert await jobs(opened) == ()


async def test_restarted_item_has_no_upload_and_no_parts(opened: Open) -> None:
    await leave_part(opened, single)
    async with opened() as journal:
        claim = await single(journal).claim(ITEM)
        await claim.restart(ITEM)
        assert not claim.has_upload
    [job] = await jobs(opened)
    [item] = job.items
    assert (item.upload_id, item.parts) == (None, ())


async def test_nothing_happens_after_the_end_of_a_claim(opened: Open) -> None:
    async with opened() as journal:
        job = single(journal)
        claim = await job.claim(ITEM)
        await claim.release()
        await claim.finish()
        await claim.set_upload("late")
        await claim.note_part(PART)
        assert not claim.remembers
        assert await job.end(is_done=False)
    [kept] = await jobs(opened)
    [item] = kept.items
    assert (item.upload_id, item.parts) == (None, ())


@pytest.mark.parametrize("make", [single, tree])
async def test_job_whose_items_are_all_given_up_for_good_is_forgotten(
    opened: Open, make: Callable[[Journal], Job]
) -> None:
    async with opened() as journal:
        job = make(journal)
        claim = await job.claim(ITEM)
        await claim.finish()
        await claim.release()
        assert await job.end(is_done=False) is False
    assert await jobs(opened) == ()


async def test_only_item_given_up_by_a_later_run_takes_its_job_along(opened: Open) -> None:
    await leave_part(opened, single)
    async with opened() as journal:
        job = single(journal)
        await (await job.claim(ITEM)).finish()
        assert await job.end(is_done=False) is False
    assert await jobs(opened) == ()


async def test_tree_of_an_earlier_run_is_kept_until_it_is_done(opened: Open) -> None:
    await leave_part(opened, tree)
    async with opened() as journal:
        job = tree(journal)
        await job.begin()
        [item] = await job.leftovers()
        assert item.upload_id == "upload"
        assert await job.end(is_done=False)
    async with opened() as journal:
        job = tree(journal)
        await job.begin()
        assert await job.end(is_done=True) is False
    assert await jobs(opened) == ()


async def test_claimed_and_finished_items_are_no_leftovers(opened: Open) -> None:
    await leave_part(opened, tree)
    async with opened() as journal:
        job = tree(journal)
        await (await job.claim(ITEM)).finish()
        assert await job.leftovers() == ()


async def test_notes_of_a_tree_are_found_again(opened: Open) -> None:
    async with opened() as journal:
        job = tree(journal)
        await job.begin()
        job.note_finished("one", "1", 10)
        job.note_finished("two", "2", 20)
        assert await job.end(is_done=False)
    async with opened() as journal:
        job = tree(journal)
        await job.begin()
        assert job.earlier_items == 2
        assert await job.finished(["one", "three", "two"]) == {"one": "1", "two": "2"}


async def test_job_of_another_run_is_held(opened: Open) -> None:
    async with opened() as first, opened() as second:
        await tree(first).begin()
        with pytest.raises(HeldError):
            await tree(second).begin()


async def test_item_of_another_run_is_held_and_keeps_no_job(opened: Open) -> None:
    async with opened() as first, opened() as second:
        await single(first).claim(ITEM)
        other = Job(second, JobDescription("https://store", ("/",), "s3://b/"), is_tree=True)
        with pytest.raises(HeldError):
            await other.claim(ITEM)
        assert await other.end(is_done=False) is False


async def test_claim_that_is_cancelled_loses_nothing(opened: Open) -> None:
    await leave_part(opened, single)
    async with opened() as journal:
        job = single(journal)
        await job.begin()
        claiming = asyncio.ensure_future(job.claim(ITEM))
        await asyncio.sleep(0)
        claiming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await claiming
        assert await job.end(is_done=False)
    [kept] = await jobs(opened)
    assert [item.upload_id for item in kept.items] == ["upload"]


async def test_forgetful_claim_remembers_nothing() -> None:
    claim = Claim.forgetful(ITEM)
    assert not claim.remembers
    assert not claim.has_upload


def refusal(status: int, code: str) -> StoreError:
    return StoreError("refused", status=status, code=code)


@pytest.mark.parametrize(
    "error",
    [
        WireError("gone"),
        StalledError("silent"),
        ConfigurationError("no credentials"),
        refusal(500, "InternalError"),
        refusal(503, "SlowDown"),
        refusal(400, "ExpiredToken"),
        refusal(403, "SignatureDoesNotMatch"),
        KeyboardInterrupt(),
        asyncio.CancelledError(),
        MemoryError(),
    ],
)
def test_interruptions_and_trouble_can_be_gone_on_from(error: BaseException) -> None:
    assert can_continue(error)


@pytest.mark.parametrize(
    "error",
    [
        LocalFileError("no space"),
        SourceChangedError("written"),
        UsageError("too large"),
        ChecksumMismatchError("other bytes"),
        refusal(403, "AccessDenied"),
        refusal(404, "NoSuchUpload"),
        refusal(412, "PreconditionFailed"),
        TransferError("unknown"),
    ],
)
def test_faults_of_the_item_cannot(error: BaseException) -> None:
    assert not can_continue(error)


REFUSED = refusal(500, "InternalError")
LOST = WireError("closed")
UNREACHED = ConnectError("refused")


@pytest.mark.parametrize(
    ("is_new", "may_have_upload", "error", "is_given_up"),
    [
        (True, False, UNREACHED, True),
        (True, True, UNREACHED, False),
        (False, True, UNREACHED, False),
        (True, True, SchemeError("https"), True),
        (False, True, SchemeError("https"), False),
        (True, True, LOST, False),
        (True, True, REFUSED, True),
        (True, True, LocalFileError("gone"), True),
    ],
)
def test_upload_of_which_nothing_can_be_there_is_given_up(
    is_new: bool, may_have_upload: bool, error: TransferError, is_given_up: bool
) -> None:
    claim = Claim(None, UnfinishedItem(1, ITEM, None, None, 0.0, (), is_new=is_new), None, lambda: None)
    assert claim.may_have_upload is not is_new
    claim.may_have_upload = may_have_upload
    assert claim.leaves_nothing(error) is is_given_up
    claim.has_upload = True
    assert not claim.leaves_nothing(error)
