"""Leaving out what earlier runs of a job have finished: no request is made for each of them.

An item is left out only if it still is what was moved and still is where it went: a file of the same size and time or
an object of the same size and ETag whose object the destination lists with that size, or whose file is still there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final, TypeGuard

from transfer.engine.context import Context
from transfer.engine.fingerprints import finished_file, finished_object
from transfer.engine.items import CopyItem, DownloadItem, UploadItem
from transfer.engine.job import Job
from transfer.engine.listing import sizes_of_keys
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
    noted = await job.finished([name for name in map(_name, batch) if name])
    if not noted:
        return list(batch)
    claimed = [item for item in batch if _is_noted(item, noted.get(_name(item), ""))]
    at_store = await _at_store(context, [item for item in claimed if isinstance(item, UploadItem | CopyItem)])
    on_disk = await context.threads.run(lambda: {item.path for item in claimed if _is_on_disk(item)})
    done = {name for name in map(_name, claimed) if name in at_store or name in on_disk}
    left = [item for item in batch if _name(item) not in done]
    context.progress.items_resumed += len(batch) - len(left)
    return left


async def _at_store(context: Context, items: Sequence[UploadItem | CopyItem]) -> set[str]:
    """The destinations at which the store lists an object of the source's size."""
    by_bucket: dict[str, dict[str, UploadItem | CopyItem]] = {}
    for item in items:
        by_bucket.setdefault(item.destination.bucket, {})[item.destination.key] = item
    there: set[str] = set()
    for bucket, wanted in by_bucket.items():
        sizes = await sizes_of_keys(context.destination, bucket, list(wanted))
        there |= {str(item.destination) for key, item in wanted.items() if sizes.get(key, -1) == _size(item)}
    return there


def _size(item: UploadItem | CopyItem) -> int | None:
    if isinstance(item, UploadItem):
        return item.size
    return item.listed.size if item.listed else None


def _name(item: Planned) -> str:
    """What the item is called in the journal: where it goes, which no other item of the job does."""
    if isinstance(item, UploadItem | CopyItem):
        return str(item.destination)
    return item.path if isinstance(item, DownloadItem) else ""


def _is_noted(item: Planned, fingerprint: str) -> bool:
    """Whether the item is what was moved."""
    if isinstance(item, UploadItem) and item.size is not None and item.mtime_ns is not None:
        return fingerprint == finished_file(item.size, item.mtime_ns)
    if isinstance(item, DownloadItem | CopyItem) and item.listed is not None:
        return fingerprint == finished_object(item.listed.size, item.listed.etag)
    return False


def _is_on_disk(item: Planned) -> TypeGuard[DownloadItem]:
    """Whether the file that was fetched has not been removed or cut since."""
    try:
        return (
            isinstance(item, DownloadItem)
            and item.listed is not None
            and Path(item.path).lstat().st_size == item.listed.size
        )
    except OSError:
        return False
