"""The second run of a command that was stopped: what is there counts, what is not is moved, and nothing is left."""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.integration.interrupting import (
    OPTIONS,
    SIZE,
    Scene,
    Watch,
    begins,
    carries_part,
    completes,
    line_cut,
    moves,
    overloaded,
)
from tests.integration.samples import (
    MIB,
    PART,
    get_object,
    keys_in,
    objects_in,
    put_objects,
    read_tree,
    sample,
    settled,
    until,
    write_tree,
)
from transfer import Transfer, TransferError
from transfer.engine.describing import REMEMBERED_VARIABLES
from transfer.engine.jobs import forget_job
from transfer.journal.database import FILE_NAME
from transfer.model.checksums import ChecksumAlgorithm, VerifiedBy
from transfer.model.errors import ConnectError, HeldError, SourceChangedError, StoreError, WireError
from transfer.model.objects import ObjectProperties
from transfer.model.receipts import Failure, Outcome, Receipt
from transfer.stores.local.durable import DurableFile
from transfer.stores.s3.store import Call

one_server = pytest.mark.parametrize("server", ["seaweedfs"], indirect=True)
"""For what has nothing to do with the store's ways."""


@pytest.fixture
def scene(oracle: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr("transfer.engine.upload.MULTIPART_THRESHOLD_BYTES", PART)
    return Scene(oracle, bucket, tmp_path, Watch(monkeypatch))


@pytest.fixture
def source(scene: Scene) -> Path:
    path = scene.folder / "source"
    path.write_bytes(sample(SIZE))
    return path


async def assert_nothing_left(scene: Scene) -> None:
    assert scene.uploads() == []
    assert [name for name in read_tree(scene.folder) if name.endswith(".transfer")] == []
    assert await scene.jobs() == ()
    assert set(scene.rows().values()) == {0}


ALGORITHMS = [None, ChecksumAlgorithm.CRC32, ChecksumAlgorithm.SHA256, ChecksumAlgorithm.MD5, ChecksumAlgorithm.NONE]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_upload_goes_on_with_any_checksum(
    scene: Scene, source: Path, algorithm: ChecksumAlgorithm | None
) -> None:
    options = replace(OPTIONS, checksum=algorithm)
    item = await scene.interrupt(source, scene.url(), parts=2, options=options)
    assert item.upload_id in scene.uploads()
    assert len(item.parts) == 2

    second = await scene.run(source, scene.url(), options)

    assert second.receipt.resumed_bytes == item.finished_bytes > 0
    assert second.moved == SIZE - item.finished_bytes
    assert get_object(scene.oracle, scene.bucket, "key") == source.read_bytes()
    await assert_nothing_left(scene)
    whole = await scene.run(source, scene.url("other"), options)
    assert (second.receipt.verified_by, second.receipt.checksum) == (whole.receipt.verified_by, whole.receipt.checksum)


async def test_upload_of_which_all_is_there_is_only_completed(scene: Scene, source: Path) -> None:
    item = await scene.interrupt(source, scene.url(), at=completes)
    assert item.finished_bytes == SIZE

    second = await scene.run(source, scene.url())

    assert (second.receipt.resumed_bytes, second.moved) == (SIZE, 0)
    assert scene.watch.seen(carries_part) == []
    assert get_object(scene.oracle, scene.bucket, "key") == source.read_bytes()
    await assert_nothing_left(scene)


async def test_upload_goes_on_with_md5_where_the_store_refused_more(scene: Scene, source: Path) -> None:
    def refuse(call: Call) -> TransferError | None:
        if not any(name.startswith("x-amz-checksum") for name in call.headers):
            return None
        return StoreError("not known", status=400, code="InvalidArgument", subject=str(call.location))

    scene.watch.refuses = refuse
    item = await scene.interrupt(source, scene.url(), parts=2)

    second = await scene.run(source, scene.url())

    assert (second.receipt.resumed_bytes, second.moved) == (item.finished_bytes, SIZE - item.finished_bytes)
    assert second.receipt.verified_by is VerifiedBy.MD5_ETAG
    assert get_object(scene.oracle, scene.bucket, "key") == source.read_bytes()
    await assert_nothing_left(scene)


def write_other(path: Path) -> None:
    path.write_bytes(sample(SIZE, seed=1))


def touch(path: Path) -> None:
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))


def replace_by_equal(path: Path) -> None:
    status = path.stat()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.rename(path)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


@one_server
@pytest.mark.parametrize("change", [write_other, touch, replace_by_equal, grow])
async def test_changed_source_is_sent_anew(scene: Scene, source: Path, change: Callable[[Path], None]) -> None:
    item = await scene.interrupt(source, scene.url())
    change(source)

    second = await scene.run(source, scene.url())

    assert (second.receipt.resumed_bytes, second.moved) == (0, source.stat().st_size)
    assert [str(source) in warning and "anew" in warning for warning in second.warnings] == [True]
    assert [call.location.key for call in scene.watch.seen(lambda call: call.method == "DELETE")] == ["key"]
    assert item.upload_id not in scene.uploads()
    assert get_object(scene.oracle, scene.bucket, "key") == source.read_bytes()
    await assert_nothing_left(scene)


