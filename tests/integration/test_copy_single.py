"""One file to one object and back: bytes, receipts, names and times."""

import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.samples import (
    MIB,
    MULTIPART_SIZE,
    PART,
    get_object,
    keys_in,
    objects_in,
    put_objects,
    read_tree,
    sample,
    settled,
    unfinished_uploads,
    write_tree,
)
from transfer import Transfer, TransferOptions
from transfer.model.checksums import ChecksumAlgorithm, VerifiedBy
from transfer.model.receipts import Mover, Receipt

SMALL_PARTS = TransferOptions(part_size_bytes=PART)
UPLOAD_SIZES = [0, 1, 256 * 1024, 256 * 1024 + 1, PART, 16 * MIB, MULTIPART_SIZE]
DOWNLOAD_SIZES = [0, 1, PART, 8 * MIB, 8 * MIB + 1, MULTIPART_SIZE]
MTIME_NS = 1_700_000_001_123_456_789
# What the platform's kernel can do without copying; anything else on it is a silent fallback.
FASTEST_TO_SOCKET = Mover.SENDFILE if sys.platform in ("linux", "darwin") else Mover.BUFFER
FASTEST_FROM_SOCKET = Mover.RECV


@pytest.mark.parametrize("size", UPLOAD_SIZES)
async def test_upload_stores_the_same_bytes(oracle: Any, bucket: str, tmp_path: Path, size: int) -> None:
    source = tmp_path / "file.bin"
    source.write_bytes(sample(size))

    async with Transfer(options=SMALL_PARTS) as transfer:
        receipt = await transfer.copy(source, f"s3://{bucket}/file.bin")

    assert get_object(oracle, bucket, "file.bin") == sample(size)
    head = oracle.head_object(Bucket=bucket, Key="file.bin", ChecksumMode="ENABLED")
    assert receipt.source == str(source)
    assert receipt.destination == f"s3://{bucket}/file.bin"
    assert receipt.size == size == head["ContentLength"]
    assert receipt.etag == head["ETag"]
    assert receipt.verified_by is VerifiedBy.FULL_OBJECT
    assert receipt.checksum is not None
    assert receipt.checksum.algorithm is ChecksumAlgorithm.CRC64NVME
    assert receipt.retries == 0
    assert receipt.seconds > 0
    if size > 256 * 1024:
        assert (receipt.mover, receipt.mover_reason) == (FASTEST_TO_SOCKET, None)
    assert unfinished_uploads(oracle, bucket) == []


@pytest.mark.parametrize("size", DOWNLOAD_SIZES)
async def test_download_writes_the_same_bytes(oracle: Any, bucket: str, tmp_path: Path, size: int) -> None:
    put_objects(oracle, bucket, {"file.bin": sample(size)})
    target = tmp_path / "file.bin"

    async with Transfer(options=SMALL_PARTS) as transfer:
        receipt = await transfer.copy(f"s3://{bucket}/file.bin", target)

    assert read_tree(tmp_path) == {"file.bin": sample(size)}
    assert receipt.source == f"s3://{bucket}/file.bin"
    assert receipt.destination == str(target)
    assert receipt.size == size
    assert receipt.etag == oracle.head_object(Bucket=bucket, Key="file.bin")["ETag"]
    assert receipt.verified_by is VerifiedBy.FULL_OBJECT
    assert receipt.retries == 0


