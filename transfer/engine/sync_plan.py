"""What making one tree like another takes, found by walking through both sides at once. Moves and removes nothing."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from transfer.engine.context import Context
from transfer.engine.extras import Extra, Extras
from transfer.engine.items import CopyItem, DownloadItem, FolderItem, Item, UploadItem
from transfer.engine.planning import left_out, plan_key
from transfer.engine.sides import join_sides, local_side, remote_side
from transfer.engine.sync_request import SyncRequest
from transfer.model.entries import Entry
from transfer.model.filters import Filters
from transfer.model.locations import LocalLocation, S3Location
from transfer.model.objects import ListedObject
from transfer.model.options import UnsafeKeyPolicy
from transfer.model.receipts import Failure, Skip
from transfer.model.sync import Change, CompareBy
from transfer.model.values import dataclass
from transfer.plan.comparing import UNKNOWN_SECONDS, difference, is_racy, needs_request
from transfer.plan.filters import Wants, compile_filters
from transfer.plan.keys import is_folder_marker, unescape_path
from transfer.plan.markers import HeldMarkers
from transfer.plan.naming import tree_key
from transfer.plan.shelter import Shelter
from transfer.stores.local.walk import WalkedFile, WalkWarning

AnyEntry = Entry[Any]

_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ToCopy:
    """Something that is to be copied, and why."""

    item: Item
    size: int
    change: Change


@dataclass(frozen=True, slots=True)
class ToCompare:
    """Something on both sides of which the listings leave open whether it differs."""

    item: Item
    source: AnyEntry
    destination: AnyEntry


Step = ToCopy | ToCompare | Skip | Failure


class SyncPlan:
    """The steps of one request.

    Attributes:
        equal: How many of the source are at the destination as they should be, so far.
        is_source_there: The source has something, wanted or not.
        sourced: How many wanted things the source has, without markers of folders.
        present: How many of those that may be removed or replaced are at the destination.
    """

    def __init__(self, context: Context, request: SyncRequest, extras: Extras) -> None:
        """Prepare.

        Args:
            context: The run.
            request: What was asked.
            extras: Takes the names that only the destination has.
        """
        filters = context.options.filters
        self._context = context
        self._request = request
        self._how = request.options.comparison
        self._extras = extras
        self._is_open = filters.is_open
        self._wants: Wants = compile_filters(filters)
        # By size, time or class nothing is left out before both sides have met: what the source has is not missing.
        self._wants_name: Wants = compile_filters(Filters(rules=filters.rules))
        self._shelter = Shelter()
        self._markers = HeldMarkers[Extra]()
        self.is_source_there = False
        self.equal = self.sourced = self.present = 0

    async def steps(self, *, is_sorted_on_disk: bool) -> AsyncGenerator[Step]:
        """The steps in the order of names.

        Args:
            is_sorted_on_disk: The store lists out of order, so that its keys are sorted first.

        Raises:
            UnorderedListingError: The store lists out of order, and `is_sorted_on_disk` is not set.
            TransferError: One of the sides could not be read to its end.
        """
        async with (
            aclosing(self._side_of_source(is_sorted_on_disk)) as source,
            aclosing(self._side_of_destination(is_sorted_on_disk)) as destination,
            aclosing(join_sides(source, destination)) as batches,
        ):
            async for pairs in batches:
                for one, other in pairs:
                    # Most of a tree is as it should be: that is found out without a pause or a further look.
                    if one is not None and other is not None and self._is_plainly_equal(one, other):
                        continue
                    step = await self._step(one, other)
                    if step is not None:
                        yield step
        self._note(self._markers.rest())

    def _side_of_source(self, is_sorted_on_disk: bool) -> AsyncGenerator[list[AnyEntry]]:
        source = self._request.source
        if isinstance(source, LocalLocation):
            return local_side(self._context, source.path, self._wants_name)
        return remote_side(self._context, source, is_sorted_on_disk=is_sorted_on_disk)

    def _side_of_destination(self, is_sorted_on_disk: bool) -> AsyncGenerator[list[AnyEntry]]:
        destination = self._request.destination
        if isinstance(destination, LocalLocation):
            return local_side(self._context, destination.path, self._wants_name, is_destination=True)
        return remote_side(self._context.destination, destination, is_sorted_on_disk=is_sorted_on_disk)

    def _is_plainly_equal(self, one: AnyEntry, other: AnyEntry) -> bool:
        """Count two of which the listings say that they are equal, and nothing else matters."""
        if not self._is_open or self._markers or WalkWarning in (type(one.found), type(other.found)):
            return False
        if self._difference(one, other) is not None or needs_request(one, other, self._how):
            return False
        self._count_source(one)
        self.present += 1
        self.equal += 1
        return True

    async def _step(self, one: AnyEntry | None, other: AnyEntry | None) -> Step | None:
        if self._markers:
            name = one.name if one is not None else other.name if other is not None else ""
            self._note(self._markers.reach(name, is_on_other_side=one is not None))
        if other is not None and isinstance(other.found, WalkWarning):
            if other.found.is_loss:
                return left_out(other.found, str(self._request.source))
            # A link or a device stands where a file may go: replaced if the source has it, and never removed.
            other = None
        if one is None:
            return None if other is None else await self._extra(other)
        if other is not None and self._is_wanted(other):
            self.present += 1
        self.is_source_there = True
        if isinstance(one.found, WalkWarning):
            self._shelter.add(one.name)
            return left_out(one.found, str(self._request.destination))
        if not self._is_wanted(one):
            return None
        self._count_source(one)
        return await self._compared(one, other)

    def _count_source(self, one: AnyEntry) -> None:
        self.is_source_there = True
        if not is_folder_marker(one.name or "/", one.size):
            self.sourced += 1

    def _difference(self, one: AnyEntry, other: AnyEntry | None) -> Change | None:
        change = difference(one, other, self._how)
        if change is not None or other is None or self._how.by is not CompareBy.TIME or self._how.skip_existing:
            return change
        # An object that was written again in the second in which it was copied tells the same time.
        mine, theirs = one.found, other.found
        if not isinstance(mine, ListedObject) or not isinstance(theirs, ListedObject) or mine.etag == theirs.etag:
            return None
        return Change.NEWER if is_racy(one.modified_seconds, other.modified_seconds) else None

    async def _compared(self, one: AnyEntry, other: AnyEntry | None) -> Step | None:
        item = self._item(one)
        if isinstance(item, Skip | Failure):
            return item
        if isinstance(item, DownloadItem | FolderItem):
            met = await self._met_on_disk(one, item)
            other = met or other
        if isinstance(item, FolderItem) and other is not None:
            self.equal += 1
            return None
        change = self._difference(one, other)
        if change is not None:
            return ToCopy(item, one.size, change)
        if other is not None and needs_request(one, other, self._how):
            return ToCompare(item, one, other)
        self.equal += 1
        return None

    async def _met_on_disk(self, one: AnyEntry, item: DownloadItem | FolderItem) -> AnyEntry | None:
        """What is there already under a name that the walk of the destination does not tell.

        Folders are not walked as such, and a name that was escaped is elsewhere in the order than its key.
        """
        if isinstance(item, DownloadItem) and item.relative == one.name:
            return None
        path = Path(f"{item.root or '.'}/{item.relative}")

        def look() -> AnyEntry | None:
            try:
                status = path.stat()
            except OSError:
                return None
            if isinstance(item, FolderItem):
                return one if path.is_dir() else None
            return Entry(one.name, status.st_size, status.st_mtime_ns / 1_000_000_000, None)

        return await self._context.threads.run(look)

    async def _extra(self, other: AnyEntry) -> Step | None:
        """Note what only the destination has, if it may be removed at all."""
        if not self._is_wanted(other):
            return None
        self.present += 1
        if self._shelter.covers(other.name) or not self._request.options.delete:
            return None
        if await self._stands_for_source(other):
            return None
        extra = _extra_of(other)
        if isinstance(self._request.source, S3Location) and is_folder_marker(other.name or "/", other.size):
            self._markers.hold(other.name, extra)
        else:
            self._extras.add(extra)
        return None

    def _note(self, extras: Iterable[Extra]) -> None:
        for extra in extras:
            self._extras.add(extra)

    async def _stands_for_source(self, other: AnyEntry) -> bool:
        """Whether the source has it after all, in a form that its walk does not tell."""
        source = self._request.source
        if isinstance(source, LocalLocation):
            if not is_folder_marker(other.name or "/", other.size):
                return False
            path = Path(f"{source.path or '.'}/{other.name}")
            return await self._context.threads.run(path.is_dir)
        if isinstance(other.found, ListedObject) or self._context.options.unsafe_keys is not UnsafeKeyPolicy.ESCAPE:
            return False
        try:
            return unescape_path(other.name) != other.name
        except ValueError:
            return False

    def _is_wanted(self, entry: AnyEntry) -> bool:
        if isinstance(entry.found, ListedObject):
            return self._wants.wants_object(entry.name, entry.found)
        return self._wants(entry.name, entry.size, entry.modified_seconds, "")

    def _item(self, one: AnyEntry) -> Item | Skip | Failure:
        source, destination = self._request.source, self._request.destination
        if isinstance(one.found, WalkedFile) and isinstance(destination, S3Location):
            key = tree_key(destination, one.name)
            return UploadItem(one.found.path, destination.with_key(key), one.size, one.found.mtime_ns)
        if not isinstance(one.found, ListedObject) or not isinstance(source, S3Location):
            raise TypeError(f"no entry of a source: {one!r}")
        place = source.with_key(one.found.key)
        if isinstance(destination, S3Location):
            key = tree_key(destination, one.name)
            return CopyItem(place, destination.with_key(key), one.found) if key else _no_key(place)
        item = plan_key(self._context, place, one.found, destination.path, one.name)
        if isinstance(item, DownloadItem) and self._how.by is not CompareBy.EXACT_MTIME:
            return replace(item, mtime_ns=_mtime_ns(one.modified_seconds))
        return item


def _no_key(place: S3Location) -> Skip:
    return Skip(str(place), "it stands for the folder itself, which a bucket has no key for")


def _mtime_ns(modified_seconds: float) -> int | None:
    """The time that a file gets: that of the listing, since it is what the next run compares with.

    An object that was written a moment ago may be written again within the same second, which no listing could tell:
    the next run is made to fetch it once more.
    """
    if modified_seconds == UNKNOWN_SECONDS:
        return None
    early_ns = _SECOND_NS if is_racy(modified_seconds, time.time()) else 0
    return round(modified_seconds * 1_000_000) * 1000 - early_ns


def _extra_of(entry: AnyEntry) -> Extra:
    found = entry.found
    version = found.etag if isinstance(found, ListedObject) else str(found.mtime_ns)
    return Extra(entry.name, entry.size, version)
