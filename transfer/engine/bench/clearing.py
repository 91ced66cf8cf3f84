"""Removing what a measurement wrote, and nothing else: every key named here lies below its fresh prefix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.listing import list_pages
from transfer.engine.removal import Batch, remove_batch
from transfer.engine.spread import each, spread
from transfer.model.errors import StoreError
from transfer.model.locations import S3Location
from transfer.model.receipts import Failure
from transfer.stores.s3.listing import DELETE_BATCH_KEYS
from transfer.stores.s3.objects import delete_object

ROUNDS: Final = 3
"""A write whose answer nobody waited for may appear after the listing has passed it."""


async def remove_keys(context: Context, place: S3Location, keys: Iterable[str]) -> None:
    """Remove keys below a prefix, whether they exist or not.

    Raises:
        TransferError: The store refused one of them.
    """
    await spread(each(_batches(keys)), lambda batch: _remove(context, place, batch), context.may_add_item_worker)


async def remove_below(context: Context, place: S3Location) -> int:
    """Remove all objects below a prefix, which nobody else writes to.

    Returns:
        How many objects are still there.

    Raises:
        TransferError: The store refused to list or to remove.
    """
    left = 0
    for _ in range(ROUNDS):
        left = 0
        async for page in list_pages(context, place.bucket, place.key):
            keys = [listed.key for listed in page.objects if listed.key.startswith(place.key)]
            left += len(keys)
            await remove_keys(context, place, keys)
        if not left:
            return 0
    return sum([len(page.objects) async for page in list_pages(context, place.bucket, place.key)])


async def _remove(context: Context, place: S3Location, keys: tuple[str, ...]) -> None:
    try:
        outcomes = await remove_batch(context, Batch(place.bucket, keys))
    except StoreError:
        # Not all stores know requests that remove many.
        for key in keys:
            await _remove_one(context, place.with_key(key))
        return
    for outcome in outcomes:
        if isinstance(outcome, Failure):
            raise outcome.error


async def _remove_one(context: Context, location: S3Location) -> None:
    await context.attempts.run(location, lambda _: delete_object(context.store, location), Tally())


def _batches(keys: Iterable[str]) -> Iterator[tuple[str, ...]]:
    rest = iter(keys)
    while batch := tuple(islice(rest, DELETE_BATCH_KEYS)):
        yield batch
