"""Leaving out what earlier runs of a job have finished: no request is made for it.

An item is left out only if it still is what was moved: the file of the same size and time, the object of the same size
and ETag whose file is still there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from transfer.engine.context import Context
from transfer.engine.fingerprints import finished_file, finished_object
from transfer.engine.items import DownloadItem, UploadItem
from transfer.engine.job import Job
from transfer.engine.planning import Planned

BATCH_ITEMS: Final = 500
"""Items looked up at a time: one way to the journal and one to a thread for so many."""


async def without_finished(context: Context, job: Job, items: AsyncIterator[Planned]) -> AsyncIterator[Planned]:
    """Pass on the items that are still to be moved, and count the others."""
    if not job.earlier_items:
        async for item in items:
            yield item
        return
    batch: list[Planned] = []
    async for item in items:
        batch.append(item)
        if len(batch) == BATCH_ITEMS:
            for left in await _unfinished(context, job, batch):
                yield left
            batch = []
    for left in await _unfinished(context, job, batch):
        yield left


async def _unfinished(context: Context, job: Job, batch: Sequence[Planned]) -> list[Planned]:
    finished = await job.finished([name for name in map(_name, batch) if name])
    if not finished:
        return list(batch)
    left = await context.threads.run(
        lambda: [item for item in batch if not _is_finished(item, finished.get(_name(item), ""))]
    )
    context.progress.items_resumed += len(batch) - len(left)
    return left


def _name(item: Planned) -> str:
    """What the item is called in the journal: where it goes, which no other item of the job does."""
    if isinstance(item, UploadItem):
        return str(item.destination)
    return item.path if isinstance(item, DownloadItem) else ""


def _is_finished(item: Planned, fingerprint: str) -> bool:
    if not fingerprint:
        return False
    if isinstance(item, UploadItem):
        return (
            item.size is not None
            and item.mtime_ns is not None
            and fingerprint == finished_file(item.size, item.mtime_ns)
        )
    if isinstance(item, DownloadItem) and item.listed is not None:
        return fingerprint == finished_object(item.listed.size, item.listed.etag) and _is_there(item)
    return False


def _is_there(item: DownloadItem) -> bool:
    """Whether the file that was fetched has not been removed or cut since."""
    try:
        return item.listed is not None and Path(item.path).lstat().st_size == item.listed.size
    except OSError:
        return False
