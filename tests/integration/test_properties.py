"""Properties that a new object is given, asked for through another client."""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.samples import MULTIPART_SIZE, PART, sample, settled, write_tree
from tests.support.servers import S3Server
from transfer import Transfer, TransferOptions
from transfer.model.objects import ObjectProperties

ALL = ObjectProperties(
    content_type="application/x-custom; charset=utf-8",
    cache_control="max-age=60, public",
    content_disposition='attachment; filename="a b.txt"',
    content_encoding="gzip",
    storage_class="STANDARD_IA",
    metadata={"Owner": "somebody", "two-words": "a b  c", "signs": "+%/=?&"},
    tags={"project": "moon shot", "a+b": "c=d/e:f@g"},
)
# What the stores make of an object without a type: SeaweedFS looks at its bytes.
STORE_TYPES = ("binary/octet-stream", "application/octet-stream", "text/plain; charset=utf-8")


async def _upload(path: Path, url: str, properties: ObjectProperties) -> None:
    options = TransferOptions(part_size_bytes=PART, properties=properties)
    async with Transfer(options=options) as transfer:
        await transfer.copy(path, url)


@pytest.mark.parametrize("size", [0, 1000, 300_000, MULTIPART_SIZE])
async def test_chosen_properties_are_kept(oracle: Any, bucket: str, tmp_path: Path, size: int) -> None:
    (tmp_path / "page.html").write_bytes(sample(size))

    await _upload(tmp_path / "page.html", f"s3://{bucket}/page.html", ALL)

    head = oracle.head_object(Bucket=bucket, Key="page.html")
    assert head["ContentType"] == ALL.content_type
    assert head["CacheControl"] == ALL.cache_control
    assert head["ContentDisposition"] == ALL.content_disposition
    assert head["ContentEncoding"] == ALL.content_encoding
    assert head["StorageClass"] == ALL.storage_class
    mtime = head["Metadata"].pop("mtime")
    assert float(mtime) == pytest.approx((tmp_path / "page.html").stat().st_mtime)
    assert head["Metadata"] == {"owner": "somebody", "two-words": "a b  c", "signs": "+%/=?&"}
    tags = oracle.get_object_tagging(Bucket=bucket, Key="page.html")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == ALL.tags


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("page.html", "text/html"),
        ("data.json", "application/json"),
        ("picture.jpg", "image/jpeg"),
        ("notes.txt", "text/plain"),
        ("archive.tar.gz", "application/gzip"),
    ],
)
async def test_content_type_is_guessed_from_the_name(
    oracle: Any, bucket: str, tmp_path: Path, name: str, content_type: str
) -> None:
    (tmp_path / name).write_bytes(b"x")

    await _upload(tmp_path / name, f"s3://{bucket}/{name}", ObjectProperties())

    head = oracle.head_object(Bucket=bucket, Key=name)
    assert head["ContentType"] == content_type
    assert "ContentEncoding" not in head


async def test_unknown_content_type_is_left_to_the_store(oracle: Any, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "file.zzzz").write_bytes(b"x")

    await _upload(tmp_path / "file.zzzz", f"s3://{bucket}/file.zzzz", ObjectProperties())

    assert oracle.head_object(Bucket=bucket, Key="file.zzzz")["ContentType"] in STORE_TYPES


async def test_properties_go_to_every_member_of_a_tree(oracle: Any, bucket: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {"a.txt": b"1", "sub/b.css": b"2"})
    properties = ObjectProperties(cache_control="no-store", metadata={"batch": "7"})

    async with Transfer(options=TransferOptions(properties=properties)) as transfer:
        await settled(transfer.copy_tree(tmp_path, f"s3://{bucket}/"))

    for key, content_type in (("a.txt", "text/plain"), ("sub/b.css", "text/css")):
        head = oracle.head_object(Bucket=bucket, Key=key)
        assert (head["CacheControl"], head["Metadata"]["batch"]) == ("no-store", "7")
        assert head["ContentType"] == content_type


async def test_own_mtime_wins_over_that_of_the_file(oracle: Any, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")

    await _upload(tmp_path / "file", f"s3://{bucket}/file", ObjectProperties(metadata={"mtime": "1234.5"}))
    async with Transfer() as transfer:
        await transfer.copy(f"s3://{bucket}/file", tmp_path / "back")

    assert oracle.head_object(Bucket=bucket, Key="file")["Metadata"] == {"mtime": "1234.5"}
    assert (tmp_path / "back").stat().st_mtime_ns == 1_234_500_000_000


@pytest.mark.parametrize("size", [1000, MULTIPART_SIZE])
async def test_encryption_and_acl_are_asked_for(moto: S3Server, s3_client: Any, tmp_path: Path, size: int) -> None:
    oracle = s3_client(moto)
    bucket = f"properties-{size}"
    oracle.create_bucket(Bucket=bucket)
    (tmp_path / "file").write_bytes(sample(size))

    await _upload(tmp_path / "file", f"s3://{bucket}/file", ObjectProperties(encryption="AES256", acl="public-read"))
    async with Transfer() as transfer:
        info = await transfer.stat(f"s3://{bucket}/file")
        await transfer.copy(f"s3://{bucket}/file", tmp_path / "back")

    assert oracle.head_object(Bucket=bucket, Key="file")["ServerSideEncryption"] == info.encryption == "AES256"
    grants = oracle.get_object_acl(Bucket=bucket, Key="file")["Grants"]
    everyone = [grant["Permission"] for grant in grants if grant["Grantee"].get("URI", "").endswith("AllUsers")]
    assert everyone == ["READ"]
    assert (tmp_path / "back").read_bytes() == sample(size)


async def test_stat_tells_chosen_properties(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")

    await _upload(tmp_path / "file", f"s3://{bucket}/file", ALL)
    async with Transfer() as transfer:
        info = await transfer.stat(f"s3://{bucket}/file")

    assert info.content_type == ALL.content_type
    assert info.cache_control == ALL.cache_control
    assert info.content_encoding == ALL.content_encoding
    assert info.storage_class == ALL.storage_class
    assert info.metadata["owner"] == "somebody"
