"""A move: a copy whose source is removed once the copy is durable, proved and acknowledged. Never before.

Files go at once; objects go a thousand in a request, so a run that is stopped may leave some that are copied already:
the next one copies them again. What nothing could verify keeps its source, unless the request says otherwise.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from transfer.engine.carrying import RunEndedError, carry_out, count
from transfer.engine.context import Context
from transfer.engine.copy_request import CopyRequest
from transfer.engine.copying import counted, kept, move_item
from transfer.engine.items import CopyItem, DownloadItem, FolderItem, Item, UploadItem
from transfer.engine.job import Job
from transfer.engine.missing_source import explain_item
from transfer.engine.move_sources import SourceKeys, keeps_its_name, overwrites_source
from transfer.engine.outcomes import Deliver
from transfer.engine.planning import Planned, plan_items
from transfer.engine.same_object import look_at, may_be_one, require_two
from transfer.engine.seen_names import SeenNames, name_on_disk
from transfer.engine.source_removal import FileSeen, ObjectRemover, remove_file
from transfer.model.checksums import VerifiedBy
from transfer.model.errors import LocalFileError, SourceStaysError, StoreError, TransferError, UsageError
from transfer.model.locations import S3_SCHEME, S3Location, parse_s3_location
from transfer.model.receipts import Failure, Intent, Outcome, Receipt, Skip
from transfer.model.values import dataclass
from transfer.plan.copying import check_properties_of_moved
from transfer.plan.filters import compile_filters
from transfer.stores.s3.listing import DELETE_BATCH_KEYS
from transfer.system.paths import absolute_path

OLDEST_SECONDS: Final = 5.0
"""An object that was copied waits no longer for others to be removed with it, as long as others come."""

Copy = Callable[[Item], Awaitable[Receipt | Intent | Failure | Skip]]


async def move_items(context: Context, job: Job, request: CopyRequest, deliver: Deliver[Outcome]) -> None:
    """Copy everything a request means, remove each source when its copy is safe, and deliver an outcome for each.

    Items that an earlier run has copied are copied again: it was stopped before their sources were removed, and what
    the journal says is no reason to remove anything.

    Raises:
        HeldError: Another process does the same.
        UsageError: What belongs to the sources would be lost with them.
        TransferError: The items could not be found out to the end, or a failure that concerns the whole run.
    """
    if isinstance(request.destination, S3Location) and any(isinstance(one, S3Location) for one in request.sources):
        check_properties_of_moved(context.options)
    moving = Moving(context, job, request, lambda item: move_item(context, job, item))
    has_failed = False

    async def tell(outcome: Outcome) -> None:
        nonlocal has_failed
        has_failed = has_failed or isinstance(outcome, Failure)
        count(context, outcome)
        await deliver(outcome)

    async def act(planned: Planned) -> Outcome | None:
        settled = list(await moving.move(planned))
        last = settled.pop() if settled else None
        for outcome in settled:
            await tell(outcome)
        return last

    async def tell_rest() -> None:
        for outcome in await moving.finish():
            await tell(outcome)

    try:
        async with kept(context, job) as ending:
            try:
                is_clean = await carry_out(context, counted(context, plan_items(context, request)), act, deliver)
            except (TransferError, RunEndedError):
                await tell_rest()
                raise
            await tell_rest()
            ending.is_clean = is_clean and not has_failed
    finally:
        moving.close()


@dataclass(frozen=True, slots=True)
class _Copied:
    """A source object that can go."""

    location: S3Location
    etag: str
    receipt: Receipt


class Moving:
    """The moves of one run."""

    def __init__(self, context: Context, job: Job, request: CopyRequest, copy: Copy) -> None:
        """Prepare.

        Args:
            context: The run.
            job: What is remembered of it.
            request: What was asked.
            copy: Copies one item; its failure is a value. In a dry run it only tells.
        """
        self._context: Final = context
        self._job: Final = job
        self._removes_unverified: Final = request.removes_unverified
        self._copy: Final = copy
        self._remover: Final = ObjectRemover(context)
        self._destinations: Final = SeenNames()
        self._sources: Final = SourceKeys(request, compile_filters(context.options.filters))
        self._waiting: list[_Copied] = []
        self._oldest_seconds = 0.0

    async def move(self, planned: Planned) -> Sequence[Outcome]:
        """Copy one item and remove its source, now or with later ones.

        Returns:
            What has settled: nothing while its source waits to be removed with others, or when an earlier run of the
            job has moved it.
        """
        outcome = planned if isinstance(planned, Skip | Failure) else await self._copied(planned)
        if isinstance(outcome, _Copied):
            return await self._removed_later(outcome)
        if not isinstance(outcome, Failure) or not self._may_be_moved_already(outcome):
            return (outcome,)
        if not outcome.destination:
            return (Skip(outcome.source, "nothing is there; this move began earlier and may have moved all of it"),)
        if not await self._was_moved_earlier(outcome):
            return (outcome,)
        self._context.progress.items_planned -= 1
        self._context.progress.items_resumed += 1
        return ()

    async def finish(self) -> Sequence[Outcome]:
        """Remove the sources that still wait."""
        waiting, self._waiting = self._waiting, []
        outcomes: list[Outcome] = []
        # Sources that overlap mean an object more than once: it goes once, and each of its copies is told.
        while waiting:
            by_bucket: dict[str, dict[str, _Copied]] = {}
            again: list[_Copied] = []
            for one in waiting:
                ones = by_bucket.setdefault(one.location.bucket, {})
                if ones.setdefault(one.location.key, one) is not one:
                    again.append(one)
            for bucket, ones in by_bucket.items():
                outcomes += await self._removed(bucket, ones)
            waiting = again
        return outcomes

    async def _removed(self, bucket: str, ones: Mapping[str, _Copied]) -> list[Outcome]:
        kept = await self._remover.remove(bucket, {key: one.etag for key, one in ones.items()})
        return [
            _stays(one.receipt, kept[key]) if key in kept else replace(one.receipt, source_removed=True)
            for key, one in ones.items()
        ]

    def close(self) -> None:
        """Let go of what was kept to tell names apart."""
        self._destinations.close()

    async def _copied(self, item: Item) -> Outcome | _Copied:
        try:
            await self._check_destination(item)
            seen = await self._seen_before(item)
            etag = await self._etag_before(item)
        except TransferError as error:
            error = await explain_item(self._context, item, error)
            return Failure(str(source_of(item)), destination_of(item), error)
        receipt = await self._copy(item)
        if isinstance(receipt, Failure | Skip | Intent):
            return receipt
        if receipt.tags_unread or (receipt.verified_by is VerifiedBy.UNVERIFIED and not self._removes_unverified):
            return receipt
        try:
            if isinstance(item, UploadItem) and seen is not None:
                path, was = item.path, seen
                await self._context.threads.run(lambda: remove_file(path, was))
                return replace(receipt, source_removed=True)
            if isinstance(item, CopyItem) and may_be_one(self._context, item):
                await require_two(self._context, item)
        except TransferError as error:
            return _stays(receipt, error)
        location = source_of(item)
        if not isinstance(location, S3Location):
            return receipt
        return _Copied(location, etag or receipt.etag, receipt)

    async def _check_destination(self, item: Item) -> None:
        """Refuse what would overwrite what this run has moved already, or is still to move."""
        if isinstance(item, UploadItem | CopyItem):
            name = str(item.destination)
            if isinstance(item, CopyItem):
                check_properties_of_moved(self._context.options)
                if item.source == item.destination and self._context.second is None:
                    raise UsageError("it would be moved onto itself", subject=name, remedy="name another key")
                if not keeps_its_name(item) and self._sources.holds(item.destination):
                    raise overwrites_source(item, moves=True)
        elif isinstance(item, DownloadItem):
            name = name_on_disk(item.path)
        else:
            return
        if not await self._context.threads.run(lambda: self._destinations.add(name)):
            raise UsageError(
                f"another source was moved to the same name, {name}",
                subject=str(source_of(item)),
                remedy="move each to a folder or a name of its own",
            )

    async def _seen_before(self, item: Item) -> FileSeen | None:
        if not isinstance(item, UploadItem):
            return None
        path = item.path
        return await self._context.threads.run(lambda: FileSeen.of(path))

    async def _etag_before(self, item: Item) -> str:
        """The ETag that the source must have when it is removed; "" when the receipt of the copy tells it."""
        if isinstance(item, CopyItem) and item.listed is not None:
            return item.listed.etag
        if isinstance(item, CopyItem | FolderItem):
            info = await look_at(self._context, item.source)
            if isinstance(item, FolderItem) and info.size:
                raise UsageError("it holds bytes now, so it is no folder any more", subject=str(item.source))
            return info.etag
        return ""

    async def _removed_later(self, copied: _Copied) -> Sequence[Outcome]:
        now = time.monotonic()
        if not self._waiting:
            self._oldest_seconds = now
        self._waiting.append(copied)
        if len(self._waiting) < DELETE_BATCH_KEYS and now - self._oldest_seconds < OLDEST_SECONDS:
            return ()
        return await self.finish()

    def _may_be_moved_already(self, failure: Failure) -> bool:
        return bool(self._job.earlier_items) and _is_missing(failure.error)

    async def _was_moved_earlier(self, failure: Failure) -> bool:
        """Whether the source is missing because an earlier run of the job has moved it: the destination has it."""
        if not failure.destination.startswith(S3_SCHEME):
            path = absolute_path(failure.destination)
            is_there = await self._context.threads.run(lambda: os.path.lexists(path))
            return is_there and bool(await self._job.finished([path]))
        if not await self._job.finished([failure.destination]):
            return False
        try:
            await look_at(self._context.destination, parse_s3_location(failure.destination))
        except TransferError:
            return False
        return True


def source_of(item: Item) -> S3Location | str:
    """Where an item comes from."""
    if isinstance(item, UploadItem):
        return item.path
    return item.source if isinstance(item, DownloadItem | FolderItem | CopyItem) else "-"


def destination_of(item: Item) -> str:
    """Where an item goes, as outcomes name it."""
    if isinstance(item, UploadItem | CopyItem):
        return str(item.destination)
    return f"{item.root.rstrip('/')}/{item.relative}" if isinstance(item, DownloadItem | FolderItem) else "-"


def _is_missing(error: TransferError) -> bool:
    if isinstance(error, LocalFileError):
        return isinstance(error.__cause__, FileNotFoundError)
    return isinstance(error, StoreError) and error.status == HTTPStatus.NOT_FOUND and error.code == "NoSuchKey"


def _stays(receipt: Receipt, reason: TransferError) -> Failure:
    """The failure of a move that is a copy now. A reason may be that of many: it is named, never changed."""
    error = SourceStaysError(f"copied, but not removed: {reason.message}", subject=receipt.source, remedy=reason.remedy)
    error.__cause__ = reason
    return Failure(receipt.source, receipt.destination, error)
