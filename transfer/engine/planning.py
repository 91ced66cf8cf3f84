"""From what the user wrote to the items of a run.

Everything that can be refused without touching a store is refused first (`check_request`), before anything moves; the
items themselves come as a stream, from a walk or a listing, never as a list.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from transfer.engine.context import Context
from transfer.engine.items import DownloadItem, FolderItem, Item, PrintItem, StreamUploadItem, UploadItem
from transfer.engine.listing import list_matches, list_tree
from transfer.engine.planning_copies import check_copies, nothing_found, one_is_not_filtered, plan_copies
from transfer.engine.wildcard_keys import is_pattern, may_be_name
from transfer.model.errors import LocalFileError, StoreError, UnsafeKeyError, UsageError
from transfer.model.filters import Filters
from transfer.model.locations import (
    LocalLocation,
    Location,
    S3Location,
    StreamLocation,
    has_wildcard,
    parse_location,
)
from transfer.model.objects import ListedObject
from transfer.model.options import UnsafeKeyPolicy
from transfer.model.receipts import Failure, Skip
from transfer.plan.filters import Wants, compile_filters
from transfer.plan.keys import is_folder_marker, relative_path_of
from transfer.plan.naming import download_name, local_name, tree_key, tree_relative, upload_key
from transfer.plan.wildcards import relative_base
from transfer.stores.local.walk import WalkedFile, WalkWarning, expand_wildcard, walk_files

WALK_BATCH_FILES = 256
"""Files taken from a walk at a time: one thread hop for so many."""

Planned = Item | Skip | Failure


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
    """

    sources: tuple[Location, ...]
    destination: Location
    recursive: bool
    raw: bool
    moves: bool = False
    removes_unverified: bool = False
    listed: SourceList | None = None
    syncs: bool = False


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
        _require_folder(request.destination)
        _check_names(request)
    return request


async def plan_items(context: Context, request: CopyRequest) -> AsyncIterator[Planned]:
    """The items of a checked copy, as they are found.

    Raises:
        StoreError: A listing failed, or nothing is at the source.
        LocalFileError: A folder cannot be walked.
        UsageError: Something would be copied onto or into itself.
    """
    if request.listed is not None:
        from transfer.engine.listed_sources import plan_listed

        async for item in plan_listed(context, request, request.listed):
            yield item
        return
    if isinstance(request.destination, S3Location):
        check_copies(context, request.sources, request.destination, recursive=request.recursive, raw=request.raw)
    for source in request.sources:
        found = _plan_source(context, request, source)
        try:
            async for item in found:
                yield item
        except StoreError as error:
            if not request.moves or error.code != "NoSuchKey":
                raise
            # An earlier run of the same move may have taken all of it away.
            yield Failure(str(source), "", error)


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
        is_many = _is_local_pattern(request, source) or Path(source.path).is_dir()
        return None if is_many else local_name(source.path)
    if isinstance(source, S3Location):
        is_many = request.recursive or (has_wildcard(source.key) and not request.raw)
        return None if is_many else download_name(source.key)
    return None


def _may_be_many(request: CopyRequest, source: Location) -> bool:
    """Whether a source may mean several things; a file is one, also when it is moved with all that is below it."""
    if isinstance(source, LocalLocation):
        return _is_local_pattern(request, source) or Path(source.path).is_dir()
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
    if _is_local_pattern(request, source):
        return
    if path.is_dir() and not request.recursive:
        raise UsageError("it is a folder", subject=source.path, remedy="use -r to move a folder")
    if request.moves and len(request.sources) > 1:
        # An earlier run of the same move may have taken it away: one that is missing is told as its own failure.
        return
    if not path.exists() and not path.is_symlink():
        raise LocalFileError("no such file or folder", subject=source.path, remedy="check the path")


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
        _require_folder(request.destination)


def _require_folder(destination: Location) -> None:
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


def _is_local_pattern(request: CopyRequest, source: LocalLocation) -> bool:
    return has_wildcard(source.path) and not request.raw and not Path(source.path).exists()


def _plan_source(context: Context, request: CopyRequest, source: Location) -> AsyncIterator[Planned]:
    destination = request.destination
    if isinstance(destination, S3Location):
        if isinstance(source, LocalLocation):
            return _plan_local(context, request, source, destination)
        if isinstance(source, S3Location):
            return plan_copies(context, source, destination, recursive=request.recursive, raw=request.raw)
        return _one(StreamUploadItem(destination))
    if not isinstance(source, S3Location):
        raise UsageError("neither side is in a bucket", subject=str(source))
    if isinstance(destination, StreamLocation):
        return _one(PrintItem(source))
    return _plan_remote(context, request, source, destination)


async def _one(item: Planned) -> AsyncIterator[Planned]:
    yield item


