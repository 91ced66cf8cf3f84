"""Stopping in the middle: what is finished is kept for the next run, or with `resume=False` nothing is left.

Nothing is ever left in the event loop, nor under a final name.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.integration.interrupting import SIZE, Scene, Watch, carries_part
from tests.integration.samples import (
    MIB,
    MULTIPART_SIZE,
    PART,
    keys_in,
    objects_in,
    put_objects,
    read_tree,
    sample,
    settled,
    unfinished_uploads,
    until,
    write_tree,
)
from transfer import Transfer, TransferOptions
from transfer.model.events import ConcurrencyChanged
from transfer.model.receipts import Outcome, Receipt
from transfer.model.unfinished import UnfinishedItem

# So slow that a run of some MiB takes minutes: whoever waits for its first bytes always meets it in the middle.
SLOW = TransferOptions(part_size_bytes=PART, limit_rate_bytes_per_second=256 * 1024, resume=False)

Condition = Callable[[], bool]
Stop = Callable[[Transfer, list[str], str, Condition], Awaitable[None]]


async def _close_outcomes(transfer: Transfer, sources: list[str], destination: str, is_time: Condition) -> None:
    outcomes = transfer.copy_many(sources, destination, recursive=True)
    reading = asyncio.ensure_future(anext(outcomes))
    await until(is_time)
    await outcomes.aclose()
    with pytest.raises(StopAsyncIteration):
        await reading


async def _cancel_scope(transfer: Transfer, sources: list[str], destination: str, is_time: Condition) -> None:
    async def read() -> None:
        outcomes = transfer.copy_many(sources, destination, recursive=True)
        try:
            await settled(outcomes)
        finally:
            await outcomes.aclose()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await until(is_time)
        tasks.cancel_scope.cancel()


async def _leave_context(transfer: Transfer, sources: list[str], destination: str, is_time: Condition) -> None:
    outcomes = transfer.copy_many(sources, destination, recursive=True)
    reading = asyncio.ensure_future(anext(outcomes))
    await until(is_time)
    await transfer.__aexit__(None, None, None)
    with pytest.raises(StopAsyncIteration):
        await reading


STOPS = pytest.mark.parametrize("stop", [_close_outcomes, _cancel_scope, _leave_context])


def _is_moving(transfer: Transfer) -> Condition:
    return lambda: transfer.progress.bytes_moved > 0


async def _assert_quiet(before: set[asyncio.Task[Any]]) -> None:
    await until(lambda: asyncio.all_tasks() <= before)


@STOPS
async def test_stopped_upload_leaves_nothing_in_the_store(oracle: Any, bucket: str, tmp_path: Path, stop: Stop) -> None:
    write_tree(tmp_path, {"large": sample(MULTIPART_SIZE)})
    before = asyncio.all_tasks()

    async with Transfer(options=SLOW) as transfer:
        await stop(transfer, [str(tmp_path)], f"s3://{bucket}/", _is_moving(transfer))

    await _assert_quiet(before)
    assert keys_in(oracle, bucket) == []
    assert unfinished_uploads(oracle, bucket) == []


@pytest.fixture
def scene(oracle: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr("transfer.engine.upload.MULTIPART_THRESHOLD_BYTES", PART)
    return Scene(oracle, bucket, tmp_path, Watch(monkeypatch))


async def _stop_and_go_on(scene: Scene, stop: Stop, source: str, destination: str) -> tuple[UnfinishedItem, Outcome]:
    """Stop when two parts of the one item are noted, and finish; what was remembered, and what became of it."""
    before = asyncio.all_tasks()
    scene.watch.stop(carries_part, after=2)
    async with scene.transfer() as transfer:
        await stop(transfer, [source], destination, scene.watch.is_settled)
    await _assert_quiet(before)
    [job] = await scene.jobs()
    [item] = job.items
    assert scene.kept == [job.id]
    assert len(item.parts) == 2

    scene.watch.open()
    scene.events.clear()
    async with scene.transfer() as transfer:
        [outcome] = await settled(transfer.copy_many([source], destination, recursive=True))
        assert transfer.progress.bytes_moved == SIZE - item.finished_bytes
    assert [event for event in scene.events if not isinstance(event, ConcurrencyChanged)] == []
    assert len(scene.watch.seen(carries_part)) == 1
    assert scene.uploads() == []
    assert await scene.jobs() == ()
    return item, outcome


@STOPS
async def test_stopped_upload_is_kept_and_gone_on_with(scene: Scene, stop: Stop) -> None:
    write_tree(scene.folder, {"large": sample(SIZE)})

    item, outcome = await _stop_and_go_on(scene, stop, str(scene.folder), scene.url(""))

    assert item.upload_id is not None
    assert isinstance(outcome, Receipt)
    assert outcome.resumed_bytes == item.finished_bytes
    assert objects_in(scene.oracle, scene.bucket) == read_tree(scene.folder)


@STOPS
async def test_stopped_download_is_kept_and_gone_on_with(scene: Scene, stop: Stop) -> None:
    put_objects(scene.oracle, scene.bucket, {"large": sample(SIZE)})
    target = scene.folder / "target"

    item, outcome = await _stop_and_go_on(scene, stop, scene.url(""), str(target))

    assert item.temporary is not None
    assert isinstance(outcome, Receipt)
    assert outcome.resumed_bytes == item.finished_bytes
    assert read_tree(target) == {"large": sample(SIZE)}


async def test_what_is_kept_is_at_the_store_and_on_the_disk(scene: Scene) -> None:
    write_tree(scene.folder, {"up/large": sample(SIZE)})
    put_objects(scene.oracle, scene.bucket, {"down/large": sample(SIZE, 1)})
    target = scene.folder / "target"
    target.mkdir()

    for source, destination in ((str(scene.folder / "up"), scene.url("")), (scene.url("down"), str(target))):
        scene.watch.stop(carries_part, after=1)
        async with scene.transfer() as transfer:
            await _cancel_scope(transfer, [source], destination, scene.watch.is_settled)

    up, down = await scene.jobs()
    assert scene.kept == [up.id, down.id]
    assert scene.uploads() == [up.items[0].upload_id]
    assert list(read_tree(target)) == [down.items[0].temporary]
    assert keys_in(scene.oracle, scene.bucket) == ["down/large"]


async def test_upload_stopped_while_it_is_begun_leaves_nothing(oracle: Any, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(sample(MULTIPART_SIZE))

    async with Transfer(options=SLOW) as transfer:
        outcomes = transfer.copy_many([str(tmp_path / "large")], f"s3://{bucket}/")
        reading = asyncio.ensure_future(anext(outcomes))
        # The store has begun it, but its answer may still be on the way.
        await until(lambda: unfinished_uploads(oracle, bucket) != [])
        await outcomes.aclose()
        with pytest.raises(StopAsyncIteration):
            await reading

    assert unfinished_uploads(oracle, bucket) == []


@STOPS
async def test_stopped_download_leaves_nothing_on_the_disk(
    oracle: Any, bucket: str, tmp_path: Path, stop: Stop
) -> None:
    put_objects(oracle, bucket, {"large": sample(9 * MIB), "other": sample(2 * MIB)})
    write_tree(tmp_path, {"large": b"old"})
    before = asyncio.all_tasks()

    async with Transfer(options=SLOW) as transfer:
        await stop(transfer, [f"s3://{bucket}/"], str(tmp_path), _is_moving(transfer))

    await _assert_quiet(before)
    assert read_tree(tmp_path) == {"large": b"old"}


async def test_old_file_is_whole_while_its_successor_arrives(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"file": sample(9 * MIB)})
    (tmp_path / "file").write_bytes(b"old")

    async with Transfer(options=SLOW) as transfer:
        outcomes = transfer.copy_many([f"s3://{bucket}/file"], str(tmp_path / "file"))
        reading = asyncio.ensure_future(anext(outcomes))
        await until(lambda: transfer.progress.bytes_moved > 0)
        during = read_tree(tmp_path)
        await outcomes.aclose()
        with pytest.raises(StopAsyncIteration):
            await reading

    assert during["file"] == b"old"
    assert len(during) == 2
    assert read_tree(tmp_path) == {"file": b"old"}


async def test_cancelled_task_of_copy_ends_soon_and_clean(oracle: Any, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(sample(MULTIPART_SIZE))

    async with Transfer(options=SLOW) as transfer:
        before = asyncio.all_tasks()
        copying = asyncio.ensure_future(transfer.copy(tmp_path / "file", f"s3://{bucket}/file"))
        await until(lambda: transfer.progress.bytes_moved > 0)
        copying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await copying
        await _assert_quiet(before)

    assert keys_in(oracle, bucket) == []
    assert unfinished_uploads(oracle, bucket) == []


async def test_transfer_goes_on_after_a_closed_run(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {f"k{number}": sample(1000, number) for number in range(20)})

    async with Transfer() as transfer:
        outcomes = transfer.copy_many([f"s3://{bucket}/"], str(tmp_path / "first"), recursive=True)
        await anext(outcomes)
        await outcomes.aclose()
        again: list[Outcome] = await settled(
            transfer.copy_many([f"s3://{bucket}/"], str(tmp_path / "second"), recursive=True)
        )

    assert len(again) == 20
    assert not [name for name in read_tree(tmp_path) if name.endswith(".transfer")]


async def test_outcomes_closed_before_the_first_do_nothing(oracle: Any, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")

    async with Transfer() as transfer:
        outcomes = transfer.copy_many([str(tmp_path / "file")], f"s3://{bucket}/")
        await outcomes.aclose()
        await outcomes.aclose()
        assert await settled(outcomes) == []

    assert keys_in(oracle, bucket) == []


async def test_slow_reader_of_outcomes_loses_none(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"a": b"1", "b": b"2", "c": b"3"})
    seen = []

    async with Transfer() as transfer:
        async for outcome in transfer.copy_many([f"s3://{bucket}/"], str(tmp_path), recursive=True):
            await until(lambda: transfer.progress.items_done == 3)
            seen.append(outcome.source)

    assert sorted(seen) == [f"s3://{bucket}/{key}" for key in "abc"]
