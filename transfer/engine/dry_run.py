"""A dry run of a copy or a move: what would be done is told. It lists and asks; it moves and remembers nothing."""

from __future__ import annotations

import os

from transfer.engine.carrying import carry_out
from transfer.engine.context import Context
from transfer.engine.copy_request import CopyRequest
from transfer.engine.copying import counted, destination_of, source_of
from transfer.engine.items import CopyItem, DownloadItem, FolderItem, Item, StreamUploadItem, UploadItem
from transfer.engine.jobs import open_job
from transfer.engine.missing_source import explain_item
from transfer.engine.moving import Moving
from transfer.engine.outcomes import Deliver
from transfer.engine.planning import Planned, plan_items
from transfer.engine.same_object import look_at
from transfer.model.errors import LocalFileError, TransferError
from transfer.model.receipts import Failure, Intent, Outcome, Skip


async def tell_items(context: Context, request: CopyRequest, deliver: Deliver[Outcome]) -> None:
    """Deliver an intent for each item that a request means, and what is known beforehand to fail or to be left out.

    What earlier runs of the request have finished is told too: the journal is not opened.

    Raises:
        RunEndedError: A failure that every other item would share has been delivered.
        TransferError: The items could not be found out to the end.
    """

    async def intend(item: Item) -> Intent | Failure:
        return await intent_of(context, item, moves=request.moves)

    moving = Moving(context, await open_job(context, None, request), request, intend)

    async def act(planned: Planned) -> Outcome | None:
        if isinstance(planned, Skip | Failure):
            return planned
        if not request.moves:
            return await intend(planned)
        told = await moving.move(planned)
        return told[0] if told else None

    try:
        await carry_out(context, counted(context, plan_items(context, request), is_dry_run=True), act, deliver)
    finally:
        moving.close()


async def intent_of(context: Context, item: Item, *, moves: bool) -> Intent | Failure:
    """Tell an item that would be copied or moved.

    A file or an object that no walk or listing has seen is looked at, which is one HEAD for an object: that it is not
    there is what the real run would stumble on first.

    Args:
        context: The run.
        item: What would be done.
        moves: The source would be removed.
    """
    source, destination = source_of(item), destination_of(item)
    try:
        return Intent(source, destination, await _size_of(context, item), moves=moves)
    except TransferError as error:
        return Failure(source, destination, await explain_item(context, item, error))


async def _size_of(context: Context, item: Item) -> int | None:
    if isinstance(item, StreamUploadItem):
        return None
    if isinstance(item, FolderItem):
        return 0
    if isinstance(item, UploadItem):
        path = item.path
        return await context.threads.run(lambda: _file_size(path)) if item.size is None else item.size
    listed = item.listed if isinstance(item, DownloadItem | CopyItem) else None
    return (await look_at(context, item.source)).size if listed is None else listed.size


def _file_size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - as text, which the walk gives too
    except OSError as error:
        raise LocalFileError.from_os_error(error, path) from error
