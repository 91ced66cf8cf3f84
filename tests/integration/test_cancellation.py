"""Stopping in the middle: nothing half-done is left, on the disk, in the store or in the event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.integration.samples import (
    MIB,
    MULTIPART_SIZE,
    PART,
    keys_in,
    put_objects,
    read_tree,
    sample,
    settled,
    unfinished_uploads,
    until,
    write_tree,
)
from transfer import Transfer, TransferOptions
from transfer.model.receipts import Outcome

# So slow that a run of some MiB takes minutes: whoever waits for its first bytes always meets it in the middle.
SLOW = TransferOptions(part_size_bytes=PART, limit_rate_bytes_per_second=256 * 1024)

Stop = Callable[[Transfer, list[str], str], Awaitable[None]]


async def _close_outcomes(transfer: Transfer, sources: list[str], destination: str) -> None:
    outcomes = transfer.copy_many(sources, destination, recursive=True)
    reading = asyncio.ensure_future(anext(outcomes))
    await until(lambda: transfer.progress.bytes_moved > 0)
    await outcomes.aclose()
    with pytest.raises(StopAsyncIteration):
        await reading


async def _cancel_scope(transfer: Transfer, sources: list[str], destination: str) -> None:
    async def read() -> None:
        outcomes = transfer.copy_many(sources, destination, recursive=True)
        try:
            await settled(outcomes)
        finally:
            await outcomes.aclose()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await until(lambda: transfer.progress.bytes_moved > 0)
        tasks.cancel_scope.cancel()


async def _leave_context(transfer: Transfer, sources: list[str], destination: str) -> None:
    outcomes = transfer.copy_many(sources, destination, recursive=True)
    reading = asyncio.ensure_future(anext(outcomes))
    await until(lambda: transfer.progress.bytes_moved > 0)
    await transfer.__aexit__(None, None, None)
    with pytest.raises(StopAsyncIteration):
        await reading


STOPS = pytest.mark.parametrize("stop", [_close_outcomes, _cancel_scope, _leave_context])


async def _assert_quiet(before: set[asyncio.Task[Any]]) -> None:
    await until(lambda: asyncio.all_tasks() <= before)


@STOPS
async def test_stopped_upload_leaves_nothing_in_the_store(oracle: Any, bucket: str, tmp_path: Path, stop: Stop) -> None:
    write_tree(tmp_path, {"large": sample(MULTIPART_SIZE)})
    before = asyncio.all_tasks()

    async with Transfer(options=SLOW) as transfer:
        await stop(transfer, [str(tmp_path)], f"s3://{bucket}/")

    await _assert_quiet(before)
    assert keys_in(oracle, bucket) == []
    assert unfinished_uploads(oracle, bucket) == []


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
        await stop(transfer, [f"s3://{bucket}/"], str(tmp_path))

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
