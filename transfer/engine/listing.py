"""Keys of a bucket as one stream, page after page."""

from __future__ import annotations

from collections.abc import AsyncIterator

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.model.errors import ProtocolError
from transfer.model.locations import S3Location, has_wildcard
from transfer.model.objects import CommonPrefix, ListedObject, ListPage
from transfer.plan.naming import folder_prefix
from transfer.plan.wildcards import compile_pattern, literal_prefix
from transfer.stores.s3.listing import list_page

DELIMITER = "/"


async def list_pages(
    context: Context, bucket: str, prefix: str, *, delimiter: str = "", page_keys: int = 1000
) -> AsyncIterator[ListPage]:
    """All pages under a prefix, in the store's order.

    Raises:
        ProtocolError: The store's page token does not advance: a listing that never ends is worth nothing.
        StoreError: The store refused.
        WireError: The conversation failed.
    """
    token: str | None = None
    while True:
        page = await _fetch_page(context, bucket, prefix, delimiter, token, page_keys)
        yield page
        if page.next_token is None:
            return
        if page.next_token == token:
            raise ProtocolError("the listing does not advance", subject=str(S3Location(bucket, prefix)))
        token = page.next_token


async def list_tree(context: Context, location: S3Location) -> AsyncIterator[ListedObject]:
    """Every object below a location taken as a folder: `photos` means the keys that start with `photos/`."""
    async for page in list_pages(context, location.bucket, folder_prefix(location.key)):
        for found in page.objects:
            yield found


async def list_matches(context: Context, location: S3Location) -> AsyncIterator[ListedObject]:
    """Every object whose key matches the location's pattern; wildcards cross slashes."""
    pattern = compile_pattern(location.key)
    async for page in list_pages(context, location.bucket, literal_prefix(location.key)):
        for found in page.objects:
            if pattern.fullmatch(found.key):
                yield found


async def list_location(
    context: Context, location: S3Location, *, recursive: bool, raw: bool
) -> AsyncIterator[ListedObject | CommonPrefix]:
    """What `ls` shows: the entries that start with the location's key, folded at the next slash unless recursive.

    Wildcards make a pattern of it unless `raw`.
    """
    if has_wildcard(location.key) and not raw:
        async for found in list_matches(context, location):
            yield found
        return
    async for page in list_pages(context, location.bucket, location.key, delimiter="" if recursive else DELIMITER):
        for entry in _in_order(page):
            yield entry


def _in_order(page: ListPage) -> list[ListedObject | CommonPrefix]:
    """Objects and prefixes of a page in one order, that of their UTF-8 bytes."""
    entries: list[ListedObject | CommonPrefix] = [CommonPrefix(prefix) for prefix in page.prefixes]
    entries += page.objects
    return sorted(entries, key=lambda entry: _name(entry).encode("utf-8", "surrogateescape"))


def _name(entry: ListedObject | CommonPrefix) -> str:
    return entry.key if isinstance(entry, ListedObject) else entry.prefix


async def _fetch_page(
    context: Context, bucket: str, prefix: str, delimiter: str, token: str | None, page_keys: int
) -> ListPage:
    return await context.attempts.run(
        S3Location(bucket, prefix),
        lambda _: list_page(context.store, bucket, prefix, delimiter=delimiter, token=token, page_keys=page_keys),
        Tally(),
    )