async def test_small_upload_says_why_it_went_through_memory(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(b"x")

    async with Transfer() as transfer:
        receipt = await transfer.copy(tmp_path / "file.bin", f"s3://{bucket}/file.bin")

    assert receipt.mover is Mover.BUFFER
    assert receipt.mover_reason


async def test_empty_object_needs_no_mover(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")

    async with Transfer() as transfer:
        up = await transfer.copy(tmp_path / "empty", f"s3://{bucket}/empty")
        down = await transfer.copy(f"s3://{bucket}/empty", tmp_path / "back")

    assert (up.mover, up.mover_reason) == (Mover.NONE, None)
    assert (down.mover, down.mover_reason) == (Mover.NONE, None)
    assert (tmp_path / "back").read_bytes() == b""


@pytest.mark.parametrize("size", [1, MULTIPART_SIZE])
async def test_round_trip_agrees_on_one_checksum(bucket: str, tmp_path: Path, size: int) -> None:
    (tmp_path / "file.bin").write_bytes(sample(size))

    async with Transfer(options=SMALL_PARTS) as transfer:
        up = await transfer.copy(tmp_path / "file.bin", f"s3://{bucket}/file.bin")
        down = await transfer.copy(f"s3://{bucket}/file.bin", tmp_path / "back.bin")

    assert up.checksum == down.checksum
    assert up.etag == down.etag
    assert (up.verified_by, down.verified_by) == (VerifiedBy.FULL_OBJECT, VerifiedBy.FULL_OBJECT)


async def test_large_file_goes_in_parts_that_are_all_counted(oracle: Any, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(sample(MULTIPART_SIZE))

    async with Transfer(options=SMALL_PARTS) as transfer:
        await transfer.copy(tmp_path / "file.bin", f"s3://{bucket}/file.bin")
        progress = transfer.progress

    assert (progress.bytes_moved, progress.bytes_planned) == (MULTIPART_SIZE, MULTIPART_SIZE)
    assert (progress.items_planned, progress.items_done, progress.items_failed) == (1, 1, 0)
    assert progress.total_is_final
    assert oracle.head_object(Bucket=bucket, Key="file.bin")["ETag"].endswith('-4"')


@pytest.mark.parametrize(
    ("destination", "key"),
    [("", "file.bin"), ("/", "file.bin"), ("/folder/", "folder/file.bin"), ("/a/other.txt", "a/other.txt")],
)
async def test_upload_destination_names_a_key_or_a_folder(
    oracle: Any, bucket: str, tmp_path: Path, destination: str, key: str
) -> None:
    (tmp_path / "file.bin").write_bytes(b"content")

    async with Transfer() as transfer:
        receipt = await transfer.copy(tmp_path / "file.bin", f"s3://{bucket}{destination}")

    assert objects_in(oracle, bucket) == {key: b"content"}
    assert receipt.destination == f"s3://{bucket}/{key}"


@pytest.mark.parametrize(
    ("destination", "name"),
    [
        ("exists", "exists/file.bin"),
        ("exists/", "exists/file.bin"),
        ("new/", "new/file.bin"),
        ("new/deeper/", "new/deeper/file.bin"),
        ("new.bin", "new.bin"),
        ("new/other.bin", "new/other.bin"),
    ],
)
async def test_download_destination_names_a_file_or_a_folder(
    oracle: Any, bucket: str, tmp_path: Path, destination: str, name: str
) -> None:
    put_objects(oracle, bucket, {"a/b/file.bin": b"content"})
    (tmp_path / "exists").mkdir()

    async with Transfer() as transfer:
        receipt = await transfer.copy(f"s3://{bucket}/a/b/file.bin", f"{tmp_path}/{destination}")

    assert read_tree(tmp_path) == {name: b"content"}
    assert Path(receipt.destination) == tmp_path / name


async def test_download_to_the_current_folder(
    oracle: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_objects(oracle, bucket, {"a/file.bin": b"content"})
    monkeypatch.chdir(tmp_path)

    async with Transfer() as transfer:
        await transfer.copy(f"s3://{bucket}/a/file.bin", ".")
        await transfer.copy(f"s3://{bucket}/a/file.bin", "named.bin")

    assert read_tree(tmp_path) == {"file.bin": b"content", "named.bin": b"content"}


async def test_local_wildcards_choose_files(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {"a.txt": b"a", "b.bin": b"b", "sub/c.txt": b"c", "sub/d.bin": b"d"})

    async with Transfer() as transfer:
        outcomes = await settled(transfer.copy_many([f"{tmp_path}/*.txt"], f"s3://{bucket}/in/"))

    assert all(isinstance(outcome, Receipt) for outcome in outcomes)
    assert objects_in(oracle, bucket) == {"in/a.txt": b"a", "in/sub/c.txt": b"c"}


async def test_remote_wildcards_choose_objects(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"x/a.txt": b"a", "x/b.bin": b"b", "x/sub/c.txt": b"c", "y/d.txt": b"d"})

    async with Transfer() as transfer:
        outcomes = await settled(transfer.copy_many([f"s3://{bucket}/x/*.t?t"], str(tmp_path / "out")))

    assert all(isinstance(outcome, Receipt) for outcome in outcomes)
    assert read_tree(tmp_path / "out") == {"a.txt": b"a", "sub/c.txt": b"c"}


async def test_raw_takes_wildcard_characters_as_they_are(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {"in/a[1]*.txt": b"literal", "in/a1.txt": b"other"})

    async with Transfer() as transfer:
        await settled(transfer.copy_many([f"{tmp_path}/in/a[1]*.txt"], f"s3://{bucket}/a[1]*.txt", raw=True))
        await settled(transfer.copy_many([f"s3://{bucket}/a[1]*.txt"], f"{tmp_path}/out/", raw=True))

    assert objects_in(oracle, bucket) == {"a[1]*.txt": b"literal"}
    assert read_tree(tmp_path / "out") == {"a[1]*.txt": b"literal"}


async def test_several_sources_go_into_a_folder(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {"one": b"1", "sub/two": b"2"})

    async with Transfer() as transfer:
        await settled(transfer.copy_many([f"{tmp_path}/one", f"{tmp_path}/sub/two"], f"s3://{bucket}/in/"))
        await settled(transfer.copy_many([f"s3://{bucket}/in/one", f"s3://{bucket}/in/two"], str(tmp_path / "out")))

    assert objects_in(oracle, bucket) == {"in/one": b"1", "in/two": b"2"}
    assert read_tree(tmp_path / "out") == {"one": b"1", "two": b"2"}


@pytest.mark.parametrize("size", [1, MULTIPART_SIZE])
async def test_modification_time_travels_in_metadata(oracle: Any, bucket: str, tmp_path: Path, size: int) -> None:
    source, target = tmp_path / "file.bin", tmp_path / "back.bin"
    source.write_bytes(sample(size))
    os.utime(source, ns=(MTIME_NS, MTIME_NS))

    async with Transfer(options=SMALL_PARTS) as transfer:
        await transfer.copy(source, f"s3://{bucket}/file.bin")
        await transfer.copy(f"s3://{bucket}/file.bin", target)

    head = oracle.head_object(Bucket=bucket, Key="file.bin")
    assert head["Metadata"] == {"mtime": "1700000001.123456789"}
    assert target.stat().st_mtime_ns == MTIME_NS


@pytest.mark.parametrize("mtime_ns", [0, 1, -1_500_000_000, 1_700_000_000_000_000_000])
async def test_unusual_modification_times_come_back(bucket: str, tmp_path: Path, mtime_ns: int) -> None:
    source, target = tmp_path / "file.bin", tmp_path / "back.bin"
    source.write_bytes(b"x")
    os.utime(source, ns=(mtime_ns, mtime_ns))

    async with Transfer() as transfer:
        await transfer.copy(source, f"s3://{bucket}/file.bin")
        await transfer.copy(f"s3://{bucket}/file.bin", target)

    assert target.stat().st_mtime_ns == mtime_ns


async def test_object_without_a_time_of_its_own_gets_that_of_the_store(
    oracle: Any, bucket: str, tmp_path: Path
) -> None:
    put_objects(oracle, bucket, {"file.bin": b"x"})

    async with Transfer() as transfer:
        await transfer.copy(f"s3://{bucket}/file.bin", tmp_path / "file.bin")

    modified = oracle.head_object(Bucket=bucket, Key="file.bin")["LastModified"].timestamp()
    assert (tmp_path / "file.bin").stat().st_mtime == modified


@pytest.mark.parametrize("size", [1, 8 * MIB + 1])
async def test_download_replaces_a_file_in_one_step(oracle: Any, bucket: str, tmp_path: Path, size: int) -> None:
    put_objects(oracle, bucket, {"file.bin": sample(size)})
    (tmp_path / "file.bin").write_bytes(b"old")
    # Shares the old file's bytes: writing into the file instead of replacing it would show here.
    (tmp_path / "witness").hardlink_to(tmp_path / "file.bin")

    async with Transfer(options=SMALL_PARTS) as transfer:
        await transfer.copy(f"s3://{bucket}/file.bin", tmp_path / "file.bin")

    assert read_tree(tmp_path) == {"file.bin": sample(size), "witness": b"old"}


async def test_downloaded_file_has_ordinary_permissions(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"file.bin": b"x"})
    (tmp_path / "plain").write_bytes(b"")

    async with Transfer() as transfer:
        await transfer.copy(f"s3://{bucket}/file.bin", tmp_path / "file.bin")

    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file.bin", "plain")}
    assert len(modes) == 1


async def test_upload_replaces_an_object(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"file.bin": b"old and longer"})
    (tmp_path / "file.bin").write_bytes(b"new")

    async with Transfer() as transfer:
        await transfer.copy(tmp_path / "file.bin", f"s3://{bucket}/file.bin")

    assert objects_in(oracle, bucket) == {"file.bin": b"new"}


async def test_source_link_is_followed_and_uploads_its_target(oracle: Any, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"content")
    (tmp_path / "link").symlink_to("real")

    async with Transfer() as transfer:
        await transfer.copy(tmp_path / "link", f"s3://{bucket}/")

    assert keys_in(oracle, bucket) == ["link"]
    assert get_object(oracle, bucket, "link") == b"content"


async def test_stat_tells_what_the_store_knows(oracle: Any, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_bytes(b"content")

    async with Transfer() as transfer:
        receipt = await transfer.copy(tmp_path / "file.txt", f"s3://{bucket}/file.txt")
        info = await transfer.stat(f"s3://{bucket}/file.txt")

    head = oracle.head_object(Bucket=bucket, Key="file.txt")
    assert (info.size, info.etag) == (7, head["ETag"])
    assert info.modified_seconds == head["LastModified"].timestamp()
    assert info.content_type == "text/plain"
    assert info.checksums == (receipt.checksum,)
    assert set(info.metadata) == {"mtime"}
