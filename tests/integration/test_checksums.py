"""What proves a transfer, for every checksum and both servers: the tables say exactly what each one can do."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config

from tests.integration.samples import MIB, MULTIPART_SIZE, PART, get_object, read_tree, sample, settled
from tests.support.servers import S3Server
from transfer import Transfer, TransferError, TransferOptions
from transfer.model.checksums import ChecksumAlgorithm, ChecksumType, VerifiedBy
from transfer.model.receipts import Failure

FULL, COMPOSITE, MD5, NOTHING = (
    VerifiedBy.FULL_OBJECT,
    VerifiedBy.COMPOSITE,
    VerifiedBy.MD5_ETAG,
    VerifiedBy.UNVERIFIED,
)
STORED_NAMES = {
    ChecksumAlgorithm.CRC64NVME: "ChecksumCRC64NVME",
    ChecksumAlgorithm.CRC32C: "ChecksumCRC32C",
    ChecksumAlgorithm.CRC32: "ChecksumCRC32",
    ChecksumAlgorithm.SHA256: "ChecksumSHA256",
    ChecksumAlgorithm.SHA1: "ChecksumSHA1",
}
# What the upload and then the download of the same object are verified by.
SINGLE = {
    ChecksumAlgorithm.CRC64NVME: (FULL, FULL),
    ChecksumAlgorithm.CRC32C: (FULL, FULL),
    ChecksumAlgorithm.CRC32: (FULL, FULL),
    ChecksumAlgorithm.SHA256: (FULL, FULL),
    ChecksumAlgorithm.SHA1: (FULL, FULL),
    ChecksumAlgorithm.MD5: (MD5, MD5),
    ChecksumAlgorithm.NONE: (NOTHING, MD5),
}
# moto leaves the number of parts out of composite checksums, so a download cannot tell their boundaries.
MULTIPART = {
    ("seaweedfs", ChecksumAlgorithm.CRC64NVME): (FULL, FULL),
    ("seaweedfs", ChecksumAlgorithm.CRC32C): (FULL, FULL),
    ("seaweedfs", ChecksumAlgorithm.CRC32): (FULL, FULL),
    ("seaweedfs", ChecksumAlgorithm.SHA256): (COMPOSITE, COMPOSITE),
    ("seaweedfs", ChecksumAlgorithm.SHA1): (COMPOSITE, COMPOSITE),
    ("seaweedfs", ChecksumAlgorithm.MD5): (MD5, NOTHING),
    ("seaweedfs", ChecksumAlgorithm.NONE): (NOTHING, NOTHING),
    ("moto", ChecksumAlgorithm.CRC64NVME): (FULL, FULL),
    ("moto", ChecksumAlgorithm.CRC32): (FULL, FULL),
    ("moto", ChecksumAlgorithm.SHA256): (COMPOSITE, NOTHING),
    ("moto", ChecksumAlgorithm.SHA1): (COMPOSITE, NOTHING),
    ("moto", ChecksumAlgorithm.MD5): (MD5, NOTHING),
    ("moto", ChecksumAlgorithm.NONE): (NOTHING, NOTHING),
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


@pytest.mark.parametrize("algorithm", list(SINGLE))
async def test_checksum_of_a_small_object(
    oracle: Any, bucket: str, tmp_path: Path, algorithm: ChecksumAlgorithm
) -> None:
    (tmp_path / "file").write_bytes(sample(1000))

    async with Transfer(options=TransferOptions(checksum=algorithm)) as transfer:
        up = await transfer.copy(tmp_path / "file", f"s3://{bucket}/file")
        down = await transfer.copy(f"s3://{bucket}/file", tmp_path / "back")

    assert (up.verified_by, down.verified_by) == SINGLE[algorithm]
    head = oracle.head_object(Bucket=bucket, Key="file", ChecksumMode="ENABLED")
    assert {name for name in STORED_NAMES.values() if name in head} == (
        {STORED_NAMES[algorithm]} if algorithm.is_stored else set()
    )
    if algorithm.is_stored:
        assert up.checksum is not None
        assert up.checksum.value == head[STORED_NAMES[algorithm]]
        assert up.checksum == down.checksum


# moto keeps a CRC32 under the name of CRC32C for objects in parts: see below.
@pytest.mark.parametrize("algorithm", [found for found in ChecksumAlgorithm if found is not ChecksumAlgorithm.CRC32C])
async def test_checksum_of_an_object_in_parts(
    server: S3Server, oracle: Any, bucket: str, tmp_path: Path, algorithm: ChecksumAlgorithm
) -> None:
    await _round_trip_in_parts(server, oracle, bucket, tmp_path, algorithm)


async def test_crc32c_of_an_object_in_parts(
    seaweed: S3Server, seaweed_oracle: Any, seaweed_bucket: str, tmp_path: Path
) -> None:
    await _round_trip_in_parts(seaweed, seaweed_oracle, seaweed_bucket, tmp_path, ChecksumAlgorithm.CRC32C)


async def _round_trip_in_parts(
    server: S3Server, oracle: Any, bucket: str, tmp_path: Path, algorithm: ChecksumAlgorithm
) -> None:
    (tmp_path / "file").write_bytes(sample(MULTIPART_SIZE))

    async with Transfer(options=TransferOptions(checksum=algorithm, part_size_bytes=PART)) as transfer:
        up = await transfer.copy(tmp_path / "file", f"s3://{bucket}/file")
        down = await transfer.copy(f"s3://{bucket}/file", tmp_path / "back")

    assert (up.verified_by, down.verified_by) == MULTIPART[server.name, algorithm]
    assert (tmp_path / "back").read_bytes() == sample(MULTIPART_SIZE)
    head = oracle.head_object(Bucket=bucket, Key="file", ChecksumMode="ENABLED")
    if algorithm.is_stored:
        assert head["ChecksumType"] == ("FULL_OBJECT" if algorithm.is_crc else "COMPOSITE")
        assert up.checksum is not None
        assert up.checksum.value.partition("-")[0] == head[STORED_NAMES[algorithm]].partition("-")[0]
    if algorithm is ChecksumAlgorithm.NONE:
        assert up.checksum is None


async def test_store_that_keeps_another_checksum_is_found_out(moto: S3Server, s3_client: Any, tmp_path: Path) -> None:
    oracle = s3_client(moto)
    oracle.create_bucket(Bucket="keeps-another")
    (tmp_path / "file").write_bytes(sample(MULTIPART_SIZE))
    options = TransferOptions(checksum=ChecksumAlgorithm.CRC32C, part_size_bytes=PART)

    async with Transfer(options=options) as transfer:
        (up,) = await settled(transfer.copy_many([str(tmp_path / "file")], "s3://keeps-another/file"))
        (down,) = await settled(transfer.copy_many(["s3://keeps-another/file"], str(tmp_path / "out/back")))

    for outcome in (up, down):
        assert isinstance(outcome, Failure)
        assert outcome.error.kind == "checksum_mismatch"
        assert outcome.error.subject == "s3://keeps-another/file"
        assert outcome.error.remedy
    assert read_tree(tmp_path / "out") == {}


@pytest.mark.parametrize("size", [1000, 9 * MIB])
async def test_object_of_an_older_sdk_is_verified_by_its_etag(
    plain_oracle: Any, bucket: str, tmp_path: Path, size: int
) -> None:
    plain_oracle.put_object(Bucket=bucket, Key="file", Body=sample(size))

    async with Transfer(options=TransferOptions(part_size_bytes=PART)) as transfer:
        receipt = await transfer.copy(f"s3://{bucket}/file", tmp_path / "file")

    assert receipt.verified_by is MD5
    assert receipt.checksum is not None
    assert receipt.checksum.algorithm is ChecksumAlgorithm.MD5
    assert (tmp_path / "file").read_bytes() == sample(size)


@pytest.mark.parametrize("algorithm", [None, "CRC32C", "CRC64NVME", "SHA256", "SHA1"])
@pytest.mark.parametrize("size", [1000, 9 * MIB])
async def test_object_with_a_checksum_of_botocore_is_verified_by_it(
    oracle: Any, bucket: str, tmp_path: Path, algorithm: str | None, size: int
) -> None:
    extra = {} if algorithm is None else {"ChecksumAlgorithm": algorithm}
    oracle.put_object(Bucket=bucket, Key="file", Body=sample(size), **extra)

    async with Transfer(options=TransferOptions(part_size_bytes=PART)) as transfer:
        receipt = await transfer.copy(f"s3://{bucket}/file", tmp_path / "file")

    assert receipt.verified_by is FULL
    assert receipt.checksum is not None
    # CRC32 is what botocore sends by default.
    assert receipt.checksum.algorithm.value == (algorithm or "CRC32").lower()
    assert (tmp_path / "file").read_bytes() == sample(size)


FOREIGN_PARTS = {
    ("seaweedfs", "none"): NOTHING,
    ("seaweedfs", "even"): COMPOSITE,
    ("seaweedfs", "uneven"): NOTHING,
    ("moto", "none"): NOTHING,
    ("moto", "even"): NOTHING,
    ("moto", "uneven"): NOTHING,
}


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [("none", [PART, 4 * MIB]), ("even", [PART, 4 * MIB]), ("uneven", [PART + 1000, PART, 1000])],
)
async def test_object_in_parts_of_another_tool(
    server: S3Server, oracle: Any, plain_oracle: Any, bucket: str, tmp_path: Path, kind: str, sizes: list[int]
) -> None:
    client, algorithm = (plain_oracle, None) if kind == "none" else (oracle, "SHA256")
    _put_in_parts(client, bucket, sizes, algorithm)

    async with Transfer() as transfer:
        receipt = await transfer.copy(f"s3://{bucket}/file", tmp_path / "file")

    assert receipt.verified_by is FOREIGN_PARTS[server.name, kind]
    assert receipt.checksum is not None
    assert (receipt.checksum.type is ChecksumType.COMPOSITE) == (receipt.verified_by is COMPOSITE)
    assert (tmp_path / "file").read_bytes() == sample(sum(sizes))


def _put_in_parts(client: Any, bucket: str, sizes: list[int], algorithm: str | None) -> None:
    extra = {"ChecksumAlgorithm": algorithm} if algorithm else {}
    upload = client.create_multipart_upload(Bucket=bucket, Key="file", **extra)["UploadId"]
    content, parts = sample(sum(sizes)), []
    for number, size in enumerate(sizes, start=1):
        body, content = content[:size], content[size:]
        answer = client.upload_part(Bucket=bucket, Key="file", UploadId=upload, PartNumber=number, Body=body, **extra)
        checksum = {"ChecksumSHA256": answer["ChecksumSHA256"]} if algorithm else {}
        parts.append({"PartNumber": number, "ETag": answer["ETag"], **checksum})
    client.complete_multipart_upload(Bucket=bucket, Key="file", UploadId=upload, MultipartUpload={"Parts": parts})


async def test_bytes_read_twice_agree_with_the_store(oracle: Any, bucket: str, tmp_path: Path) -> None:
    oracle.put_object(Bucket=bucket, Key="file", Body=sample(1000), ChecksumAlgorithm="SHA256")
    written = bytearray()

    async with Transfer() as transfer:
        copied = await transfer.copy(f"s3://{bucket}/file", tmp_path / "file")
        printed = await transfer.cat(f"s3://{bucket}/file", written.extend)

    assert copied.checksum == printed.checksum
    assert bytes(written) == get_object(oracle, bucket, "file")


async def test_bad_part_size_is_refused_before_anything_is_opened() -> None:
    with pytest.raises(TransferError) as caught:
        Transfer(options=TransferOptions(part_size_bytes=1024))

    assert (caught.value.kind, caught.value.subject) == ("usage", "--part-size")
