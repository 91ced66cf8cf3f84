"""One copy run: items admitted as they are found, each moved by its strategy, which is loaded when it is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from transfer.engine.attempts import Tally
from transfer.engine.carrying import Movable, carry_out
from transfer.engine.context import Context
from transfer.engine.copy_request import CopyRequest
from transfer.engine.finished import without_finished
from transfer.engine.items import CopyItem, DownloadItem, FolderItem, Item, StreamUploadItem, UploadItem
from transfer.engine.job import Job
from transfer.engine.jobs import forget_item
from transfer.engine.missing_source import explain_item
from transfer.engine.name_clashes import land_apart
from transfer.engine.outcomes import Deliver
from transfer.engine.planning import Planned, plan_items
from transfer.model.errors import HeldError, TransferError
from transfer.model.events import JobKept, Warned
from transfer.model.locations import parse_s3_location
from transfer.model.receipts import Failure, Outcome, Receipt, Skip


async def copy_items(context: Context, job: Job, request: CopyRequest, deliver: Deliver[Outcome]) -> None:
    """Move everything a request means, except what earlier runs of it have, and deliver an outcome for each.

    Raises:
        HeldError: Another process does the same.
        TransferError: The items could not be found out to the end, or a failure that concerns the whole run.
    """

    async def act(planned: Planned) -> Outcome:
        return planned if isinstance(planned, Skip | Failure) else await move_item(context, job, planned)

    async with kept(context, job) as ending:
        items = without_finished(context, job, plan_items(context, request))
        ending.is_clean = await carry_out(
            context,
            counted(context, items),
            act,
            deliver,
            Movable(_itself, _with_item, job.note_finished),
        )


def _itself(planned: Planned) -> Planned:
    return planned


def _with_item(_: Planned, item: Item) -> Planned:
    return item


@dataclass(slots=True)
class Ending:
    """How a run ends; `is_clean` says that nothing is left for a later one."""

    is_clean: bool = False


@asynccontextmanager
async def kept(context: Context, job: Job) -> AsyncIterator[Ending]:
    """Keep what is remembered of a job, unless the block ends clean; then what is left of earlier runs is removed."""
    ending = Ending()
    is_done = False
    try:
        yield ending
        is_done = ending.is_clean and await _forget_leftovers(context, job)
    finally:
        if await job.end(is_done=is_done):
            context.on_event(JobKept(job.id))


async def _forget_leftovers(context: Context, job: Job) -> bool:
    """Remove what earlier runs left of items that the request does not mean any more; whether nothing remains."""
    from transfer.engine.unfinished_uploads import abort
    from transfer.stores.s3.multipart import MultipartUpload

    async def abort_upload(destination: str, upload_id: str) -> None:
        await abort(context.destination, MultipartUpload(parse_s3_location(destination), upload_id), Tally())

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


async def counted(
    context: Context, items: AsyncIterator[Planned], *, is_dry_run: bool = False
) -> AsyncIterator[Planned]:
    """The planned items, counted as they pass; in a dry run none of their bytes will move."""
    async for planned in items:
        context.progress.items_planned += 1
        if not is_dry_run:
            context.progress.bytes_planned += _planned_bytes(planned)
        yield planned
    context.progress.total_is_final = True


def _planned_bytes(planned: Planned) -> int:
    if isinstance(planned, UploadItem):
        return planned.size or 0
    if isinstance(planned, DownloadItem | CopyItem) and planned.listed is not None:
        return planned.listed.size
    return 0


async def move_item(context: Context, job: Job, item: Item) -> Receipt | Failure | Skip:
    """Move one item; its failure is a value. It is skipped when its name is taken and the policy says so."""
    policy = context.options.unsafe_keys
    try:
        if isinstance(item, UploadItem):
            from transfer.engine.upload import upload_file

            return await upload_file(context, job, item)
        if isinstance(item, DownloadItem):
            from transfer.engine.download import download_object

            return await land_apart(item, policy, lambda spelled: download_object(context, job, spelled))
        if isinstance(item, CopyItem):
            if context.destination is not context:
                from transfer.engine.relay import relay_object

                return await relay_object(context, job, item)
            from transfer.engine.server_copy import copy_object

            return await copy_object(context, job, item)
        if isinstance(item, FolderItem):
            from transfer.engine.download import make_marked_folder

            return await land_apart(item, policy, lambda spelled: make_marked_folder(context, spelled))
        if isinstance(item, StreamUploadItem):
            from transfer.engine.standard_streams import standard_input
            from transfer.engine.stream_upload import upload_stream

            return await upload_stream(context, standard_input(), item.destination)
        from transfer.engine.reading import read_object
        from transfer.engine.standard_streams import standard_output

        return await read_object(context, item.source, standard_output().write)
    except TransferError as error:
        return Failure(source_of(item), destination_of(item), await explain_item(context, item, error))


def source_of(item: Item) -> str:
    """How the user would write where an item comes from."""
    if isinstance(item, UploadItem):
        return item.path
    return "-" if isinstance(item, StreamUploadItem) else str(item.source)


def destination_of(item: Item) -> str:
    """How the user would write where an item goes."""
    if isinstance(item, UploadItem | StreamUploadItem | CopyItem):
        return str(item.destination)
    if isinstance(item, DownloadItem | FolderItem):
        return f"{item.root.rstrip('/')}/{item.relative}"
    return "-"
