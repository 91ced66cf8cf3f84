"""Says more of a source that does not exist: it may be a prefix. Asks only once something has failed so."""

from __future__ import annotations

from http import HTTPStatus

from transfer.engine.context import Context
from transfer.engine.items import CopyItem, DownloadItem, Item
from transfer.engine.wildcard_keys import has_objects_below
from transfer.model.errors import StoreError, TransferError
from transfer.model.locations import S3Location


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
    is_missing = isinstance(error, StoreError) and (error.status, error.code) == (HTTPStatus.NOT_FOUND, "NoSuchKey")
    if not is_missing or error.subject not in {None, str(location)}:
        return error
    try:
        is_prefix = await has_objects_below(context, location)
    except TransferError:
        # What failed first is the news.
        return error
    if is_prefix:
        error.message, error.remedy = "it is a prefix, not an object", "use -r for all objects below it"
    return error