async def _plan_local(
    context: Context, request: CopyRequest, source: LocalLocation, destination: S3Location
) -> AsyncIterator[Planned]:
    wants = compile_filters(context.options.filters)
    walk = await context.threads.run(lambda: _walk_of(context, request, source, wants))
    if walk is None:
        yield UploadItem(source.path, destination.with_key(upload_key(destination, local_name(source.path))))
        return
    found_any = False
    async for found in _in_batches(context, walk):
        found_any = True
        if not _wants_walked(wants, found):
            continue
        if isinstance(found, WalkWarning):
            yield left_out(found, str(destination))
        else:
            yield UploadItem(
                found.path, destination.with_key(tree_key(destination, found.relative)), found.size, found.mtime_ns
            )
    if not found_any and _is_local_pattern(request, source):
        raise LocalFileError("nothing matches", subject=source.path, remedy="check the pattern")


def _walk_of(
    context: Context, request: CopyRequest, source: LocalLocation, wants: Wants
) -> Iterator[WalkedFile | WalkWarning] | None:
    """What is below a local source; None when it is a single file.

    What matches a pattern comes whether it is wanted or not: a pattern that matches nothing is an error, filters that
    leave nothing over are none.
    """
    follow = context.options.follow_symlinks
    if _is_local_pattern(request, source):
        return expand_wildcard(source.path, follow_symlinks=follow)
    return walk_files(source.path, follow_symlinks=follow, wants=wants) if Path(source.path).is_dir() else None


def _wants_walked(wants: Wants, found: WalkedFile | WalkWarning) -> bool:
    if isinstance(found, WalkWarning):
        return wants.wants_name(found.relative)
    return wants(found.relative, found.size, found.mtime_ns / 1e9, "")


def left_out(found: WalkWarning, destination: str) -> Skip | Failure:
    """What cannot be moved at all is skipped; what should have been but cannot be read has failed."""
    if not found.is_loss:
        return Skip(found.path, found.reason)
    error = LocalFileError(found.reason, subject=found.path, remedy="check the permissions")
    return Failure(found.path, destination, error)


async def _in_batches(
    context: Context, walk: Iterator[WalkedFile | WalkWarning]
) -> AsyncIterator[WalkedFile | WalkWarning]:
    """A blocking walk, driven from a worker thread."""
    while batch := await context.threads.run(lambda: tuple(islice(walk, WALK_BATCH_FILES))):
        for found in batch:
            yield found


async def _plan_remote(
    context: Context, request: CopyRequest, source: S3Location, destination: LocalLocation
) -> AsyncIterator[Planned]:
    by_pattern = await is_pattern(context, source, recursive=request.recursive, raw=request.raw)
    if not by_pattern and not request.recursive:
        if not context.options.filters.is_open:
            raise one_is_not_filtered(str(source))
        yield _single_download(context, source, destination.path, several=len(request.sources) > 1)
        return
    _require_folder(destination)
    async for planned in _plan_keys(context, source, destination.path, by_pattern=by_pattern):
        yield planned


async def _plan_keys(context: Context, source: S3Location, root: str, *, by_pattern: bool) -> AsyncIterator[Planned]:
    listing = list_matches(context, source) if by_pattern else list_tree(context, source)
    base = relative_base(source.key) if by_pattern else source.key
    wants = compile_filters(context.options.filters)
    found_any = False
    async for found in listing:
        found_any = True
        relative = found.key[len(base) :] if by_pattern else tree_relative(found.key, base)
        if not wants.wants_object(relative, found):
            continue
        yield plan_key(context, source.with_key(found.key), found, root, relative)
    if not found_any and source.key:
        raise nothing_found(source, by_pattern=by_pattern)


def plan_key(context: Context, source: S3Location, found: ListedObject, root: str, relative: str) -> Planned:
    """What becomes of an object below a folder; `relative` is its name below the root."""
    policy = context.options.unsafe_keys
    try:
        if is_folder_marker(found.key, found.size):
            name = relative.removesuffix("/")
            return FolderItem(source, root, relative_path_of(name, policy) if name else "")
        return DownloadItem(source, root, relative_path_of(relative, policy), found)
    except UnsafeKeyError as error:
        return _unsafe(source, root, error, policy)


def _single_download(context: Context, source: S3Location, path: str, *, several: bool) -> Planned:
    policy = context.options.unsafe_keys
    if several or path.endswith(("/", "\\")) or Path(path).is_dir():
        try:
            return DownloadItem(source, path, relative_path_of(download_name(source.key), policy))
        except UnsafeKeyError as error:
            return _unsafe(source, path, error, policy)
    target = Path(path)
    return DownloadItem(source, str(target.parent), target.name)


def _unsafe(source: S3Location, root: str, error: UnsafeKeyError, policy: UnsafeKeyPolicy) -> Skip | Failure:
    error.subject = str(source)
    if policy is UnsafeKeyPolicy.SKIP:
        return Skip(str(source), error.message)
    return Failure(str(source), root, error)
