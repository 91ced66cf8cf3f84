"""Comparing what is in two places, against both servers: what is proved, what is wrong, and what cannot be told."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Never

import botocore.session
import pytest
from botocore.config import Config

from tests.integration.samples import MIB, MULTIPART_SIZE, PART, put_objects, sample, settled, write_tree
from tests.support.servers import S3Server
from transfer import Transfer, TransferOptions
from transfer.engine import auditing, part_lengths, trees
from transfer.model.audits import Audited, Finding, Recorded
from transfer.model.checksums import Checksum, ChecksumAlgorithm, VerifiedBy
from transfer.model.entries import Entry
from transfer.model.errors import (
    LocalFileError,
    SourceChangedError,
    StoreError,
    TransferError,
    UnorderedListingError,
    UsageError,
)
from transfer.model.filters import FilterRule, Filters
from transfer.model.locations import LocalLocation, S3Location
from transfer.model.objects import ListedObject
from transfer.model.receipts import Failure, Skip
from transfer.stores.local.source import SourceFile
from transfer.stores.s3 import objects

MATCH, DIFFERS, MISSING, EXTRA, UNVERIFIABLE = Finding
TREE = {
    "a-b": b"before the folder in the order of bytes",
    "a/x": b"1",
    "a.txt": b"12",
    "empty": b"",
    "hällo +%41#&.txt": sample(300_000),
    "a/deep/er/it's <x>": sample(70_000, 2),
    "z": sample(900_000, 3),
}


@pytest.fixture(scope="module")
def plain_oracle(server: S3Server) -> Iterator[Any]:
    """A client as older SDKs are: it sends no checksums."""
    client = botocore.session.Session().create_client(
        "s3",
        region_name=server.region,
        endpoint_url=server.endpoint_url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required", proxies={}),
    )
    yield client
    client.close()


async def verified(first: Path | str, second: Path | str, **options: Any) -> dict[str, Finding]:
    """Compare; what is known of each name, told once. No body may arrive."""
    async with Transfer(options=TransferOptions(resume=False, **options)) as transfer:
        found = await settled(transfer.verify(first, second))
        assert transfer.progress.bytes_moved == 0
    audited = [audit for audit in found if isinstance(audit, Audited)]
    assert len(audited) == len(found), found
    assert len({audit.name for audit in audited}) == len(audited)
    return {audit.name: audit.finding for audit in audited}


async def one(first: Path | str, second: Path | str) -> Audited:
    async with Transfer() as transfer:
        (found,) = await settled(transfer.verify(first, second))
    assert isinstance(found, Audited), found
    return found


def flip(path: Path, offset: int) -> None:
    """Damage a byte without leaving a trace in size or time."""
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


async def upload(source: Path, url: str, **options: Any) -> None:
    async with Transfer(options=TransferOptions(resume=False, **options)) as transfer:
        await transfer.copy(source, url)


async def test_a_tree_and_its_copy_match_in_both_orders(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path / "site", TREE)
    put_objects(oracle, bucket, {f"site/{name}": content for name, content in TREE.items()})
    put_objects(oracle, bucket, {"site2/a.txt": b"of another tree", "site/": b"", "site/a/": b""})

    assert await verified(tmp_path / "site", f"s3://{bucket}/site") == dict.fromkeys([*TREE, "a/"], MATCH)
    assert await verified(f"s3://{bucket}/site/", tmp_path / "site") == dict.fromkeys([*TREE, "a/"], MATCH)


async def test_every_difference_is_found(oracle: Any, bucket: str, tmp_path: Path) -> None:
    root = tmp_path / "site"
    put_objects(oracle, bucket, {f"site/{name}": content for name, content in TREE.items()})
    put_objects(oracle, bucket, {"site/only/there": b"x", "site/no-folder/": b""})
    write_tree(root, TREE | {"only-here": b"y", "a.txt": b"longer"})
    for name in ("a/deep/er/it's <x>", "z"):
        flip(root / name, 12_345)

    expected = dict.fromkeys(TREE, MATCH) | dict.fromkeys(["a/deep/er/it's <x>", "z", "a.txt"], DIFFERS)
    extra = dict.fromkeys(["only/there", "no-folder/"], EXTRA)
    assert await verified(root, f"s3://{bucket}/site") == expected | extra | {"only-here": MISSING}
    missing = dict.fromkeys(extra, MISSING)
    assert await verified(f"s3://{bucket}/site", root) == expected | missing | {"only-here": EXTRA}


async def test_other_sizes_are_told_without_reading(
    oracle: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_objects(oracle, bucket, {"a": b"12"})
    write_tree(tmp_path / "site", {"a": b"1"})

    def opened(*_: object) -> None:
        raise AssertionError("a file is read")

    monkeypatch.setattr(auditing, "FileProof", opened)
    assert await verified(tmp_path / "site", f"s3://{bucket}") == {"a": DIFFERS}


async def test_filters_choose_on_both_sides(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path / "site", {"a.txt": b"1", "b.tmp": b"22", "c.tmp": b"333", "large.txt": b"4" * 100})
    put_objects(oracle, bucket, {"a.txt": b"1", "b.tmp": b"xx", "d.tmp": b"4444"})

    no_temporary = Filters(rules=(FilterRule("*.tmp", includes=False),), max_size_bytes=50)
    assert await verified(tmp_path / "site", f"s3://{bucket}", filters=no_temporary) == {"a.txt": MATCH}
    # What the first side says decides: an old file is left out although its object is new.
    os.utime(tmp_path / "site" / "a.txt", (1000, 1000))
    recent = Filters(modified_after_seconds=2000)
    found = await verified(tmp_path / "site", f"s3://{bucket}", filters=recent)
    assert found == {"b.tmp": DIFFERS, "c.tmp": MISSING, "large.txt": MISSING, "d.tmp": EXTRA}
    none = Filters(storage_classes=frozenset({"GLACIER"}))
    assert "a.txt" not in await verified(tmp_path / "site", f"s3://{bucket}", filters=none)


# How an object in parts is proved, and what is found of a damaged one: moto does not tell the sizes of parts.
IN_PARTS = {
    ChecksumAlgorithm.CRC64NVME: (VerifiedBy.FULL_OBJECT, {"seaweedfs": DIFFERS, "moto": DIFFERS}),
    ChecksumAlgorithm.CRC32: (VerifiedBy.FULL_OBJECT, {"seaweedfs": DIFFERS, "moto": DIFFERS}),
    ChecksumAlgorithm.SHA256: (VerifiedBy.COMPOSITE, {"seaweedfs": DIFFERS, "moto": UNVERIFIABLE}),
    ChecksumAlgorithm.SHA1: (VerifiedBy.COMPOSITE, {"seaweedfs": DIFFERS, "moto": UNVERIFIABLE}),
    ChecksumAlgorithm.MD5: (VerifiedBy.MD5_ETAG, {"seaweedfs": DIFFERS, "moto": UNVERIFIABLE}),
    ChecksumAlgorithm.NONE: (VerifiedBy.MD5_ETAG, {"seaweedfs": DIFFERS, "moto": UNVERIFIABLE}),
}


@pytest.mark.parametrize("algorithm", list(IN_PARTS))
async def test_an_object_in_parts(server: S3Server, bucket: str, tmp_path: Path, algorithm: ChecksumAlgorithm) -> None:
    path, url = tmp_path / "film", f"s3://{bucket}/film"
    path.write_bytes(sample(MULTIPART_SIZE))
    await upload(path, url, checksum=algorithm, part_size_bytes=PART)

    proof, damaged = IN_PARTS[algorithm]
    found = await one(path, url)
    assert (found.finding, found.evidence.verified_by) == (MATCH, proof)
    assert found.evidence.checksum is not None
    flip(path, PART + 1)
    assert (await one(path, url)).finding is damaged[server.name]
    assert (await one(url, path)).finding is damaged[server.name]


UNUSUAL = (7_000_000, 7_000_000, 1)


@pytest.mark.parametrize("lengths", [(8 * MIB, 8 * MIB, 12_345), (9_000_000,), UNUSUAL])
async def test_an_object_in_parts_without_checksums(
    server: S3Server, plain_oracle: Any, bucket: str, tmp_path: Path, lengths: tuple[int, ...]
) -> None:
    content = sample(sum(lengths))
    send_in_parts(plain_oracle, bucket, "film", content, lengths)
    (tmp_path / "film").write_bytes(content)

    found = await one(tmp_path / "film", f"s3://{bucket}/film")
    # moto does not tell the sizes of parts, and nobody would try this one.
    expected = UNVERIFIABLE if server.name == "moto" and lengths == UNUSUAL else MATCH
    assert found.finding is expected
    assert found.evidence.verified_by is not VerifiedBy.FULL_OBJECT


async def test_parts_of_different_sizes(seaweed: S3Server, seaweed_oracle: Any, tmp_path: Path) -> None:
    del seaweed
    seaweed_oracle.create_bucket(Bucket="uneven-parts")
    lengths = (5 * MIB, 6 * MIB, 5 * MIB, 7)
    content = sample(sum(lengths))
    send_in_parts(seaweed_oracle, "uneven-parts", "film", content, lengths)
    (tmp_path / "film").write_bytes(content)

    assert (await one(tmp_path / "film", "s3://uneven-parts/film")).finding is MATCH
    flip(tmp_path / "film", 11 * MIB)
    assert (await one(tmp_path / "film", "s3://uneven-parts/film")).finding is DIFFERS


async def test_parts_of_which_only_the_first_is_told_prove_no_difference(
    seaweed: S3Server, seaweed_oracle: Any, seaweed_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del seaweed
    real = objects.head_part

    async def refused(*_: object) -> Never:
        raise StoreError("no", status=403, code="AccessDenied")

    async def first_alone(store: Any, location: S3Location, number: int, etag: str) -> int | None:
        return await real(store, location, number, etag) if number == 1 else await refused()

    monkeypatch.setattr(part_lengths, "list_part_lengths", refused)
    monkeypatch.setattr(part_lengths, "head_part", first_alone)
    content = sample(16 * MIB)
    (tmp_path / "film").write_bytes(content)
    for lengths, expected in (((6 * MIB, 5 * MIB, 5 * MIB), UNVERIFIABLE), ((6 * MIB, 6 * MIB, 4 * MIB), MATCH)):
        send_in_parts(seaweed_oracle, seaweed_bucket, "film", content, lengths)
        assert (await one(tmp_path / "film", f"s3://{seaweed_bucket}/film")).finding is expected


def send_in_parts(client: Any, bucket: str, key: str, content: bytes, lengths: tuple[int, ...]) -> None:
    upload_id = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    parts, offset = [], 0
    for number, length in enumerate(lengths, start=1):
        name = {"Bucket": bucket, "Key": key, "UploadId": upload_id, "PartNumber": number}
        etag = client.upload_part(**name, Body=content[offset : offset + length])["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
        offset += length
    client.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts})


async def test_two_prefixes(oracle: Any, bucket: str) -> None:
    same = {"a": b"1", "b/c": sample(10_000), "e": b""}
    put_objects(oracle, bucket, {f"one/{name}": content for name, content in (same | {"d": b"1", "m": b"m"}).items()})
    put_objects(oracle, bucket, {f"two/{name}": content for name, content in (same | {"d": b"2", "x": b"x"}).items()})

    expected = dict.fromkeys(same, MATCH) | {"d": DIFFERS, "m": MISSING, "x": EXTRA}
    assert await verified(f"s3://{bucket}/one/", f"s3://{bucket}/two/") == expected
    assert await verified(f"s3://{bucket}/one", f"s3://{bucket}/two") == expected
    assert (await one(f"s3://{bucket}/one/b/c", f"s3://{bucket}/two/b/")).finding is MATCH
    assert (await one(f"s3://{bucket}/one/d", f"s3://{bucket}/two/d")).finding is DIFFERS
    assert (await one(f"s3://{bucket}/one/d", f"s3://{bucket}/one/missing")).finding is MISSING


async def test_single_files(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"docs/a": b"1"})
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")

    assert (await one(tmp_path / "a", f"s3://{bucket}/docs/")).finding is MATCH
    assert (await one(f"s3://{bucket}/docs/a", tmp_path / "b")).finding is DIFFERS
    missing = await one(tmp_path / "b", f"s3://{bucket}/docs/")
    assert (missing.name, missing.finding, missing.size) == ("b", MISSING, 1)
    async with Transfer() as transfer:
        (failure,) = await settled(transfer.verify(f"s3://{bucket}/docs/nothing", tmp_path / "b"))
        assert isinstance(failure, Failure)
        assert isinstance(failure.error, StoreError)
        with pytest.raises(StoreError, match="no objects below"):
            await settled(transfer.verify(f"s3://{bucket}/nothing", tmp_path))
        with pytest.raises(TransferError, match="bucket"):
            await settled(transfer.verify(tmp_path, "s3://no-such-bucket-anywhere/"))


@pytest.mark.parametrize("large", [False, True])
async def test_a_file_that_changes_while_it_is_read(
    oracle: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    content = sample(17 * MIB if large else 300_000)
    put_objects(oracle, bucket, {"site/a": content, "site/b": b"b"})
    write_tree(tmp_path / "site", {"a": content, "b": b"b"})
    check = SourceFile.check_unchanged

    def written_meanwhile(source: SourceFile) -> None:
        if source.path.endswith("a"):
            os.utime(source.path, (1, 1))
        check(source)

    monkeypatch.setattr(SourceFile, "check_unchanged", written_meanwhile)
    async with Transfer() as transfer:
        found = await settled(transfer.verify(tmp_path / "site", f"s3://{bucket}/site"))
    failures = [audit for audit in found if isinstance(audit, Failure)]
    assert [type(failure.error) for failure in failures] == [SourceChangedError]
    assert [audit.finding for audit in found if isinstance(audit, Audited)] == [MATCH]


async def test_what_cannot_be_looked_at_is_told(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"link": b"1", "a": b"1"})
    write_tree(tmp_path / "site", {"a": b"1"})
    (tmp_path / "site" / "link").symlink_to("a")
    async with Transfer(options=TransferOptions(follow_symlinks=False)) as transfer:
        found = await settled(transfer.verify(tmp_path / "site", f"s3://{bucket}"))
    assert [audit.finding for audit in found if isinstance(audit, Audited)] == [MATCH]
    assert [audit.reason for audit in found if isinstance(audit, Skip)] == ["symbolic link not followed"]
    assert await verified(tmp_path / "site", f"s3://{bucket}") == {"a": MATCH, "link": MATCH}


async def test_a_store_that_breaks_the_order_is_told_of_once(
    oracle: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a", "b", "c", "d", "e", "f"]
    put_objects(oracle, bucket, {name: name.encode() for name in names if name != "e"})
    write_tree(tmp_path / "site", {name: name.encode() for name in names if name != "f"})
    listed = oracle.list_objects_v2(Bucket=bucket)["Contents"]
    entries = {one["Key"]: ListedObject(one["Key"], one["Size"], one["ETag"], 0.0) for one in listed}
    asked = []

    async def out_of_order(
        context: object, location: S3Location, *, is_sorted_on_disk: bool
    ) -> AsyncIterator[list[Entry[ListedObject]]]:
        asked.append(is_sorted_on_disk)
        for name in sorted(entries) if is_sorted_on_disk else ["a", "c", "d"]:
            yield [Entry(name, entries[name].size, 0.0, entries[name])]
        if not is_sorted_on_disk:
            raise UnorderedListingError("b comes after d")

    monkeypatch.setattr(trees, "remote_side", out_of_order)
    found = await verified(tmp_path / "site", f"s3://{bucket}")
    assert found == dict.fromkeys("abcd", MATCH) | {"e": MISSING, "f": EXTRA}
    assert asked == [False, True]


async def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    async with Transfer(options=TransferOptions(filters=Filters(min_size_bytes=1))) as transfer:
        for first, second in [
            (str(tmp_path), str(tmp_path)),
            ("-", "s3://b/k"),
            ("s3://b/k", "s3://b/k"),
            (str(tmp_path / "a"), "s3://b/k"),
        ]:
            with pytest.raises(UsageError):
                transfer.verify(first, second)
        with pytest.raises(LocalFileError):
            transfer.verify(tmp_path / "nothing", "s3://b/k")


async def test_records(oracle: Any, bucket: str, tmp_path: Path) -> None:
    content = sample(MULTIPART_SIZE)
    path = tmp_path / "file"
    path.write_bytes(content)
    async with Transfer(options=TransferOptions(resume=False)) as transfer:
        receipt = await transfer.copy(path, f"s3://{bucket}/file")
    put_objects(oracle, bucket, {"replaced": b"other", "shorter": b"1"})
    crc = receipt.checksum
    whole = Checksum(ChecksumAlgorithm.SHA256, "hbI38ygZ0S7RPNchsyEJjNri8dXNEZFGkr2RGbSHNJw=")

    def at(key: str, size: int, checksum: Checksum | None, etag: str = "") -> Recorded:
        return Recorded(str(path), S3Location(bucket, key), size, etag, checksum)

    records = [
        at("file", MULTIPART_SIZE, crc),
        at("file", MULTIPART_SIZE, None, receipt.etag),
        at("file", MULTIPART_SIZE, whole),
        at("replaced", 5, None, '"00112233445566778899aabbccddeeff"'),
        at("shorter", 2, crc),
        at("gone", 2, crc),
        Recorded("s3://b/k", LocalLocation(str(path)), MULTIPART_SIZE, "", crc),
        Recorded("s3://b/k", LocalLocation(str(path)), MULTIPART_SIZE, "", whole),
        Recorded("s3://b/k", LocalLocation(f"{path}-gone"), MULTIPART_SIZE, "", crc),
        Recorded("s3://b/k/", LocalLocation(str(tmp_path)), 0, "", None),
    ]
    expected = [MATCH, MATCH, UNVERIFIABLE, DIFFERS, DIFFERS, MISSING, MATCH, DIFFERS, MISSING, MATCH]
    for record, finding in zip(records, expected, strict=True):
        async with Transfer() as transfer:
            (found,) = await settled(transfer.verify_records([record]))
        assert isinstance(found, Audited)
        assert found.finding is finding, record
