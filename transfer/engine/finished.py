"""Leaving out what earlier runs of a job have finished: no request is made for what a walk or a listing tells of.

An item is left out only if it still is what was moved and still is where it went: a file of the same size and time or
an object of the same size and ETag whose object the destination lists with that size, or whose file is still there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.fingerprints import finished_file, finished_object
from transfer.engine.items import CopyItem, DownloadItem, UploadItem
from transfer.engine.job import Job
from transfer.engine.listing import sizes_of_keys
from transfer.engine.planning import Planned
from transfer.engine.spread import each, spread
from transfer.model.errors import TransferError
from transfer.model.locations import S3Location
from transfer.model.objects import ObjectInfo
from transfer.model.values import dataclass
from transfer.stores.s3 import objects

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
    claimed = {name: item for item in batch if (name := _name(item)) in noted}
    versions = {name: version for name, item in claimed.items() if (version := _version(item)) is not None}
    sizes = {name: version.size for name, version in versions.items() if version.fingerprint == noted[name]}
    done = await _at_store(context, claimed, sizes)
    done |= await context.threads.run(lambda: {name for name in sizes if _is_on_disk(claimed[name], sizes[name])})
    done |= await _named_and_done(context, {name: claimed[name] for name in claimed if name not in versions}, noted)
    left = [item for item in batch if _name(item) not in done]
    context.progress.items_resumed += len(batch) - len(left)
    return left


@dataclass(frozen=True, slots=True)
class _Version:
    """A source as it is now: its size in bytes, and what a journal notes of it once it has been moved."""

    size: int
    fingerprint: str


def _version(item: Planned) -> _Version | None:
    """None when nothing is known but the name."""
    if isinstance(item, UploadItem) and item.size is not None and item.mtime_ns is not None:
        return _Version(item.size, finished_file(item.size, item.mtime_ns))
    if isinstance(item, DownloadItem | CopyItem) and item.listed is not None:
        return _Version(item.listed.size, finished_object(item.listed.size, item.listed.etag))
    return None


async def _named_and_done(context: Context, items: Mapping[str, Planned], noted: Mapping[str, str]) -> set[str]:
    """Of items, by name, that no listing told, those that still are what was moved and are where they went."""
    done: set[str] = set()

    async def look(item: DownloadItem | CopyItem) -> None:
        name, info = _name(item), await _head(context, item.source)
        if info is None or finished_object(info.size, info.etag) != noted[name]:
            return
        size = info.size
        if isinstance(item, CopyItem):
            there = await _head(context.destination, item.destination)
            is_there = there is not None and there.size == size
        else:
            is_there = await context.threads.run(lambda: _is_on_disk(item, size))
        if is_there:
            done.add(name)

    named = [item for item in items.values() if isinstance(item, DownloadItem | CopyItem)]
    if named:
        await spread(each(named), look, context.may_add_item_worker)
    return done


async def _head(context: Context, location: S3Location) -> ObjectInfo | None:
    """What is there; None when the store does not tell, which it will tell again when the item is moved.

    Raises:
        TransferError: What every other request would be answered with, too.
    """
    try:
        return await context.attempts.run(location, lambda _: objects.head_object(context.store, location), Tally())
    except TransferError as error:
        if context.ends_run(error):
            raise
        return None


async def _at_store(context: Context, items: Mapping[str, Planned], sizes: Mapping[str, int]) -> set[str]:
    """Of these items, by name, those at whose destination the store lists an object of the source's size."""
    by_bucket: dict[str, dict[str, str]] = {}
    for name in sizes:
        item = items[name]
        if isinstance(item, UploadItem | CopyItem):
            by_bucket.setdefault(item.destination.bucket, {})[item.destination.key] = name
    there: set[str] = set()
    for bucket, wanted in by_bucket.items():
        found = await sizes_of_keys(context.destination, bucket, list(wanted))
        there |= {name for key, name in wanted.items() if found.get(key, -1) == sizes[name]}
    return there


def _name(item: Planned) -> str:
    """What the item is called in the journal: where it goes, which no other item of the job does."""
    if isinstance(item, UploadItem | CopyItem):
        return str(item.destination)
    return item.path if isinstance(item, DownloadItem) else ""


def _is_on_disk(item: Planned, size: int) -> bool:
    """Whether the file that was fetched has not been removed or cut since."""
    try:
        return isinstance(item, DownloadItem) and Path(item.path).lstat().st_size == size
    except OSError:
        return False
