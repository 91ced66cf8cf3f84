"""One copy run: items admitted as they are found, each moved by its strategy, each outcome told.

A failure of one item never stops the others, unless every other one would fail in the same way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from transfer.engine.attempts import Tally
from transfer.engine.backlog import Backlog
from transfer.engine.context import Context
from transfer.engine.download import download_object, make_marked_folder
from transfer.engine.finished import without_finished
from transfer.engine.items import DownloadItem, FolderItem, Item, StreamUploadItem, UploadItem
from transfer.engine.job import Job
from transfer.engine.jobs import forget_item
from transfer.engine.outcomes import Deliver
from transfer.engine.planning import CopyRequest, Planned, plan_items
from transfer.engine.reading import read_object
from transfer.engine.spread import plain_task_group, spread
from transfer.engine.standard_streams import standard_input, standard_output
from transfer.engine.stream_upload import upload_stream
from transfer.engine.unfinished_uploads import abort
from transfer.engine.upload import upload_file
from transfer.model.errors import HeldError, TransferError
from transfer.model.events import JobKept, Warned
from transfer.model.locations import parse_s3_location
from transfer.model.receipts import Failure, Outcome, Receipt, Skip
from transfer.stores.s3.multipart import MultipartUpload


async def copy_items(context: Context, job: Job, request: CopyRequest, deliver: Deliver[Outcome]) -> None:
    """Move everything a request means, except what earlier runs of it have, and deliver an outcome for each.

    Raises:
        HeldError: Another process does the same.
        TransferError: The items could not be found out to the end, or a failure that concerns the whole run.
    """
    ended = has_failed = False

    async def settle(planned: Planned) -> None:
        nonlocal ended, has_failed
        outcome = planned if isinstance(planned, Skip | Failure) else await _move(context, job, planned)
        has_failed = has_failed or isinstance(outcome, Failure)
        ends = isinstance(outcome, Failure) and context.attempts.ends_run(outcome.error)
        if ends and ended:
            # Items that failed in the same moment for the same reason: it is told once.
            raise RunEndedError
        ended = ended or ends
        _count(context, outcome)
        await deliver(outcome)
        if ends:
            raise RunEndedError

    is_done = False
    try:
        backlog = Backlog(_counted(context, without_finished(context, job, plan_items(context, request))))
        try:
            async with plain_task_group() as tasks:
                tasks.start_soon(backlog.fill)
                await spread(backlog.items(), settle, context.may_add_item_worker)
        finally:
            backlog.close()
        if backlog.error is not None:
            raise backlog.error
        is_done = not has_failed and await _forget_leftovers(context, job)
    finally:
        if await job.end(is_done=is_done):
            context.on_event(JobKept(job.id))


async def _forget_leftovers(context: Context, job: Job) -> bool:
    """Remove what earlier runs left of items that the request does not mean any more; whether nothing remains."""

    async def abort_upload(destination: str, upload_id: str) -> None:
        await abort(context, MultipartUpload(parse_s3_location(destination), upload_id), Tally())

    for item in await job.leftovers():
        try:
            claim = await job.claim(item.identity)
        except HeldError:
            continue
        try:
            await forget_item(claim.item, abort_upload)
        except TransferError as error:
            await claim.release()
            context.on_event(Warned(f"{item.identity.destination}: what an earlier run left of it stays: {error}"))
            return False
        await claim.finish()
    return True


class RunEndedError(Exception):
    """The run stops after a failure that has been delivered already."""


async def _counted(context: Context, items: AsyncIterator[Planned]) -> AsyncIterator[Planned]:
    """The planned items, counted as they pass."""
    async for planned in items:
        context.progress.items_planned += 1
        if isinstance(planned, UploadItem):
            context.progress.bytes_planned += planned.size or 0
        elif isinstance(planned, DownloadItem) and planned.listed is not None:
            context.progress.bytes_planned += planned.listed.size
        yield planned
    context.progress.total_is_final = True


async def _move(context: Context, job: Job, item: Item) -> Receipt | Failure:
    """Move one item; its failure is a value."""
    try:
        if isinstance(item, UploadItem):
            return await upload_file(context, job, item)
        if isinstance(item, DownloadItem):
            return await download_object(context, job, item)
        if isinstance(item, FolderItem):
            return await make_marked_folder(context, item)
        if isinstance(item, StreamUploadItem):
            return await upload_stream(context, standard_input(), item.destination)
        return await read_object(context, item.source, standard_output().write)
    except TransferError as error:
        return Failure(_source_of(item), _destination_of(item), error)


def _count(context: Context, outcome: Outcome) -> None:
    if isinstance(outcome, Failure):
        context.progress.items_failed += 1
    elif isinstance(outcome, Skip):
        context.progress.items_skipped += 1
    else:
        context.progress.items_done += 1


def _source_of(item: Item) -> str:
    if isinstance(item, UploadItem):
        return item.path
    return "-" if isinstance(item, StreamUploadItem) else str(item.source)


def _destination_of(item: Item) -> str:
    if isinstance(item, UploadItem | StreamUploadItem):
        return str(item.destination)
    if isinstance(item, DownloadItem | FolderItem):
        return f"{item.root.rstrip('/')}/{item.relative}"
    return "-"