@one_server
async def test_other_properties_are_another_object(scene: Scene, source: Path) -> None:
    await scene.interrupt(source, scene.url())
    options = replace(OPTIONS, properties=ObjectProperties(metadata={"colour": "blue"}))

    second = await scene.run(source, scene.url(), options)

    assert (second.receipt.resumed_bytes, second.moved) == (0, SIZE)
    assert scene.oracle.head_object(Bucket=scene.bucket, Key="key")["Metadata"]["colour"] == "blue"
    assert scene.uploads() == []
    assert await scene.jobs() == ()


@one_server
async def test_other_part_size_is_sent_anew(scene: Scene, source: Path) -> None:
    await scene.interrupt(source, scene.url())

    second = await scene.run(source, scene.url(), replace(OPTIONS, part_size_bytes=6 * MIB))

    assert (second.receipt.resumed_bytes, second.moved) == (0, SIZE)
    assert len(second.warnings) == 1
    assert get_object(scene.oracle, scene.bucket, "key") == source.read_bytes()
    await assert_nothing_left(scene)


def denied(call: Call) -> TransferError:
    return StoreError("Access Denied", status=403, code="AccessDenied", subject=str(call.location))


@one_server
@pytest.mark.parametrize("is_changed", [True, False])
async def test_upload_out_of_reach_is_not_forgotten(scene: Scene, source: Path, is_changed: bool) -> None:
    item = await scene.interrupt(source, scene.url())
    if is_changed:
        touch(source)
    scene.watch.stop(lambda call: call.method == "DELETE" or lists_parts(call), failure=denied)

    async with scene.transfer() as transfer:
        with pytest.raises(StoreError, match="out of reach: Access Denied") as failure:
            await transfer.copy(source, scene.url())

    assert "--no-resume" in str(failure.value.remedy)
    assert scene.uploads() == [item.upload_id]
    second = await scene.run(source, scene.url())
    assert second.receipt.resumed_bytes == (0 if is_changed else item.finished_bytes)
    await assert_nothing_left(scene)


def lists_parts(call: Call) -> bool:
    return call.method == "GET" and "uploadId" in dict(call.query)


@pytest.mark.parametrize("is_all_there", [True, False])
async def test_upload_aborted_behind_our_back_is_sent_anew(scene: Scene, source: Path, is_all_there: bool) -> None:
    item = await scene.interrupt(source, scene.url(), at=completes if is_all_there else carries_part)
    scene.oracle.abort_multipart_upload(Bucket=scene.bucket, Key="key", UploadId=item.upload_id)

    second = await scene.run(source, scene.url())

    assert (second.receipt.resumed_bytes, second.moved) == (0, SIZE)
    assert get_object(scene.oracle, scene.bucket, "key") == source.read_bytes()
    await assert_nothing_left(scene)


def complete(scene: Scene, upload_id: str | None) -> None:
    found = scene.oracle.list_parts(Bucket=scene.bucket, Key="key", UploadId=upload_id)["Parts"]
    parts = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in found]
    scene.oracle.complete_multipart_upload(
        Bucket=scene.bucket, Key="key", UploadId=upload_id, MultipartUpload={"Parts": parts}
    )


async def test_completion_whose_answer_was_lost_is_found_out(scene: Scene, source: Path) -> None:
    item = await scene.interrupt(source, scene.url(), at=completes)
    complete(scene, item.upload_id)

    second = await scene.run(source, scene.url())

    assert (second.receipt.resumed_bytes, second.moved) == (SIZE, 0)
    assert {call.method for call in scene.watch.calls} == {"GET", "HEAD"}
    assert second.receipt.etag.strip('"') == scene.oracle.head_object(Bucket=scene.bucket, Key="key")["ETag"].strip('"')
    assert second.receipt.verified_by is not VerifiedBy.UNVERIFIED
    await assert_nothing_left(scene)


@pytest.mark.parametrize("server", ["moto"], indirect=True)
@pytest.mark.parametrize("failure", [line_cut, overloaded])
async def test_upload_that_could_not_be_proved_is_not_sent_again(
    scene: Scene, source: Path, failure: Callable[[Call], TransferError]
) -> None:
    scene.watch.stop(lambda call: call.method == "HEAD", failure=failure)
    async with scene.transfer() as transfer:
        with pytest.raises((WireError, StoreError)):
            await transfer.copy(source, scene.url())

    second = await scene.run(source, scene.url())

    assert (second.receipt.resumed_bytes, second.moved) == (SIZE, 0)
    await assert_nothing_left(scene)


@one_server
async def test_another_object_under_the_key_is_no_completion(scene: Scene, source: Path) -> None:
    item = await scene.interrupt(source, scene.url(), at=completes)
    complete(scene, item.upload_id)
    put_objects(scene.oracle, scene.bucket, {"key": sample(SIZE, seed=1)})

    second = await scene.run(source, scene.url())

    assert (second.receipt.resumed_bytes, second.moved) == (0, SIZE)
    assert get_object(scene.oracle, scene.bucket, "key") == source.read_bytes()
    await assert_nothing_left(scene)


@pytest.mark.parametrize("algorithm", [None, ChecksumAlgorithm.SHA256, ChecksumAlgorithm.MD5, ChecksumAlgorithm.NONE])
async def test_parts_the_journal_does_not_know_count_when_equal(
    scene: Scene, source: Path, algorithm: ChecksumAlgorithm | None
) -> None:
    options = replace(OPTIONS, checksum=algorithm)
    item = await scene.interrupt(source, scene.url(), parts=2, options=options)
    scene.change_journal("DELETE FROM parts")

    second = await scene.run(source, scene.url(), options)

    assert (second.receipt.resumed_bytes, second.moved) == (item.finished_bytes, SIZE - item.finished_bytes)
    assert get_object(scene.oracle, scene.bucket, "key") == source.read_bytes()
    await assert_nothing_left(scene)


