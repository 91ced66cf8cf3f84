"""Buckets are made, listed and removed; refusals say why."""

import uuid
from typing import Any

import pytest

from tests.integration.samples import put_objects
from tests.support.servers import S3Server
from transfer import Transfer
from transfer.model.errors import StoreError, TransferError


@pytest.fixture
def name() -> str:
    return f"made-{uuid.uuid4().hex[:16]}"


def _names(oracle: Any) -> list[str]:
    return [found["Name"] for found in oracle.list_buckets()["Buckets"]]


async def test_bucket_is_made_listed_and_removed(oracle: Any, name: str) -> None:
    async with Transfer() as transfer:
        await transfer.make_bucket(name)
        assert name in _names(oracle)

        entries = await transfer.list_buckets()
        assert [entry.name for entry in entries] == sorted(_names(oracle))
        (entry,) = [entry for entry in entries if entry.name == name]
        assert entry.created_seconds > 0

        await transfer.remove_bucket(name)
    assert name not in _names(oracle)


async def test_bucket_with_objects_is_not_removed(moto: S3Server, s3_client: Any, name: str) -> None:
    # SeaweedFS removes the objects too, as it is set up by default.
    oracle, bucket = s3_client(moto), name
    oracle.create_bucket(Bucket=bucket)
    put_objects(oracle, bucket, {"a": b"1"})

    async with Transfer() as transfer:
        with pytest.raises(StoreError) as caught:
            await transfer.remove_bucket(bucket)

    assert (caught.value.code, caught.value.subject) == ("BucketNotEmpty", f"s3://{bucket}/")
    assert caught.value.remedy
    assert bucket in _names(oracle)


async def test_missing_bucket_cannot_be_removed(server: S3Server, name: str) -> None:
    async with Transfer() as transfer:
        with pytest.raises(StoreError) as caught:
            await transfer.remove_bucket(name)

    assert (caught.value.code, caught.value.subject) == ("NoSuchBucket", f"s3://{name}/")


@pytest.mark.parametrize("bad", ["a", "with space", "x" * 64])
async def test_impossible_name_is_refused_in_our_words(oracle: Any, bad: str) -> None:
    async with Transfer() as transfer:
        with pytest.raises(TransferError) as caught:
            await transfer.make_bucket(bad)

    assert caught.value.remedy
    assert bad not in _names(oracle)


async def test_bucket_of_another_region(moto: S3Server, s3_client: Any, name: str) -> None:
    async with Transfer(region="eu-west-1") as transfer:
        await transfer.make_bucket(name)

    location = s3_client(moto).get_bucket_location(Bucket=name)["LocationConstraint"]
    assert location == "eu-west-1"
