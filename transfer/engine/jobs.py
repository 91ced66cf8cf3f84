"""The jobs that runs have left unfinished: taking one up, listing them, and giving them up."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from transfer.engine.context import Context
from transfer.engine.copy_request import CopyRequest
from transfer.engine.describing import bucket_of, describe, is_resumable, is_tree, source_bucket_of
from transfer.engine.job import Job
from transfer.model.errors import HeldError
from transfer.model.events import JobResumed
from transfer.model.unfinished import JobDescription, UnfinishedItem, UnfinishedJob
from transfer.stores.local.temporary import remove_temporary

if TYPE_CHECKING:
    from transfer.journal.journal import Journal

Said = Callable[[str], None]
AbortUpload = Callable[[str, str], Awaitable[object]]

_NOTHING = JobDescription("", (), "")


async def open_job(context: Context, journal: Journal | None, request: CopyRequest) -> Job:
    """What is remembered of a request.

    One large item is taken up when it is claimed, a small one never: for it the journal is not even opened.

    Raises:
        HeldError: Another living process does the same.
        ConfigurationError: The store cannot be named.
    """
    if journal is None or not is_resumable(request):
        return Job(None, _NOTHING, is_tree=False)
    endpoint = await context.destination.store.address_of(bucket_of(request))
    comes_from = "" if context.second is None else await context.store.address_of(source_bucket_of(request))
    described = describe(request, context.options, endpoint, os.environ, source_endpoint=comes_from)
    job = Job(journal, described, is_tree=is_tree(request))
    if is_tree(request):
        await job.begin()
        if job.earlier_items:
            context.on_event(JobResumed(job.id, job.earlier_items))
    return job


async def list_jobs(folder: str, warn: Said) -> tuple[UnfinishedJob, ...]:
    """The unfinished jobs that are remembered in a state folder, the oldest first.

    One whose items another job has taken over has nothing left to go on with, and is not told.
    """
    from transfer.journal.journal import Journal

    journal = Journal(folder, warn)
    try:
        return tuple(job for job in await journal.jobs() if job.holder or not _is_empty(job))
    finally:
        await journal.aclose()


async def forget_empty_jobs(folder: str, warn: Said) -> None:
    """Forget the jobs of which nothing is there to go on with: `list_jobs` does not tell them."""
    from transfer.journal.journal import Journal

    journal = Journal(folder, warn)
    try:
        for job in await journal.jobs():
            if _is_empty(job):
                with suppress(HeldError):
                    await journal.forget(job.id)
    finally:
        await journal.aclose()


async def forget_job(folder: str, job: UnfinishedJob, abort: AbortUpload, warn: Said) -> None:
    """Give a job up: what it left at the store and beside its targets is removed, then what is remembered of it.

    Args:
        folder: The state folder.
        job: As it was listed.
        abort: Aborts one upload, told the object's location and the upload's name. A failure keeps the job, so that
            nothing is forgotten that still costs money.
        warn: Told of trouble with the journal.

    Raises:
        HeldError: A living process works on it.
        LocalFileError: A temporary file cannot be removed.
        TransferError: What `abort` raises.
    """
    from transfer.journal.journal import Journal

    journal = Journal(folder, warn)
    try:
        if not await journal.take(job.id):
            return
        try:
            for found in await journal.items_of(job.id):
                # Held, so that no run goes on with what is being removed.
                item = await journal.claim(job.id, found.identity)
                await forget_item(item, abort)
                await journal.finish(item.id)
        except BaseException:
            await journal.end(job.id, keep=True)
            raise
        await journal.forget(job.id)
    finally:
        with anyio.CancelScope(shield=True):
            await journal.aclose()


async def forget_item(item: UnfinishedItem, abort: AbortUpload) -> None:
    """Remove what an item left at the store and beside its target.

    Raises:
        LocalFileError: The temporary file cannot be removed.
        TransferError: What `abort` raises.
    """
    if item.upload_id is not None:
        await abort(item.identity.destination, item.upload_id)
    if item.temporary is not None:
        remove_temporary(item.identity.destination, item.temporary)


def _is_empty(job: UnfinishedJob) -> bool:
    return not job.items and not job.finished_items
