"""Asking both sides whether one thing differs, where listings cannot tell: a request per object."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.items import CopyItem, DownloadItem, UploadItem
from transfer.engine.proving import FileProof, head, judge_kept
from transfer.engine.sync_plan import ToCompare
from transfer.model.audits import Finding
from transfer.model.locations import S3Location
from transfer.model.objects import MTIME_METADATA_KEY, ObjectInfo
from transfer.model.sync import Change, CompareBy, Comparison
from transfer.plan.comparing import is_newer
from transfer.stores.s3.properties import parse_mtime

_GRAIN_NS: Final = 1000
"""Times closer than this are the same: some tools keep fewer digits."""


async def ask_difference(context: Context, how: Comparison, step: ToCompare) -> Change | None:
    """Compare by checksum or by the time that is kept with the object.

    What neither side keeps a checksum of is compared by time, as without the option.

    Returns:
        Why the source must be copied; None when it need not.

    Raises:
        TransferError: One of the two could not be read, or the file changed meanwhile.
    """
    if how.by is CompareBy.CHECKSUM:
        return await _by_checksum(context, step)
    return await _by_mtime(context, step)


async def _by_checksum(context: Context, step: ToCompare) -> Change | None:
    item = step.item
    if isinstance(item, UploadItem):
        evidence = await FileProof(context, item.path).against_object(item.destination)
    elif isinstance(item, DownloadItem):
        evidence = await FileProof(context, item.path).against_object(item.source)
    else:
        ours, theirs = await _both(context, item)
        evidence = judge_kept(ours, theirs)
    if evidence.finding is Finding.UNVERIFIABLE:
        return Change.NEWER if is_newer(step.source, step.destination) else None
    return None if evidence.finding is Finding.MATCH else Change.CHECKSUM


async def _by_mtime(context: Context, step: ToCompare) -> Change | None:
    item = step.item
    if isinstance(item, UploadItem):
        info = await head(context, item.destination, Tally())
        return _change(item.mtime_ns, _kept(info))
    if isinstance(item, DownloadItem):
        info = await head(context, item.source, Tally())
        path = item.path
        status = await context.threads.run(Path(path).stat)
        kept = _kept(info)
        return _change(int(info.modified_seconds * 1_000_000_000) if kept is None else kept, status.st_mtime_ns)
    ours, theirs = await _both(context, item)
    one, other = _kept(ours), _kept(theirs)
    if one is None and other is None:
        return Change.NEWER if is_newer(step.source, step.destination) else None
    return _change(one, other)


async def _both(context: Context, item: object) -> tuple[ObjectInfo, ObjectInfo]:
    if not isinstance(item, CopyItem):
        raise TypeError(f"neither an upload, a download nor a copy: {item!r}")
    return await _head(context, item.source), await _head(context.destination, item.destination)


async def _head(context: Context, location: S3Location) -> ObjectInfo:
    return await head(context, location, Tally())


def _kept(info: ObjectInfo) -> int | None:
    return parse_mtime(info.metadata.get(MTIME_METADATA_KEY, ""))


def _change(one_ns: int | None, other_ns: int | None) -> Change | None:
    is_same = one_ns is not None and other_ns is not None and abs(one_ns - other_ns) < _GRAIN_NS
    return None if is_same else Change.MTIME
