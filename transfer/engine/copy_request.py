"""What the user wanted copied, read and checked. Looks at local paths, never at a store.

Everything that can be refused without touching a store is refused here, before anything moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from transfer.engine.wildcard_keys import may_be_name
from transfer.model.errors import LocalFileError, UsageError
from transfer.model.filters import Filters
from transfer.model.locations import (
    LocalLocation,
    Location,
    S3Location,
    StreamLocation,
    has_wildcard,
    parse_location,
)
from transfer.model.values import dataclass
from transfer.plan.naming import download_name, local_name


@dataclass(frozen=True, slots=True)
class SourceList:
    """A file that names the sources of a request, one on each line.

    Attributes:
        path: Where it is; `-` is standard input.
        root: What the lines are names below; None when each is a source of its own.
        filters: What of trees is left out.
    """

    path: str
    root: Location | None
    filters: Filters | None


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """A copy the user asked for, read and checked.

    Attributes:
        recursive: Folders are moved with all that is below them.
        raw: Wildcard characters mean themselves.
        moves: Sources are removed when their copies are safe.
        removes_unverified: Also those whose copies nothing could verify.
        listed: Where the sources are named; then `sources` only tells this request from others.
        syncs: Only what differs is moved.
        is_dry_run: It is only told what would be done.
    """

    sources: tuple[Location, ...]
    destination: Location
    recursive: bool
    raw: bool
    moves: bool = False
    removes_unverified: bool = False
    listed: SourceList | None = None
    syncs: bool = False
    is_dry_run: bool = False


def check_request(
    sources: Sequence[str],
    destination: str,
    *,
    recursive: bool,
    raw: bool,
    filters: Filters | None = None,
    moves: bool = False,
) -> CopyRequest:
    """Read the locations of a copy and refuse what makes no sense. Looks at local paths, never at a store.

    Raises:
        UsageError: A location or the combination is wrong.
        LocalFileError: A local source does not exist.
    """
    if not sources:
        raise UsageError("no source is named", remedy="write a source and a destination")
    request = CopyRequest(
        tuple(parse_location(source) for source in sources), parse_location(destination), recursive, raw, moves
    )
    if isinstance(request.destination, S3Location) and has_wildcard(request.destination.key) and not raw:
        raise UsageError(
            "a destination cannot have wildcards", subject=destination, remedy="use --raw to take it as it is"
        )
    for source in request.sources:
        _check_pair(request, source)
        if filters is not None and not filters.is_open and not _may_be_many(request, source):
            raise one_is_not_filtered(str(source))
    if len(request.sources) > 1:
        require_folder(request.destination)
        _check_names(request)
    return request


def _check_names(request: CopyRequest) -> None:
    """Refuse sources of which one would overwrite the other, as far as their names tell."""
    seen: dict[object, Location] = {}
    for source in request.sources:
        name = _single_name(request, source)
        # Trees may share names of members; the same tree twice shares all.
        known = seen.setdefault(source if name is None else name, source)
        if known is source:
            continue
        if known == source:
            raise UsageError("it is named twice", subject=str(source), remedy="name each source once")
        raise UsageError(
            f"it would overwrite {known}: both become {name}",
            subject=str(source),
            remedy="copy each to a folder or a name of its own",
        )


def _single_name(request: CopyRequest, source: Location) -> str | None:
    """What a source that is one object is called in the destination folder; None for those that may be many."""
    if isinstance(source, LocalLocation):
        is_many = is_local_pattern(request, source) or Path(source.path).is_dir()
        return None if is_many else local_name(source.path)
    if isinstance(source, S3Location):
        is_many = request.recursive or (has_wildcard(source.key) and not request.raw)
        return None if is_many else download_name(source.key)
    return None


def _may_be_many(request: CopyRequest, source: Location) -> bool:
    """Whether a source may mean several things; a file is one, also when it is moved with all that is below it."""
    if isinstance(source, LocalLocation):
        return is_local_pattern(request, source) or Path(source.path).is_dir()
    if isinstance(source, StreamLocation):
        return False
    return request.recursive or (has_wildcard(source.key) and not request.raw)


def _check_pair(request: CopyRequest, source: Location) -> None:
    destination = request.destination
    if not isinstance(source, S3Location) and not isinstance(destination, S3Location):
        raise UsageError(
            "neither the source nor the destination is in a bucket",
            subject=str(source),
            remedy="write s3://bucket/key for one of them",
        )
    if isinstance(source, StreamLocation):
        _check_stream_source(request)
    elif isinstance(source, LocalLocation):
        _check_local_source(request, source)
    else:
        _check_s3_source(request, source)


def _check_stream_source(request: CopyRequest) -> None:
    if len(request.sources) > 1 or request.recursive:
        raise UsageError("standard input is one object", subject="-", remedy="name it as the only source, without -r")
    if isinstance(request.destination, S3Location) and request.destination.is_folder_like:
        raise UsageError(
            "standard input has no name to keep", subject=str(request.destination), remedy="write the whole key"
        )


def _check_local_source(request: CopyRequest, source: LocalLocation) -> None:
    path = Path(source.path)
    if is_local_pattern(request, source):
        return
    if path.is_dir() and not request.recursive:
        raise UsageError("it is a folder", subject=source.path, remedy="use -r to move a folder")
    if request.moves and len(request.sources) > 1:
        # An earlier run of the same move may have taken it away: one that is missing is told as its own failure.
        return
    if not path.exists() and not path.is_symlink():
        rest = ": nothing has been copied" if len(request.sources) > 1 else ""
        raise LocalFileError("no such file or folder", subject=source.path, remedy=f"check the path{rest}")


def _check_s3_source(request: CopyRequest, source: S3Location) -> None:
    is_many = request.recursive or (has_wildcard(source.key) and not request.raw)
    if isinstance(request.destination, StreamLocation) and (is_many or len(request.sources) > 1):
        raise UsageError(
            "only one object can go to standard output",
            subject=str(source),
            remedy="name one key, with --raw if it holds *, ? or [",
        )
    if source.is_folder_like and not is_many:
        raise UsageError("it is a folder", subject=str(source), remedy="use -r to move a folder, or name a key")
    is_surely_many = request.recursive or (is_many and not may_be_name(source.key))
    if is_surely_many and isinstance(request.destination, LocalLocation):
        require_folder(request.destination)


def require_folder(destination: Location) -> None:
    """Refuse a destination that can hold one thing only."""
    if isinstance(destination, StreamLocation):
        raise UsageError("standard output takes one object", subject="-", remedy="name a folder")
    if (
        isinstance(destination, LocalLocation)
        and Path(destination.path).exists()
        and not Path(destination.path).is_dir()
    ):
        raise UsageError("several sources need a folder", subject=destination.path, remedy="name a folder")
    if isinstance(destination, S3Location) and not destination.is_folder_like:
        raise UsageError(
            "several sources need a folder", subject=str(destination), remedy=f"write {destination}/ for a folder"
        )


def is_local_pattern(request: CopyRequest, source: LocalLocation) -> bool:
    """Whether a local source is a pattern: a path that exists is taken as it is."""
    return has_wildcard(source.path) and not request.raw and not Path(source.path).exists()


def one_is_not_filtered(subject: str) -> UsageError:
    """Who names one thing wants that one."""
    return UsageError(
        "filters choose among what is in a tree or matches a pattern, this is a single name",
        subject=subject,
        remedy="leave the filters out, or name a folder with -r",
    )
