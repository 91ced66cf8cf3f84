"""Says more of a source that does not exist: it may be a prefix or a pattern. Asks only once it has failed so."""

from __future__ import annotations

import shlex
from http import HTTPStatus

from transfer.engine.context import Context
from transfer.engine.items import CopyItem, DownloadItem, Item
from transfer.engine.wildcard_keys import has_objects_below
from transfer.model.errors import StoreError, TransferError
from transfer.model.locations import S3Location, has_wildcard


async def explain_item(context: Context, item: Item, error: TransferError) -> TransferError:
    """As `explain`, for an item that was named; what a listing has found was an object."""
    if isinstance(item, DownloadItem | CopyItem) and item.listed is None:
        return await explain(context, item.source, error)
    return error


async def explain(context: Context, location: S3Location, error: TransferError) -> TransferError:
    """The same error, which says so and what to do if what is missing as an object is a prefix.

    Costs a request when there is no such object, else none.

    Args:
        context: The run.
        location: What was named as an object.
        error: Why it could not be used.
    """
    if not _is_missing(location, error):
        return error
    try:
        is_prefix = await has_objects_below(context, location)
    except TransferError:
        # What failed first is the news.
        return error
    if is_prefix:
        error.message, error.remedy = "it is a prefix, not an object", "use -r for all objects below it"
    return error


def explain_pattern(location: S3Location, error: TransferError) -> TransferError:
    """The same error of `cat`, which says that it takes one key if what is missing looks like a pattern.

    Args:
        location: What was named as an object.
        error: Why it could not be used.
    """
    if _is_missing(location, error) and has_wildcard(location.key):
        error.message = "there is no such object, and cat takes one key, no pattern"
        error.remedy = f"see what matches with: transfer ls {shlex.quote(str(location))}"
    return error


def _is_missing(location: S3Location, error: TransferError) -> bool:
    """Whether an error says that just this object does not exist."""
    is_missing = isinstance(error, StoreError) and (error.status, error.code) == (HTTPStatus.NOT_FOUND, "NoSuchKey")
    return is_missing and error.subject in {None, str(location)}
