"""From what the user wrote to a checked request to make one tree like another. No store is asked."""

from __future__ import annotations

import shlex
from pathlib import Path

from transfer.engine.copy_request import CopyRequest
from transfer.engine.same_object import is_other_name
from transfer.model.errors import LocalFileError, UsageError
from transfer.model.locations import LocalLocation, Location, S3Location, StreamLocation, parse_location
from transfer.model.sync import SyncOptions
from transfer.model.values import dataclass
from transfer.plan.naming import folder_prefix
from transfer.plan.wildcards import literal_prefix
from transfer.system.paths import absolute_path, is_there

Place = LocalLocation | S3Location


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """A checked request; `backup` is where removed objects go instead."""

    source: Place
    destination: Place
    backup: Place | None
    options: SyncOptions

    @property
    def copy(self) -> CopyRequest:
        """The copy of the whole tree, which is what its job is known by."""
        return CopyRequest((self.source,), self.destination, recursive=True, raw=True, syncs=True)


def check_sync(source: str, destination: str, options: SyncOptions) -> SyncRequest:
    """Read the locations and refuse what makes no sense.

    Args:
        source: A folder or a prefix, as the user wrote it.
        destination: The same.
        options: What the user chose.

    Raises:
        UsageError: A location or the combination is wrong.
        LocalFileError: The source folder does not exist.
    """
    one, other = _place(source), _place(destination)
    for place in (one, other):
        _refuse_pattern(place)
    if isinstance(one, LocalLocation):
        if isinstance(other, LocalLocation):
            raise UsageError(
                "neither the source nor the destination is in a bucket",
                subject=source,
                remedy="write s3://bucket/prefix for one of them",
            )
        _check_folder(one)
    if isinstance(other, LocalLocation) and is_there(other.path) and not Path(other.path).is_dir():
        raise UsageError("it is not a folder", subject=destination, remedy="name a folder")
    return SyncRequest(one, other, _backup(one, other, options), options)


def contains(outer: Place, inner: Place) -> bool:
    """Whether a tree is, or lies in, another one."""
    if isinstance(outer, S3Location) and isinstance(inner, S3Location):
        return outer.bucket == inner.bucket and folder_prefix(inner.key).startswith(folder_prefix(outer.key))
    if isinstance(outer, LocalLocation) and isinstance(inner, LocalLocation):
        return Path(absolute_path(inner.path)).is_relative_to(absolute_path(outer.path))
    return False


def _place(text: str) -> Place:
    location: Location = parse_location(text)
    if isinstance(location, StreamLocation):
        raise UsageError("standard input and output are no trees", subject="-", remedy="name a folder or a prefix")
    return location


def _refuse_pattern(place: Place) -> None:
    """Who writes a star means more than one name, and would be told that there is nothing."""
    if not isinstance(place, S3Location) or "*" not in place.key:
        return
    prefix = literal_prefix(place.key).rpartition("/")[0]
    rest = place.key[len(prefix) :].lstrip("/")
    chosen = "" if set(rest) == {"*"} else f" --include {shlex.quote(rest)}"
    raise UsageError(
        "whole prefixes are synced, no patterns",
        subject=str(place),
        remedy=f"write {place.with_key(folder_prefix(prefix))}{chosen}",
    )


def _check_folder(source: LocalLocation) -> None:
    if not is_there(source.path):
        raise LocalFileError("no such folder", subject=source.path, remedy="check the path")
    if not Path(source.path).is_dir():
        raise UsageError("it is not a folder", subject=source.path, remedy="move a single file with: transfer cp")


def check_apart(request: SyncRequest, *, is_one_store: bool) -> None:
    """Refuse trees of which one holds the other, as far as names tell: two endpoints may be one store.

    Args:
        request: What was asked.
        is_one_store: Both sides are surely in the same store.

    Raises:
        UsageError: What is copied would be copied again, or the source would be removed.
    """
    source, destination = request.source, request.destination
    if not isinstance(source, S3Location) or not isinstance(destination, S3Location):
        return
    if is_other_name(source.bucket) or is_other_name(destination.bucket):
        # An access point may stand for the other bucket.
        source = source.in_bucket(destination.bucket)
        is_one_store = False
    is_above, is_below = contains(source, destination), contains(destination, source)
    if is_above and is_below:
        if is_one_store:
            raise UsageError("source and destination are the same", subject=str(source), remedy="name two places")
        return
    if is_above:
        raise UsageError(
            f"what is copied to {request.destination} would be copied again, without end",
            subject=str(request.source),
            remedy="name a destination that is not below the source",
        )
    if request.options.delete and is_below:
        raise UsageError(
            "--delete would remove the source, which is below the destination",
            subject=str(request.source),
            remedy="leave --delete out, or name another destination",
        )


def _backup(source: Place, destination: Place, options: SyncOptions) -> Place | None:
    if options.backup is None:
        return None
    backup = _place(options.backup)
    if type(backup) is not type(destination):
        kind = "a prefix of a bucket" if isinstance(destination, S3Location) else "a local folder"
        raise UsageError(f"for this destination it must be {kind}", subject=f"--backup-prefix {options.backup}")
    if contains(destination, backup):
        raise UsageError(
            "it is below the destination, so the next run would find it there",
            subject=f"--backup-prefix {options.backup}",
            remedy="name a place beside the destination",
        )
    if contains(backup, destination):
        raise UsageError(
            "the destination is below it, so backups could overwrite it",
            subject=f"--backup-prefix {options.backup}",
            remedy="name a place beside the destination",
        )
    if contains(source, backup) or contains(backup, source):
        raise UsageError(
            "it is in the source or holds it, so what was removed would be copied again",
            subject=f"--backup-prefix {options.backup}",
            remedy="name a place beside the source",
        )
    return backup
