"""What `ls` shows and `du` counts: entries of a bucket, a page at a time, so that a million cost no million hops."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from operator import itemgetter

from transfer.engine.context import Context
from transfer.engine.listing import list_pages
from transfer.engine.ordered_listing import list_keys
from transfer.model.errors import UsageError
from transfer.model.locations import S3Location, has_wildcard
from transfer.model.objects import CommonPrefix, ListedObject, ListPage
from transfer.plan.filters import compile_filters
from transfer.plan.key_order import order_of
from transfer.plan.wildcards import compile_pattern, literal_prefix, relative_base

DELIMITER = "/"

ObjectBatch = tuple[ListedObject, ...]
EntryBatch = tuple[ListedObject | CommonPrefix, ...]


def list_batches(
    context: Context, location: S3Location, *, recursive: bool, raw: bool
) -> AsyncGenerator[EntryBatch, None]:
    """What `ls` shows: the entries that start with the location's key, folded at the next slash unless recursive.

    Args:
        context: The run. The filters among its options apply to objects; their names are relative to the last slash of
            the key, or to that before its first wildcard.
        location: Where; wildcards make a pattern of its key, and cross slashes.
        recursive: All keys, no folders.
        raw: Wildcard characters mean themselves.

    Raises:
        UsageError: Folders are to be filtered; raised at once.
        StoreError: The store refused.
        WireError: The conversation failed.
    """
    if recursive or (has_wildcard(location.key) and not raw):
        return list_objects(context, location, raw=raw)
    if not context.options.filters.is_open:
        raise UsageError(
            "filters choose among objects, not folders",
            subject=str(location),
            remedy="list all of them with --recursive, or by a pattern",
        )
    return _list_folded(context, location)


async def list_objects(context: Context, location: S3Location, *, raw: bool) -> AsyncGenerator[ObjectBatch, None]:
    """All objects whose keys start with the location's, or match it as a pattern; as `list_batches`.

    Raises:
        StoreError: The store refused.
        WireError: The conversation failed.
    """
    filters, key = context.options.filters, location.key
    by_pattern = has_wildcard(key) and not raw
    matches = compile_pattern(key).fullmatch if by_pattern else None
    wants = None if filters.is_open else compile_filters(filters).wants_object
    root_length = len(relative_base(key)) if by_pattern else key.rfind("/") + 1
    prefix = literal_prefix(key) if by_pattern else key
    async with aclosing(_keys_below(context, location.bucket, prefix)) as batches:
        async for batch in batches:
            found = batch
            if matches is not None:
                found = tuple([listed for listed in found if matches(listed.key)])
            if wants is not None:
                found = tuple([listed for listed in found if wants(listed.key[root_length:], listed)])
            if found:
                yield found


async def each_entry(batches: AsyncGenerator[EntryBatch, None]) -> AsyncIterator[ListedObject | CommonPrefix]:
    """The entries of batches one by one."""
    async with aclosing(batches):
        async for batch in batches:
            for entry in batch:
                yield entry


async def _keys_below(context: Context, bucket: str, prefix: str) -> AsyncGenerator[ObjectBatch, None]:
    # The order of a page is that of bytes at least, also where a store goes through one folder after the other.
    async with aclosing(list_keys(context, bucket, prefix, needs_order=False)) as batches:
        async for batch in batches:
            yield _by_bytes(batch)


async def _list_folded(context: Context, location: S3Location) -> AsyncGenerator[EntryBatch, None]:
    async for page in list_pages(context, location.bucket, location.key, delimiter=DELIMITER):
        yield _in_order(page)


def _in_order(page: ListPage) -> EntryBatch:
    """Objects and prefixes of a page in one order, that of their UTF-8 bytes."""
    if not page.prefixes:
        return _by_bytes(page.objects)
    entries: list[ListedObject | CommonPrefix] = [CommonPrefix(prefix) for prefix in page.prefixes]
    entries += page.objects
    return tuple(sorted(entries, key=lambda entry: order_of(_name(entry))))


def _by_bytes(objects: ObjectBatch) -> ObjectBatch:
    # Characters of ASCII sort as their bytes do, which take longer to get.
    if "".join(map(itemgetter(0), objects)).isascii():
        return tuple(sorted(objects, key=itemgetter(0)))
    return tuple(sorted(objects, key=lambda listed: order_of(listed.key)))


def _name(entry: ListedObject | CommonPrefix) -> str:
    return entry.key if isinstance(entry, ListedObject) else entry.prefix
