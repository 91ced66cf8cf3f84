"""Bucket administration, left to aiobotocore: it happens once per bucket and its rules differ from region to region."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from transfer.model.errors import StoreError
from transfer.model.locations import S3Location
from transfer.model.objects import BucketEntry
from transfer.stores.s3.access import DEFAULT_REGION
from transfer.stores.s3.botocore_access import BotocoreAccess


async def make_bucket(access: BotocoreAccess, bucket: str) -> None:
    """Make a bucket in the region of the run (CreateBucket).

    Raises:
        StoreError: The name is taken or not allowed.
    """
    async with _named(access, bucket) as client:
        region = client.meta.region_name
        placement = {} if region == DEFAULT_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        await client.create_bucket(Bucket=bucket, **placement)


async def remove_bucket(access: BotocoreAccess, bucket: str) -> None:
    """Remove an empty bucket (DeleteBucket).

    Raises:
        StoreError: It is not empty or does not exist.
    """
    async with _named(access, bucket) as client:
        await client.delete_bucket(Bucket=bucket)


async def list_buckets(access: BotocoreAccess) -> tuple[BucketEntry, ...]:
    """All buckets of the account (ListBuckets), by name.

    Raises:
        StoreError: The store refused.
    """
    async with access.administration() as client:
        answer = await client.list_buckets()
    entries = (BucketEntry(found["Name"], found["CreationDate"].timestamp()) for found in answer.get("Buckets", ()))
    return tuple(sorted(entries, key=lambda entry: entry.name))


@asynccontextmanager
async def _named(access: BotocoreAccess, bucket: str) -> AsyncIterator[Any]:
    """A client whose refusals name the bucket."""
    try:
        async with access.administration() as client:
            yield client
    except StoreError as error:
        error.subject = str(S3Location(bucket))
        raise
