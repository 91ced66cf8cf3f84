"""From what the user wrote to a checked request to make one tree like another. No store is asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transfer.engine.copy_request import CopyRequest
from transfer.model.errors import LocalFileError, UsageError
from transfer.model.locations import LocalLocation, Location, S3Location, StreamLocation, parse_location
from transfer.model.sync import SyncOptions
from transfer.plan.naming import folder_prefix
from transfer.system.paths import absolute_path

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
    if isinstance(one, LocalLocation):
        if isinstance(other, LocalLocation):
            raise UsageError(
                "neither the source nor the destination is in a bucket",
                subject=source,
                remedy="write s3://bucket/prefix for one of them",
            )
        _check_folder(one)
    if isinstance(other, LocalLocation) and Path(other.path).exists() and not Path(other.path).is_dir():
        raise UsageError("it is not a folder", subject=destination, remedy="name a folder")
    return SyncRequest(one, other, _backup(other, options), options)


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


def _check_folder(source: LocalLocation) -> None:
    path = Path(source.path)
    if not path.exists():
        raise LocalFileError("no such folder", subject=source.path, remedy="check the path")
    if not path.is_dir():
        raise UsageError("it is not a folder", subject=source.path, remedy="move a single file with: transfer cp")


def check_apart(request: SyncRequest) -> None:
    """Refuse trees of which one holds the other; for a request within one store.

    Raises:
        UsageError: What is copied would be copied again, or the source would be removed.
    """
    source, destination, options = request.source, request.destination, request.options
    if contains(source, destination) and contains(destination, source):
        raise UsageError("source and destination are the same", subject=str(source), remedy="name two places")
    if contains(source, destination):
        raise UsageError(
            f"what is copied to {destination} would be copied again, without end",
            subject=str(source),
            remedy="name a destination that is not below the source",
        )
    if options.delete and contains(destination, source):
        raise UsageError(
            "--delete would remove the source, which is below the destination",
            subject=str(source),
            remedy="leave --delete out, or name another destination",
        )


def _backup(destination: Place, options: SyncOptions) -> Place | None:
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
    return backup
