"""Whether a key that holds wildcard characters is meant as a pattern or as the name of one object.

Never lists what matches: that is `listing`'s.
"""

from __future__ import annotations

from http import HTTPStatus

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.listing import list_pages
from transfer.model.errors import StoreError
from transfer.model.locations import S3Location, has_wildcard
from transfer.plan.naming import folder_prefix
from transfer.stores.s3.objects import head_object

_SURE_SIGNS = ("*", "?")
"""Rare in names; a bracket is not: browsers and cameras write `report[1].pdf`."""


def may_be_name(key: str) -> bool:
    """Whether a key is a pattern only if nothing has that very name: its one kind of wildcard is `[`."""
    return "[" in key and not any(sign in key for sign in _SURE_SIGNS)


async def is_pattern(context: Context, location: S3Location, *, recursive: bool, raw: bool) -> bool:
    """Decide what a key means, as a local path is decided: what exists under that very name comes first.

    Costs a request when the key's only wildcard is `[`, with `recursive` two.

    Args:
        context: The run.
        location: What the user wrote.
        recursive: The key may also name a folder: something below it counts as its existence.
        raw: Wildcard characters mean themselves.

    Raises:
        StoreError: The store does not say whether the object exists: then nothing is guessed.
        WireError: The conversation failed.
    """
    if raw or not has_wildcard(location.key):
        return False
    if not may_be_name(location.key):
        return True
    if await _has_object(context, location):
        return False
    return not (recursive and await has_objects_below(context, location))


async def _has_object(context: Context, location: S3Location) -> bool:
    try:
        await context.attempts.run(location, lambda _: head_object(context.store, location), Tally())
    except StoreError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        return False
    return True


async def has_objects_below(context: Context, location: S3Location) -> bool:
    """Whether a location taken as a folder holds anything; raises as `is_pattern`."""
    async for page in list_pages(context, location.bucket, folder_prefix(location.key), page_keys=1):
        if page.objects:
            return True
    return False
