"""Keys of a bucket as one stream, page after page."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.ordered_listing import list_keys
from transfer.engine.spread import each, spread
from transfer.model.errors import OutsidePrefixError, ProtocolError, StoreError
from transfer.model.locations import S3Location
from transfer.model.objects import ListedObject, ListPage
from transfer.plan.advancing import PageTrail
from transfer.plan.key_order import order_of
from transfer.plan.naming import folder_prefix
from transfer.plan.wildcards import compile_pattern, literal_prefix
from transfer.stores.s3.listing import list_page
from transfer.stores.s3.objects import head_object

DELIMITER = "/"


async def list_pages(
    context: Context, bucket: str, prefix: str, *, delimiter: str = "", start_after: str = "", page_keys: int = 1000
) -> AsyncIterator[ListPage]:
    """All pages under a prefix, or those after a key, in the store's order.

    Raises:
        ProtocolError: The listing goes in circles (`transfer.plan.advancing`): one that never ends is worth nothing. Or
            names are outside of the prefix.
        StoreError: The store refused.
        WireError: The conversation failed.
    """
    token: str | None = None
    trail = PageTrail()
    while True:
        page = await _fetch_page(context, bucket, prefix, delimiter, start_after, token, page_keys)
        if trail.is_stuck(page):
            raise ProtocolError("the listing does not advance", subject=str(S3Location(bucket, prefix)))
        yield page
        if page.next_token is None:
            return
        token = page.next_token


async def sizes_of_keys(context: Context, bucket: str, keys: Sequence[str]) -> dict[str, int]:
    """Which of some keys that lie close together are there, and their sizes in bytes; raises as `entries_of_keys`."""
    return {key: size for key, (size, _) in (await entries_of_keys(context, bucket, keys)).items()}


async def entries_of_keys(context: Context, bucket: str, keys: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Which of some keys that lie close together are there, with the size in bytes and the ETag of each.

    They are looked for in the listing between the first and the last of them, which costs a request for a thousand
    keys; those that are not found are asked for one by one, since not all stores list in the order of bytes.

    Raises:
        StoreError: The store refused.
        WireError: The conversation failed.
    """
    wanted = set(keys)
    ordered = sorted(wanted, key=order_of)
    if not ordered:
        return {}
    prefix = _common_start(ordered[0], ordered[-1])
    before_first = ordered[0][:-1] if len(ordered[0]) > len(prefix) + 1 else ""
    found: dict[str, tuple[int, str]] = {}
    try:
        async for page in list_pages(context, bucket, prefix, start_after=before_first):
            found.update((entry.key, (entry.size, entry.etag)) for entry in page.objects if entry.key in wanted)
            if page.objects and order_of(page.objects[-1].key) >= order_of(ordered[-1]):
                break
    except OutsidePrefixError:
        # Stores on file systems tidy prefixes such as "a//"; objects that are asked for by name are told right.
        found.clear()

    async def ask(key: str) -> None:
        entry = await _entry_of(context, S3Location(bucket, key))
        if entry is not None:
            found[key] = entry

    missing = [key for key in ordered if key not in found]
    await spread(each(missing), ask, lambda workers: workers < context.lanes.limit)
    return found


async def _entry_of(context: Context, location: S3Location) -> tuple[int, str] | None:
    try:
        info = await context.attempts.run(location, lambda _: head_object(context.store, location), Tally())
    except StoreError as error:
        if error.status == 404:
            return None
        raise
    return info.size, info.etag


async def list_tree(context: Context, location: S3Location) -> AsyncGenerator[Sequence[ListedObject], None]:
    """Every object below a location taken as a folder: `photos` means the keys that start with `photos/`.

    They come in batches that are never empty.
    """
    async with aclosing(list_keys(context, location.bucket, folder_prefix(location.key), needs_order=False)) as batches:
        async for batch in batches:
            yield batch


async def list_matches(context: Context, location: S3Location) -> AsyncGenerator[Sequence[ListedObject], None]:
    """Every object whose key matches the location's pattern; wildcards cross slashes. In batches as `list_tree`."""
    matches = compile_pattern(location.key).fullmatch
    async with aclosing(
        list_keys(context, location.bucket, literal_prefix(location.key), needs_order=False)
    ) as batches:
        async for batch in batches:
            found = [listed for listed in batch if matches(listed.key)]
            if found:
                yield found


def _common_start(first: str, last: str) -> str:
    pairs = enumerate(zip(first, last, strict=False))
    length = next((index for index, (one, other) in pairs if one != other), min(len(first), len(last)))
    return first[:length]


async def _fetch_page(
    context: Context, bucket: str, prefix: str, delimiter: str, start_after: str, token: str | None, page_keys: int
) -> ListPage:
    return await context.attempts.run(
        S3Location(bucket, prefix),
        lambda _: list_page(
            context.store,
            bucket,
            prefix,
            delimiter=delimiter,
            start_after=start_after,
            token=token,
            page_keys=page_keys,
        ),
        Tally(),
    )