@pytest.mark.parametrize("is_equal", [True, False])
@pytest.mark.parametrize("is_known", [True, False])
async def test_part_somebody_else_has_sent_counts_only_when_equal(
    scene: Scene, source: Path, is_equal: bool, is_known: bool
) -> None:
    options = replace(OPTIONS, checksum=ChecksumAlgorithm.MD5)
    item = await scene.interrupt(source, scene.url(), parts=1, options=options)
    noted = item.parts[0].number
    number = noted if is_known else noted % 2 + 1
    content = source.read_bytes()[(number - 1) * PART : number * PART]
    scene.oracle.upload_part(
        Bucket=scene.bucket,
        Key="key",
        UploadId=item.upload_id,
        PartNumber=number,
        Body=content if is_equal else sample(len(content), seed=2),
    )

    second = await scene.run(source, scene.url(), options)

    assert get_object(scene.oracle, scene.bucket, "key") == source.read_bytes()
    there = {noted, number} if is_equal else {noted} - {number}
    if is_known and not is_equal:
        # SeaweedFS keeps the older part beside the one that took its place, and ours counts.
        assert second.receipt.resumed_bytes <= item.finished_bytes
    else:
        assert second.receipt.resumed_bytes == sum(min(PART, SIZE - (found - 1) * PART) for found in there)
    await assert_nothing_left(scene)


@one_server
async def test_journal_that_is_gone_is_no_loss_but_of_time(scene: Scene, source: Path) -> None:
    item = await scene.interrupt(source, scene.url())
    shutil.rmtree(scene.state)

    second = await scene.run(source, scene.url())

    assert (second.receipt.resumed_bytes, second.moved, second.warnings) == (0, SIZE, [])
    assert get_object(scene.oracle, scene.bucket, "key") == source.read_bytes()
    # Whoever wants to be rid of it: transfer mpu abort.
    assert scene.uploads() == [item.upload_id]


@one_server
async def test_journal_full_of_garbage_is_set_aside(scene: Scene, source: Path) -> None:
    item = await scene.interrupt(source, scene.url())
    (scene.state / FILE_NAME).write_bytes(sample(20_000))

    second = await scene.run(source, scene.url())

    assert (second.receipt.resumed_bytes, second.moved) == (0, SIZE)
    assert ["set aside" in warning for warning in second.warnings] == [True]
    assert get_object(scene.oracle, scene.bucket, "key") == source.read_bytes()
    assert scene.uploads() == [item.upload_id]
    assert await scene.jobs() == ()


@one_server
async def test_state_folder_that_cannot_be_made_stops_nothing(scene: Scene, source: Path) -> None:
    (scene.folder / "file").write_bytes(b"")
    options = replace(OPTIONS, state_folder=str(scene.folder / "file" / "state"))

    run = await scene.run(source, scene.url(), options)

    assert run.moved == SIZE
    assert len(run.warnings) == 1
    assert scene.uploads() == []


async def begin_and_lose(scene: Scene, source: Path) -> str:
    """The store begins an upload, and its name is lost on the way."""
    item = await scene.interrupt(source, scene.url(), at=begins)
    assert item.upload_id is None
    begun: str = scene.oracle.create_multipart_upload(Bucket=scene.bucket, Key="key")["UploadId"]
    return begun


@one_server
async def test_upload_whose_name_was_lost_is_aborted(scene: Scene, source: Path) -> None:
    lost = await begin_and_lose(scene, source)
    longer = scene.oracle.create_multipart_upload(Bucket=scene.bucket, Key="key2")["UploadId"]

    second = await scene.run(source, scene.url())

    assert second.moved == SIZE
    assert scene.uploads() == [longer]
    assert lost != longer
    assert await scene.jobs() == ()


async def fail_to_reach(scene: Scene, source: Path) -> None:
    """Run once more while nothing listens where the store was."""
    scene.events.clear()
    scene.watch.stop(lambda _: True, failure=unreachable)
    async with scene.transfer() as transfer:
        with pytest.raises(ConnectError):
            await transfer.copy(source, scene.url())
    scene.watch.open()


def unreachable(_: Call) -> TransferError:
    return ConnectError("cannot connect")


@one_server
async def test_upload_that_never_reached_the_store_leaves_no_job(scene: Scene, source: Path) -> None:
    await fail_to_reach(scene, source)

    assert (scene.kept, scene.warnings) == ([], [])
    await assert_nothing_left(scene)


@one_server
@pytest.mark.parametrize("is_named", [True, False])
async def test_what_an_earlier_run_has_begun_is_kept_when_the_store_is_not_reached(
    scene: Scene, source: Path, is_named: bool
) -> None:
    await (scene.interrupt(source, scene.url()) if is_named else begin_and_lose(scene, source))
    before = await scene.jobs()

    await fail_to_reach(scene, source)

    [kept] = await scene.jobs()
    assert kept.items == before[0].items
    assert (scene.kept, scene.warnings) == ([kept.id], [])
    await scene.run(source, scene.url())
    await assert_nothing_left(scene)


