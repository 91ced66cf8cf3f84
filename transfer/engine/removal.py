"""Removing objects: named ones, those that match a pattern, or all below a prefix, a thousand in one request.

In a dry run what would be removed is told, and nothing is sent but listings and questions.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from itertools import repeat
from operator import itemgetter
from typing import TypeVar

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.copy_request import one_is_not_filtered
from transfer.engine.listing import list_matches, list_tree
from transfer.engine.outcomes import Deliver
from transfer.engine.spread import spread
from transfer.engine.wildcard_keys import is_pattern
from transfer.model.errors import StoreError, TransferError, UsageError
from transfer.model.filters import Filters
from transfer.model.locations import S3Location, has_wildcard, parse_s3_location
from transfer.model.objects import ListedObject
from transfer.model.receipts import Failure, Outcome, Removal
from transfer.model.values import dataclass
from transfer.plan.filters import compile_filters
from transfer.plan.naming import folder_prefix
from transfer.plan.remedies import remedy_of
from transfer.plan.wildcards import relative_base
from transfer.stores.s3.listing import DELETE_BATCH_KEYS, delete_objects
from transfer.stores.s3.objects import delete_object, head_object
from transfer.stores.s3.xml import split_deletable


@dataclass(frozen=True, slots=True)
class Batch:
    """Keys of one bucket that go in one request; with the sizes of their objects in bytes, where they were listed."""

    bucket: str
    keys: tuple[str, ...]
    sizes: tuple[int, ...] = ()


_key_of, _size_of = (itemgetter(ListedObject._fields.index(name)) for name in ("key", "size"))
"""A thousand at a time: as fast as a named tuple is read."""

Found = TypeVar("Found", bound=Batch | S3Location | Failure)


def check_removal(
    urls: Sequence[str], *, recursive: bool, raw: bool, filters: Filters | None = None
) -> tuple[S3Location, ...]:
    """Read what is to be removed and refuse what makes no sense.

    Raises:
        UsageError: A location is not in a bucket, or is a folder and `recursive` is not set, or is a single object and
            there are filters.
    """
    if not urls:
        raise UsageError("nothing is named to be removed", remedy="write s3://bucket/key")
    locations = tuple(parse_s3_location(url) for url in urls)
    for location in locations:
        is_many = recursive or (has_wildcard(location.key) and not raw)
        if location.is_folder_like and not is_many:
            raise UsageError("it is a folder", subject=str(location), remedy="use -r to remove all objects below it")
        if filters is not None and not filters.is_open and not is_many:
            raise one_is_not_filtered(str(location))
    return locations


async def plan_removal(
    context: Context, locations: Sequence[S3Location], *, recursive: bool, raw: bool
) -> AsyncGenerator[Batch | S3Location, None]:
    """What to remove: single objects as they were named, others in batches as listings find them.

    What the filters of the run leave out is never among them.

    Raises:
        StoreError: A listing failed, or nothing is there.
        UsageError: There are filters, and what looked like a pattern is the name of an object.
    """
    filters = context.options.filters
    wants = None if filters.is_open else compile_filters(filters).wants_object
    for location in locations:
        by_pattern = await is_pattern(context, location, recursive=recursive, raw=raw)
        if not recursive and not by_pattern:
            if wants is not None:
                raise one_is_not_filtered(str(location))
            yield location
            continue
        found_any = False
        keys: list[ListedObject] = []
        listing = list_matches(context, location) if by_pattern else list_tree(context, location)
        root_length = len(relative_base(location.key) if by_pattern else folder_prefix(location.key))
        async with aclosing(listing):
            async for batch in listing:
                found_any = True
                keys += batch if wants is None else [one for one in batch if wants(one.key[root_length:], one)]
                while len(keys) >= DELETE_BATCH_KEYS:
                    yield _batch(location, keys[:DELETE_BATCH_KEYS])
                    del keys[:DELETE_BATCH_KEYS]
        if keys:
            yield _batch(location, keys)
        if not found_any and location.key:
            raise _nothing_there(location)


def _batch(location: S3Location, found: Sequence[ListedObject]) -> Batch:
    return Batch(location.bucket, tuple(map(_key_of, found)), tuple(map(_size_of, found)))


async def remove_all(
    context: Context,
    locations: Sequence[S3Location],
    *,
    recursive: bool,
    raw: bool,
    is_dry_run: bool,
    deliver: Deliver[Outcome],
) -> None:
    """Remove what checked locations mean, or tell it, many at a time, and deliver an outcome for each object.

    Raises:
        StoreError: As `plan_removal`.
        TransferError: As `remove_batch`.
    """

    async def remove(found: Batch | S3Location) -> None:
        await deliver(*await settle(context, found, is_dry_run=is_dry_run))

    # Closed here: generators that are left to the end of the loop are closed there in any order, which they refuse.
    async with aclosing(plan_removal(context, locations, recursive=recursive, raw=raw)) as planned:
        await spread(counted(context, planned), remove, lambda workers: workers < context.lanes.limit)


async def counted(context: Context, planned: AsyncIterator[Found]) -> AsyncIterator[Found]:
    """What is to be removed, counted as it passes."""
    async for found in planned:
        context.progress.items_to_remove += len(found.keys) if isinstance(found, Batch) else 1
        yield found
    context.progress.total_is_final = True


async def settle(context: Context, found: Batch | S3Location | Failure, *, is_dry_run: bool) -> Sequence[Outcome]:
    """Remove what was found, or only tell it, and count what became of it; raises as `remove_batch`."""
    outcomes: Sequence[Outcome]
    if isinstance(found, Failure):
        outcomes = [found]
    elif is_dry_run:
        outcomes = await _told(context, found)
    elif isinstance(found, S3Location):
        outcomes = [await remove_one(context, found)]
    else:
        outcomes = await remove_batch(context, found)
    failed = sum(isinstance(outcome, Failure) for outcome in outcomes)
    context.progress.items_failed += failed
    context.progress.items_removed += len(outcomes) - failed
    return outcomes


async def _told(context: Context, found: Batch | S3Location) -> list[Outcome]:
    """What would become of it; a named object is asked for, as before it is removed."""
    if isinstance(found, Batch):
        places = (str(S3Location(found.bucket, key)) for key in found.keys)
        sizes = found.sizes or repeat(None, len(found.keys))
        return [Removal(place, is_dry_run=True, size=size) for place, size in zip(places, sizes, strict=True)]
    try:
        info = await context.attempts.run(found, lambda _: head_object(context.store, found), Tally())
    except TransferError as error:
        return [await _missed(context, found, error)]
    return [Removal(str(found), is_dry_run=True, size=info.size)]


async def remove_one(context: Context, location: S3Location) -> Outcome:
    """Remove a named object; unlike S3 itself, one that does not exist is an error: the name is likely mistyped."""
    try:
        await context.attempts.run(location, lambda _: head_object(context.store, location), Tally())
        await context.attempts.run(location, lambda _: delete_object(context.store, location), Tally())
    except TransferError as error:
        return await _missed(context, location, error)
    return Removal(str(location))


async def _missed(context: Context, location: S3Location, error: TransferError) -> Failure:
    from transfer.engine.missing_source import explain

    return Failure(str(location), "", await explain(context, location, error))


async def remove_batch(context: Context, batch: Batch) -> list[Outcome]:
    """Remove many keys; those that the XML of a batch cannot carry go one by one.

    Raises:
        TransferError: The whole request was refused, or the answer tells of keys that were not named: then nothing is
            known of those that were.
    """
    carried, single = split_deletable(batch.keys)
    outcomes: list[Outcome] = []
    if carried:
        place = S3Location(batch.bucket)
        failures = await context.attempts.run(
            place, lambda _: delete_objects(context.store, batch.bucket, carried), Tally()
        )
        refused = {failure.key: failure for failure in failures}
        for key in refused.keys() - set(carried):
            raise _refusal(place.with_key(key), refused[key].code, "the store refused to remove a key nobody named")
        # Of a thousand names that begin alike, each is one joining of texts.
        start = str(place)
        outcomes += [
            Failure(start + key, "", _refusal(place.with_key(key), refused[key].code, refused[key].message))
            if key in refused
            else Removal(start + key)
            for key in carried
        ]
    outcomes += [await _remove_single(context, S3Location(batch.bucket, key)) for key in single]
    return outcomes


async def _remove_single(context: Context, location: S3Location) -> Outcome:
    try:
        await context.attempts.run(location, lambda _: delete_object(context.store, location), Tally())
    except TransferError as error:
        return Failure(str(location), "", error)
    return Removal(str(location))


def _refusal(location: S3Location, code: str, message: str) -> StoreError:
    error = StoreError(message or code, status=200, code=code, subject=str(location))
    error.remedy = remedy_of(error)
    return error


def _nothing_there(location: S3Location) -> StoreError:
    return StoreError(
        "there are no objects to remove",
        status=404,
        code="NoSuchKey",
        subject=str(location),
        remedy="check the name with: transfer ls",
    )
