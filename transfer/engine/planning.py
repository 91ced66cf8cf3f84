"""From a checked request to the items of a run, which come as a stream, from a walk or a listing, never as a list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path

from transfer.engine.context import Context
from transfer.engine.copy_request import CopyRequest, is_local_pattern, one_is_not_filtered, require_folder
from transfer.engine.items import DownloadItem, FolderItem, Item, PrintItem, StreamUploadItem, UploadItem
from transfer.engine.listing import list_matches, list_tree
from transfer.engine.planning_copies import check_copies, nothing_found, nothing_there, plan_copies
from transfer.engine.wildcard_keys import is_pattern
from transfer.model.errors import LocalFileError, StoreError, UnsafeKeyError, UsageError
from transfer.model.locations import (
    LocalLocation,
    Location,
    S3Location,
    StreamLocation,
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
        await check_copies(context, request.sources, request.destination, recursive=request.recursive, raw=request.raw)
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
    if not found_any:
        if is_local_pattern(request, source):
            raise LocalFileError("nothing matches", subject=source.path, remedy="check the pattern")
        context.on_event(nothing_there(source.path, context.options.filters))


def _walk_of(
    context: Context, request: CopyRequest, source: LocalLocation, wants: Wants
) -> Iterator[WalkedFile | WalkWarning] | None:
    """What is below a local source; None when it is a single file.

    What matches a pattern comes whether it is wanted or not: a pattern that matches nothing is an error, filters that
    leave nothing over are none.
    """
    follow = context.options.follow_symlinks
    if is_local_pattern(request, source):
        return expand_wildcard(source.path, follow_symlinks=follow)
    return walk_files(source.path, follow_symlinks=follow, wants=wants) if Path(source.path).is_dir() else None


def _wants_walked(wants: Wants, found: WalkedFile | WalkWarning) -> bool:
    if isinstance(found, WalkWarning):
        name = found.relative.removesuffix("/")
        may_be_folder = found.is_loss or name != found.relative
        return wants.wants_name(name) or (may_be_folder and wants.may_hold_wanted(name))
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
    require_folder(destination)
    async for planned in _plan_keys(context, source, destination.path, by_pattern=by_pattern):
        yield planned


async def _plan_keys(context: Context, source: S3Location, root: str, *, by_pattern: bool) -> AsyncIterator[Planned]:
    listing = list_matches(context, source) if by_pattern else list_tree(context, source)
    base = relative_base(source.key) if by_pattern else source.key
    wants = compile_filters(context.options.filters)
    found_any = False
    async for batch in listing:
        found_any = True
        for found in batch:
            relative = found.key[len(base) :] if by_pattern else tree_relative(found.key, base)
            if wants.wants_object(relative, found):
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