@one_server
async def test_upload_that_was_asked_for_before_the_line_was_cut_is_kept(scene: Scene, source: Path) -> None:
    def cut_once(call: Call) -> TransferError:
        return line_cut(call) if scene.watch.held == 1 else unreachable(call)

    scene.watch.stop(begins, failure=cut_once)
    async with scene.transfer(replace(OPTIONS, retries=1)) as transfer:
        with pytest.raises(ConnectError):
            await transfer.copy(source, scene.url())

    assert len(scene.kept) == 1
    await scene.run(source, scene.url())
    await assert_nothing_left(scene)


@one_server
async def test_upload_with_parts_is_somebody_elses(scene: Scene, source: Path) -> None:
    other = await begin_and_lose(scene, source)
    scene.oracle.upload_part(Bucket=scene.bucket, Key="key", UploadId=other, PartNumber=1, Body=b"theirs")

    await scene.run(source, scene.url())

    assert scene.uploads() == [other]


@one_server
async def test_older_upload_is_somebody_elses(scene: Scene, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        # The intent is recorded as of an hour later.
        patch.setattr("transfer.journal.disk.time", SimpleNamespace(time=lambda: time.time() + 3600))
        older = await begin_and_lose(scene, source)

    await scene.run(source, scene.url())

    assert scene.uploads() == [older]


async def stored(scene: Scene, size: int = SIZE, seed: int = 0, **arguments: str) -> bytes:
    content = sample(size, seed)
    scene.oracle.put_object(Bucket=scene.bucket, Key="key", Body=content, **arguments)
    return content


def temporaries(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.endswith(".transfer")]


@pytest.mark.parametrize("parts", [1, 2])
async def test_download_goes_on(scene: Scene, parts: int) -> None:
    content = await stored(scene)
    target = scene.folder / "target"
    target.write_bytes(b"old")
    item = await scene.interrupt(scene.url(), target, parts=parts)
    assert [path.name for path in temporaries(scene.folder)] == [item.temporary]
    assert target.read_bytes() == b"old"

    second = await scene.run(scene.url(), target)

    assert second.receipt.resumed_bytes == item.finished_bytes > 0
    assert second.moved == SIZE - item.finished_bytes
    assert target.read_bytes() == content
    assert second.receipt.verified_by is not VerifiedBy.UNVERIFIED
    await assert_nothing_left(scene)


@pytest.mark.parametrize("algorithm", [ChecksumAlgorithm.SHA256, ChecksumAlgorithm.MD5])
async def test_download_with_a_checksum_of_the_whole_goes_on(scene: Scene, algorithm: ChecksumAlgorithm) -> None:
    path = scene.folder / "source"
    path.write_bytes(sample(SIZE))
    # One PUT of it all, so that the store keeps one checksum of it all.
    await scene.run(path, scene.url(), replace(OPTIONS, checksum=algorithm, part_size_bytes=64 * MIB))
    target = scene.folder / "target"
    item = await scene.interrupt(scene.url(), target, parts=2)

    second = await scene.run(scene.url(), target)

    assert second.moved == SIZE - item.finished_bytes < SIZE
    assert target.read_bytes() == path.read_bytes()
    assert second.receipt.checksum is not None
    assert second.receipt.checksum.algorithm is algorithm
    assert second.receipt.verified_by in {VerifiedBy.FULL_OBJECT, VerifiedBy.MD5_ETAG}
    await assert_nothing_left(scene)


@one_server
async def test_download_with_a_composite_checksum_goes_on(scene: Scene, source: Path) -> None:
    await scene.run(source, scene.url(), replace(OPTIONS, checksum=ChecksumAlgorithm.SHA256))
    target = scene.folder / "target"
    item = await scene.interrupt(scene.url(), target, parts=2)

    second = await scene.run(scene.url(), target)

    assert second.moved == SIZE - item.finished_bytes < SIZE
    assert target.read_bytes() == source.read_bytes()
    assert second.receipt.verified_by is VerifiedBy.COMPOSITE
    await assert_nothing_left(scene)


@one_server
async def test_range_damaged_on_the_disk_is_fetched_again(scene: Scene) -> None:
    content = await stored(scene)
    target = scene.folder / "target"
    item = await scene.interrupt(scene.url(), target, parts=2)
    [temporary] = temporaries(scene.folder)
    damaged, intact = item.parts
    with temporary.open("r+b") as file:
        file.seek(damaged.offset + damaged.length // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))

    second = await scene.run(scene.url(), target)

    assert (second.receipt.resumed_bytes, second.moved) == (intact.length, SIZE - intact.length)
    assert second.receipt.retries == 0
    assert target.read_bytes() == content
    await assert_nothing_left(scene)


def remove(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    os.truncate(path, PART)


def lengthen(path: Path) -> None:
    os.truncate(path, SIZE + 1)


@one_server
@pytest.mark.parametrize("harm", [remove, cut, lengthen])
async def test_download_whose_temporary_file_is_lost_begins_anew(scene: Scene, harm: Callable[[Path], None]) -> None:
    content = await stored(scene)
    target = scene.folder / "target"
    await scene.interrupt(scene.url(), target, parts=2)
    harm(*temporaries(scene.folder))

    second = await scene.run(scene.url(), target)

    assert (second.receipt.resumed_bytes, second.moved) == (0, SIZE)
    assert target.read_bytes() == content
    await assert_nothing_left(scene)


@one_server
@pytest.mark.parametrize("size", [SIZE, SIZE - 1])
async def test_object_overwritten_between_the_runs_is_fetched_anew(scene: Scene, size: int) -> None:
    await stored(scene)
    target = scene.folder / "target"
    await scene.interrupt(scene.url(), target, parts=2)
    content = await stored(scene, size, seed=1)

    second = await scene.run(scene.url(), target)

    assert (second.receipt.resumed_bytes, second.moved) == (0, size)
    assert [scene.url() in warning and "anew" in warning for warning in second.warnings] == [True]
    assert target.read_bytes() == content
    await assert_nothing_left(scene)


@one_server
async def test_what_became_small_leaves_its_old_upload_to_be_forgotten(scene: Scene, source: Path) -> None:
    item = await scene.interrupt(source, scene.url())
    source.write_bytes(b"small")

    second = await scene.run(source, scene.url())

    assert (second.receipt.resumed_bytes, second.moved) == (0, 5)
    assert get_object(scene.oracle, scene.bucket, "key") == b"small"
    assert scene.uploads() == [item.upload_id]
    [job] = await scene.jobs()
    async with scene.transfer() as transfer:
        await forget_job(str(scene.state), job, transfer.abort_upload, scene.refuse)
    await assert_nothing_left(scene)


@one_server
async def test_job_that_is_forgotten_leaves_no_temporary_file(scene: Scene) -> None:
    await stored(scene)
    await scene.interrupt(scene.url(), scene.folder / "target")
    [job] = await scene.jobs()

    async with scene.transfer() as transfer:
        await forget_job(str(scene.state), job, transfer.abort_upload, scene.refuse)

    await assert_nothing_left(scene)


@one_server
async def test_download_in_other_ranges_begins_anew(scene: Scene) -> None:
    content = await stored(scene)
    target = scene.folder / "target"
    await scene.interrupt(scene.url(), target, parts=2)

    second = await scene.run(scene.url(), target, replace(OPTIONS, part_size_bytes=6 * MIB))

    assert (second.receipt.resumed_bytes, second.moved) == (0, SIZE)
    assert len(second.warnings) == 1
    assert target.read_bytes() == content
    await assert_nothing_left(scene)


async def stopped_before_the_name(scene: Scene, target: Path, patch: pytest.MonkeyPatch) -> Path:
    """Everything has arrived, and the run ends; answers the temporary file."""

    def end(*_: object) -> None:
        raise WireError("the end")

    with patch.context() as ending:
        ending.setattr(DurableFile, "commit", end)
        async with scene.transfer() as transfer:
            with pytest.raises(WireError, match="the end"):
                await transfer.copy(scene.url(), target)
    [temporary] = temporaries(target.parent)
    return temporary


@pytest.mark.parametrize("algorithm", [ChecksumAlgorithm.CRC64NVME, ChecksumAlgorithm.SHA256])
async def test_file_that_has_its_name_already_is_done(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, algorithm: ChecksumAlgorithm
) -> None:
    path = scene.folder / "source"
    path.write_bytes(sample(SIZE))
    await scene.run(path, scene.url(), replace(OPTIONS, checksum=algorithm, part_size_bytes=64 * MIB))
    target = scene.folder / "target"
    (await stopped_before_the_name(scene, target, monkeypatch)).rename(target)

    second = await scene.run(scene.url(), target)

    assert (second.receipt.resumed_bytes, second.moved) == (SIZE, 0)
    assert scene.watch.seen(moves) == []
    assert second.receipt.destination == str(target)
    assert second.receipt.verified_by is VerifiedBy.FULL_OBJECT
    assert target.read_bytes() == path.read_bytes()
    await assert_nothing_left(scene)


@one_server
async def test_other_file_under_the_final_name_is_replaced(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    content = await stored(scene)
    target = scene.folder / "target"
    (await stopped_before_the_name(scene, target, monkeypatch)).unlink()
    target.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    second = await scene.run(scene.url(), target)

    assert (second.receipt.resumed_bytes, second.moved) == (0, SIZE)
    assert target.read_bytes() == content
    await assert_nothing_left(scene)


TREE = {f"sub/{number}": sample(1000 + number, number) for number in range(8)}


async def interrupt_tree(scene: Scene, source: str, destination: str, *, items: int) -> None:
    """Move a tree until some items are done; one lane, so that these are done."""
    scene.watch.stop(moves, after=items, failure=line_cut)
    async with scene.transfer(replace(OPTIONS, concurrency=1)) as transfer:
        outcomes = await settled(transfer.copy_many([source], destination, recursive=True))
    assert len([outcome for outcome in outcomes if isinstance(outcome, Receipt)]) == items
    scene.watch.open()
    scene.events.clear()


async def run_tree(scene: Scene, source: str, destination: str) -> list[Outcome]:
    scene.watch.open()
    async with scene.transfer() as transfer:
        return await settled(transfer.copy_many([source], destination, recursive=True))


def moved_keys(scene: Scene) -> list[str]:
    return sorted(call.location.key for call in scene.watch.seen(moves))


@one_server
async def test_tree_goes_up_without_a_request_for_what_is_done(scene: Scene) -> None:
    tree = scene.folder / "tree"
    write_tree(tree, TREE)
    await interrupt_tree(scene, str(tree), scene.url(""), items=5)
    there = keys_in(scene.oracle, scene.bucket)
    assert len(there) == 5

    outcomes = await run_tree(scene, str(tree), scene.url(""))

    assert len(outcomes) == 3
    # A listing tells that the others are still there, but for those that this server lists out of order.
    assert len(scene.watch.calls) < 3 + len(there)
    assert moved_keys(scene) == sorted(set(TREE) - set(there))
    assert [found.finished_items for found in scene.resumed] == [5]
    assert objects_in(scene.oracle, scene.bucket) == TREE
    await assert_nothing_left(scene)


@one_server
async def test_tree_comes_down_without_a_request_for_what_is_done(scene: Scene) -> None:
    put_objects(scene.oracle, scene.bucket, TREE)
    target = scene.folder / "target"
    await interrupt_tree(scene, scene.url(""), str(target), items=5)
    there = read_tree(target)
    assert len(there) == 5

    outcomes = await run_tree(scene, scene.url(""), str(target))

    assert len(outcomes) == 3
    assert moved_keys(scene) == sorted(set(TREE) - set(there))
    assert len(scene.watch.calls) == 4
    assert read_tree(target) == TREE
    await assert_nothing_left(scene)


@one_server
async def test_changed_files_of_a_tree_are_sent_again(scene: Scene) -> None:
    tree = scene.folder / "tree"
    write_tree(tree, TREE)
    await interrupt_tree(scene, str(tree), scene.url(""), items=len(TREE) - 1)
    one, other, *_ = keys_in(scene.oracle, scene.bucket)
    left = set(TREE) - set(keys_in(scene.oracle, scene.bucket))
    (tree / one).write_bytes(b"another size")
    touch(tree / other)

    outcomes = await run_tree(scene, str(tree), scene.url(""))

    assert len(outcomes) == 3
    assert set(moved_keys(scene)) == {one, other, *left}
    assert objects_in(scene.oracle, scene.bucket) == {**TREE, one: b"another size"}
    await assert_nothing_left(scene)


@one_server
async def test_lost_files_and_changed_objects_of_a_tree_are_fetched_again(scene: Scene) -> None:
    put_objects(scene.oracle, scene.bucket, TREE)
    target = scene.folder / "target"
    await interrupt_tree(scene, scene.url(""), str(target), items=len(TREE) - 1)
    removed, shortened, changed, *_ = there = sorted(read_tree(target))
    (target / removed).unlink()
    (target / shortened).write_bytes(b"")
    put_objects(scene.oracle, scene.bucket, {changed: TREE[changed][::-1]})

    await run_tree(scene, scene.url(""), str(target))

    assert set(moved_keys(scene)) == {removed, shortened, changed, *(set(TREE) - set(there))}
    assert read_tree(target) == {**TREE, changed: TREE[changed][::-1]}
    await assert_nothing_left(scene)


@one_server
async def test_all_that_is_noted_of_an_interrupted_tree_is_told(scene: Scene) -> None:
    tree = scene.folder / "tree"
    write_tree(tree, TREE)
    scene.watch.stop(lambda call: call.location.key == "sub/3")
    async with scene.transfer() as transfer:
        stream = transfer.copy_many([str(tree)], scene.url(""), recursive=True)
        told = [await anext(stream)]
        await until(lambda: transfer.progress.items_done == len(TREE) - 1)
        told += await stream.rest()
    [job] = await scene.jobs()
    assert {type(outcome) for outcome in told} == {Receipt}
    assert job.finished_items == len(told)


@one_server
async def test_tree_with_one_failure_is_kept_for_that_one(scene: Scene) -> None:
    tree = scene.folder / "tree"
    write_tree(tree, TREE)
    scene.watch.stop(lambda call: call.location.key == "sub/3", failure=denied)
    async with scene.transfer() as transfer:
        outcomes = await settled(transfer.copy_many([str(tree)], scene.url(""), recursive=True))
    assert [type(outcome) for outcome in outcomes].count(Failure) == 1
    [job] = await scene.jobs()
    assert scene.kept == [job.id]
    assert job.finished_items == len(TREE) - 1

    outcomes = await run_tree(scene, str(tree), scene.url(""))

    assert moved_keys(scene) == ["sub/3"]
    assert [type(outcome) for outcome in outcomes] == [Receipt]
    await assert_nothing_left(scene)


@one_server
async def test_named_objects_that_are_there_are_not_fetched_again(scene: Scene) -> None:
    put_objects(scene.oracle, scene.bucket, {"a": b"1", "b": b"22", "c": b"333"})
    target = scene.folder / "target"
    sources = [scene.url(key) for key in ("a", "b", "c", "missing")]

    async def fetched() -> list[str]:
        scene.watch.open()
        async with scene.transfer() as transfer:
            outcomes = await settled(transfer.copy_many(sources, f"{target}/"))
            assert transfer.progress.items_resumed == 4 - len(outcomes)
        return sorted(outcome.source for outcome in outcomes if isinstance(outcome, Receipt))

    assert await fetched() == sources[:3]
    assert await fetched() == []
    (target / "a").unlink()
    put_objects(scene.oracle, scene.bucket, {"b": b"44"})
    assert await fetched() == sources[:2]
    assert read_tree(target) == {"a": b"1", "b": b"44", "c": b"333"}


@one_server
async def test_named_objects_that_were_copied_are_not_copied_again(scene: Scene) -> None:
    put_objects(scene.oracle, scene.bucket, {"a": b"1", "b": b"22"})
    sources = [scene.url(key) for key in ("a", "b", "missing")]
    async with scene.transfer() as transfer:
        await settled(transfer.copy_many(sources, scene.url("copies/")))
    scene.watch.open()
    async with scene.transfer() as transfer:
        [outcome] = await settled(transfer.copy_many(sources, scene.url("copies/")))
        assert transfer.progress.items_resumed == 2
    # What lies between the places may be a bucket of millions, or nobody's business.
    assert not scene.watch.seen(lambda call: "copies" in dict(call.query).get("prefix", ""))
    assert isinstance(outcome, Failure)
    assert outcome.source == scene.url("missing")


@one_server
async def test_what_was_removed_from_the_store_between_the_runs_is_sent_again(scene: Scene) -> None:
    tree = scene.folder / "tree"
    write_tree(tree, TREE)
    await interrupt_tree(scene, str(tree), scene.url(""), items=5)
    for key in keys_in(scene.oracle, scene.bucket):
        scene.oracle.delete_object(Bucket=scene.bucket, Key=key)

    await run_tree(scene, str(tree), scene.url(""))

    assert objects_in(scene.oracle, scene.bucket) == TREE
    await assert_nothing_left(scene)


def remove_source(path: Path) -> None:
    path.unlink()


def make_small(path: Path) -> None:
    path.write_bytes(b"small")


@one_server
@pytest.mark.parametrize("change", [remove_source, make_small])
async def test_upload_of_a_tree_that_is_meant_no_more_is_aborted(
    scene: Scene, source: Path, change: Callable[[Path], None]
) -> None:
    write_tree(scene.folder, {"other": b"other"})
    scene.watch.stop(carries_part, after=1, failure=line_cut)
    async with scene.transfer() as transfer:
        await settled(transfer.copy_many([str(scene.folder)], scene.url(""), recursive=True))
    assert len(scene.uploads()) == len(scene.kept) == 1
    change(source)

    outcomes = await run_tree(scene, str(scene.folder), scene.url(""))

    assert not [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert objects_in(scene.oracle, scene.bucket) == read_tree(scene.folder)
    await assert_nothing_left(scene)


@one_server
async def test_upload_that_is_meant_no_more_and_stays_is_told(scene: Scene, source: Path) -> None:
    scene.watch.stop(carries_part, after=1, failure=line_cut)
    async with scene.transfer() as transfer:
        await settled(transfer.copy_many([str(scene.folder)], scene.url(""), recursive=True))
    source.write_bytes(b"small")
    scene.watch.stop(lambda call: call.method == "DELETE", failure=denied)
    scene.events.clear()

    async with scene.transfer() as transfer:
        await settled(transfer.copy_many([str(scene.folder)], scene.url(""), recursive=True))

    assert ["stays" in warning for warning in scene.warnings] == [True]
    assert len(scene.kept) == 1
    await run_tree(scene, str(scene.folder), scene.url(""))
    await assert_nothing_left(scene)


@one_server
async def test_download_of_a_tree_that_is_meant_no_more_leaves_no_temporary_file(scene: Scene) -> None:
    await stored(scene)
    put_objects(scene.oracle, scene.bucket, {"other": b"other"})
    scene.watch.stop(carries_part, after=1, failure=line_cut)
    target = scene.folder / "target"
    async with scene.transfer() as transfer:
        await settled(transfer.copy_many([scene.url("")], str(target), recursive=True))
    assert len(temporaries(target)) == 1
    scene.oracle.delete_object(Bucket=scene.bucket, Key="key")

    await run_tree(scene, scene.url(""), str(target))

    assert read_tree(target) == {"other": b"other"}
    await assert_nothing_left(scene)


@one_server
async def test_what_was_never_in_danger_leaves_no_journal(scene: Scene) -> None:
    (scene.folder / "small").write_bytes(b"x")

    run = await scene.run(scene.folder / "small", scene.url())

    assert run.events == []
    assert not scene.state.exists()


@one_server
async def test_finished_tree_leaves_no_rows(scene: Scene, source: Path) -> None:
    write_tree(scene.folder / "tree", TREE)
    source.rename(scene.folder / "tree" / "large")

    outcomes = await run_tree(scene, str(scene.folder / "tree"), scene.url(""))

    assert len(outcomes) == len(TREE) + 1
    assert scene.kept == []
    await assert_nothing_left(scene)


@one_server
async def test_what_fails_for_good_leaves_no_job(scene: Scene, source: Path) -> None:
    scene.watch.stop(carries_part, after=1, failure=denied)

    async with scene.transfer() as transfer:
        with pytest.raises(StoreError, match="Access Denied"):
            await transfer.copy(source, scene.url())

    assert scene.kept == []
    await assert_nothing_left(scene)


@one_server
async def test_what_fails_for_good_after_a_resume_leaves_no_job(scene: Scene, source: Path) -> None:
    await scene.interrupt(source, scene.url())
    scene.events.clear()
    scene.watch.stop(carries_part, failure=denied)

    async with scene.transfer() as transfer:
        with pytest.raises(StoreError, match="Access Denied"):
            await transfer.copy(source, scene.url())

    assert scene.kept == []
    await assert_nothing_left(scene)


@one_server
async def test_download_that_cannot_begin_leaves_no_job(scene: Scene) -> None:
    await stored(scene)
    (scene.folder / "file").write_bytes(b"")

    async with scene.transfer() as transfer:
        with pytest.raises(TransferError, match="file"):
            await transfer.copy(scene.url(), scene.folder / "file" / "below")

    assert scene.kept == []
    await assert_nothing_left(scene)


@one_server
@pytest.mark.parametrize("is_tree", [True, False])
async def test_same_request_twice_at_once_is_refused(scene: Scene, source: Path, is_tree: bool) -> None:
    scene.watch.stop(carries_part)
    sources = [str(source.parent if is_tree else source)]
    async with scene.transfer() as first, scene.transfer() as second:
        outcomes = first.copy_many(sources, scene.url(""), recursive=is_tree)
        reading = asyncio.ensure_future(anext(outcomes))
        await until(lambda: scene.watch.held > 0)

        with pytest.raises(HeldError, match=rf"process {os.getpid()} is moving the same") as refused:
            found = await settled(second.copy_many(sources, scene.url(""), recursive=is_tree))
            raise next(outcome.error for outcome in found if isinstance(outcome, Failure))
        assert refused.value.remedy

        await outcomes.aclose()
        with pytest.raises(StopAsyncIteration):
            await reading
    assert len(scene.uploads()) == 1
    assert len(scene.kept) == 1


@one_server
async def test_file_that_another_request_moves_is_left_to_it(scene: Scene, source: Path) -> None:
    write_tree(scene.folder, {"small": b"small"})
    scene.watch.stop(carries_part)
    async with scene.transfer() as first, scene.transfer() as second:
        moving = asyncio.ensure_future(first.copy(source, scene.url("source")))
        await until(lambda: scene.watch.held > 0)

        outcomes = await settled(second.copy_many([str(scene.folder)], scene.url(""), recursive=True))

        moving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await moving
    [failure] = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert isinstance(failure.error, HeldError)
    assert f"process {os.getpid()} " in failure.error.message
    assert failure.source == str(source)
    assert objects_in(scene.oracle, scene.bucket) == {"small": b"small"}

    await run_tree(scene, str(scene.folder), scene.url(""))

    assert keys_in(scene.oracle, scene.bucket) == ["small", "source"]
    assert scene.uploads() == []
    assert await scene.jobs() == ()


class Input:
    """Standard input of two parts and some."""

    def __init__(self) -> None:
        self._left = SIZE

    def read(self, size: int = -1) -> bytes:
        count = min(size, self._left)
        self._left -= count
        return bytes(count)


@one_server
async def test_stream_cannot_go_on_and_leaves_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Input()))
    scene.watch.stop(lambda call: carries_part(call) and dict(call.query)["partNumber"] == "2", failure=line_cut)

    async with scene.transfer() as transfer:
        with pytest.raises(TransferError, match="the line is cut"):
            await transfer.copy("-", scene.url())

    assert scene.uploads() == []
    assert scene.kept == []
    assert not scene.state.exists()


def shrink(path: Path) -> None:
    os.truncate(path, PART)


@one_server
@pytest.mark.parametrize("change", [remove, shrink, grow, replace_by_equal])
@pytest.mark.parametrize("is_resumed", [True, False])
async def test_source_that_changes_while_it_is_sent_is_named(
    scene: Scene, source: Path, change: Callable[[Path], None], is_resumed: bool
) -> None:
    if is_resumed:
        await scene.interrupt(source, scene.url())
    scene.events.clear()
    begun = 0

    def changing(call: Call) -> bool:
        nonlocal begun
        begun += carries_part(call)
        if begun == 1 and carries_part(call):
            change(source)
        return False

    scene.watch.stop(changing)
    async with scene.transfer() as transfer:
        with pytest.raises(TransferError, match="while it was read") as failure:
            await transfer.copy(source, scene.url())

    assert isinstance(failure.value, SourceChangedError)
    assert failure.value.subject == str(source)
    assert keys_in(scene.oracle, scene.bucket) == []
    assert scene.kept == []
    await assert_nothing_left(scene)


@one_server
async def test_no_credential_is_written_down(scene: Scene, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # SeaweedFS does not look at the token, so that any will do.
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session-token-of-the-test")
    secrets = [os.environ[name].encode() for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")]
    assert not {"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} & set(REMEMBERED_VARIABLES)

    scene.watch.stop(carries_part, after=1, failure=line_cut)
    async with scene.transfer() as transfer:
        with pytest.raises(TransferError):
            await transfer.copy(source, scene.url())

    written = [path.read_bytes() for path in scene.state.rglob("*") if path.is_file()]
    assert any(source.name.encode() in content for content in written)
    assert not [secret for secret in secrets if any(secret in content for content in written)]


@one_server
async def test_without_resume_nothing_is_remembered_or_taken_up(scene: Scene, source: Path) -> None:
    item = await scene.interrupt(source, scene.url())

    async with Transfer(options=replace(OPTIONS, resume=False)) as transfer:
        receipt = await transfer.copy(source, scene.url())

    assert receipt.resumed_bytes == 0
    assert scene.uploads() == [item.upload_id]
    assert len(await scene.jobs()) == 1
