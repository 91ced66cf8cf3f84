"""Standard input to an object, an object to standard output: order, parts of a stream that nobody knows the end of."""

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.integration.samples import (
    MIB,
    PART,
    get_object,
    keys_in,
    put_objects,
    sample,
    settled,
    unfinished_uploads,
)
from transfer import Transfer, TransferError, TransferOptions
from transfer.model.checksums import VerifiedBy
from transfer.model.errors import UsageError
from transfer.model.receipts import Failure, Mover, Receipt

SMALL_PARTS = TransferOptions(part_size_bytes=PART)


class Trickle(io.RawIOBase):
    """A pipe whose reads bring odd amounts, less than was asked for."""

    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)

    def read(self, size: int = -1) -> bytes:
        piece, self._content = self._content[:77_777][:size], self._content[min(size, 77_777) :]
        return bytes(piece)


class Broken(io.RawIOBase):
    """A pipe that breaks after some parts."""

    def __init__(self, good_bytes: int) -> None:
        self._left = good_bytes

    def read(self, size: int = -1) -> bytes:
        if self._left <= 0:
            raise OSError(5, "Input/output error")
        self._left -= size
        return b"x" * size


def _feed(monkeypatch: pytest.MonkeyPatch, stream: object) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stream))


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 2 * PART, 11 * MIB])
async def test_standard_input_becomes_an_object(
    oracle: Any, bucket: str, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    _feed(monkeypatch, Trickle(sample(size)))

    async with Transfer(options=SMALL_PARTS) as transfer:
        (receipt,) = await settled(transfer.copy_many(["-"], f"s3://{bucket}/stream.txt"))
        progress = transfer.progress

    assert get_object(oracle, bucket, "stream.txt") == sample(size)
    head = oracle.head_object(Bucket=bucket, Key="stream.txt")
    assert isinstance(receipt, Receipt)
    assert (receipt.source, receipt.size, receipt.etag) == ("-", size, head["ETag"])
    assert receipt.verified_by is VerifiedBy.FULL_OBJECT
    assert receipt.mover is (Mover.BUFFER if size else Mover.NONE)
    assert head["ContentType"] == "text/plain"
    assert "mtime" not in head["Metadata"]
    assert progress.bytes_moved == progress.bytes_planned == size
    assert unfinished_uploads(oracle, bucket) == []


async def test_broken_input_leaves_nothing_behind(oracle: Any, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _feed(monkeypatch, Broken(2 * PART))

    async with Transfer(options=SMALL_PARTS) as transfer:
        (failure,) = await settled(transfer.copy_many(["-"], f"s3://{bucket}/stream"))

    assert isinstance(failure, Failure)
    assert (failure.error.kind, failure.error.subject) == ("local_file", "-")
    assert keys_in(oracle, bucket) == []
    assert unfinished_uploads(oracle, bucket) == []


async def test_standard_output_gets_the_object(oracle: Any, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put_objects(oracle, bucket, {"file": sample(11 * MIB)})
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=output))

    async with Transfer(options=SMALL_PARTS) as transfer:
        (receipt,) = await settled(transfer.copy_many([f"s3://{bucket}/file"], "-"))

    assert output.getvalue() == sample(11 * MIB)
    assert isinstance(receipt, Receipt)
    assert receipt.destination == "-"


@pytest.mark.parametrize("size", [0, 1, PART, 11 * MIB])
async def test_cat_writes_in_order_and_verifies(oracle: Any, bucket: str, size: int) -> None:
    put_objects(oracle, bucket, {"file": sample(size)})
    written = bytearray()

    async with Transfer(options=SMALL_PARTS) as transfer:
        receipt = await transfer.cat(f"s3://{bucket}/file", written.extend)

    assert bytes(written) == sample(size)
    assert receipt.size == size
    assert receipt.verified_by is VerifiedBy.FULL_OBJECT


async def test_closed_output_ends_cat(oracle: Any, bucket: str) -> None:
    put_objects(oracle, bucket, {"file": sample(11 * MIB)})

    def closed(_: memoryview) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    async with Transfer(options=SMALL_PARTS) as transfer:
        with pytest.raises(TransferError) as caught:
            await transfer.cat(f"s3://{bucket}/file", closed)

    assert (caught.value.kind, caught.value.subject) == ("local_file", "-")
    assert isinstance(caught.value.__cause__, BrokenPipeError)


@pytest.mark.parametrize(
    ("sources", "destination", "recursive"),
    [
        (["-", "-"], "s3://b/folder/", False),
        (["-"], "s3://b/", False),
        (["-"], "s3://b/key", True),
        (["s3://b/x*"], "-", False),
        (["s3://b/x/"], "-", True),
        (["s3://b/x", "s3://b/y"], "-", False),
    ],
)
async def test_streams_hold_one_object(sources: list[str], destination: str, recursive: bool) -> None:
    async with Transfer(endpoint_url="http://127.0.0.1:9") as transfer:
        with pytest.raises(UsageError) as caught:
            transfer.copy_many(sources, destination, recursive=recursive)

    assert caught.value.remedy


async def test_cat_of_what_is_no_object_is_an_error(oracle: Any, bucket: str, tmp_path: Path) -> None:
    async with Transfer() as transfer:
        with pytest.raises(TransferError) as missing:
            await transfer.cat(f"s3://{bucket}/missing", lambda _: None)
        with pytest.raises(UsageError):
            await transfer.cat(f"s3://{bucket}/folder/", lambda _: None)

    assert missing.value.subject == f"s3://{bucket}/missing"
