"""Sources that are named in a file, one on each line: read as they are moved, never held as a list.

Without a root each line is a source as on a command line, and keeps its own name in the destination. With a root each
is a name below it, `/` between folders, that is kept as it is. A line that cannot be moved fails alone.
"""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Final

from transfer.engine.context import Context
from transfer.engine.copy_request import CopyRequest, SourceList, check_request
from transfer.engine.items import CopyItem, DownloadItem, UploadItem
from transfer.engine.listed_keys import ListedKeys, keys_to_keep
from transfer.engine.planning import Planned, plan_items
from transfer.engine.seen_names import SeenNames, name_on_disk
from transfer.model.errors import LocalFileError, TransferError, UnsafeKeyError, UsageError
from transfer.model.filters import Filters
from transfer.model.locations import LocalLocation, Location, S3Location, StreamLocation, parse_location
from transfer.model.options import UnsafeKeyPolicy
from transfer.model.receipts import Failure, Skip
from transfer.plan.keys import relative_path_of
from transfer.plan.naming import folder_prefix, tree_key
from transfer.stores.local.lines import LONGEST_LINE_BYTES, STANDARD_INPUT, Lines

LOOKED_AT: Final = 256
"""Files looked at in one hop to a thread."""
_ROOT = "--root"


def check_listed(
    file: str,
    destination: str,
    *,
    root: str | None = None,
    recursive: bool = False,
    raw: bool = False,
    filters: Filters | None = None,
    moves: bool = False,
) -> CopyRequest:
    """Read the request of a copy whose sources stand in a file, and refuse what makes no sense.

    Args:
        file: Its path, or `-` for standard input.
        destination: A folder or a prefix.
        root: What the lines are below.
        recursive: Lines may name folders and prefixes.
        raw: Wildcard characters mean themselves; so they do with a root.
        filters: What of trees is left out.
        moves: Sources are removed when their copies are safe.

    Raises:
        UsageError: The combination is wrong.
        LocalFileError: The file cannot be read.
    """
    place = _as_folder(parse_location(destination))
    below = None if root is None else parse_location(root)
    if below is not None:
        _check_root(below, place, recursive=recursive, filters=filters)
    is_regular = file != STANDARD_INPUT and _is_regular(file)
    bucket = _first_bucket(file) if below is None and is_regular else None
    # What names the job: the list, and where its lines are. A list that cannot be read twice makes it none.
    named: tuple[Location, ...] = (LocalLocation(file) if is_regular else StreamLocation(),)
    where = below if below is not None else S3Location(bucket) if bucket else None
    return CopyRequest(
        named if where is None else (*named, where),
        place,
        recursive,
        raw,
        moves,
        listed=SourceList(file, below, filters),
    )


async def plan_listed(context: Context, request: CopyRequest, listed: SourceList) -> AsyncIterator[Planned]:
    """The items that the lines of a file mean, as they are read.

    Raises:
        LocalFileError: The file cannot be read.
    """
    names = SeenNames()
    kept = await keys_to_keep(context, request, listed)
    try:
        with Lines(listed.path) as source:
            async with aclosing(source.batches()) as batches:
                async for batch in batches:
                    found: list[Planned] = []
                    for line in batch:
                        if not line.text:
                            continue
                        async for planned in _plan_line(context, request, listed, line.text):
                            found.append(_if_first(names, _if_apart(kept, planned)))
                            if len(found) == LOOKED_AT:
                                for item in await _looked_at(context, found):
                                    yield item
                                found = []
                    for item in await _looked_at(context, found):
                        yield item
    finally:
        names.close()
        if kept is not None:
            kept.close()


async def _looked_at(context: Context, found: list[Planned]) -> list[Planned]:
    """The items with size and time of their files, by which a later run knows what this one has finished."""
    if not any(isinstance(one, UploadItem) and one.size is None for one in found):
        return found
    return await context.threads.run(lambda: [_with_size(one) for one in found])


def _with_size(found: Planned) -> Planned:
    if not isinstance(found, UploadItem) or found.size is not None:
        return found
    try:
        status = os.stat(found.path)  # noqa: PTH116 - as text
    except OSError:
        # Opening it will tell.
        return found
    return replace(found, size=status.st_size, mtime_ns=status.st_mtime_ns)


async def _plan_line(context: Context, request: CopyRequest, listed: SourceList, text: str) -> AsyncIterator[Planned]:
    try:
        if listed.root is not None:
            yield _below_root(context, listed.root, request.destination, text)
            return
        one = check_request(
            [text],
            str(request.destination),
            recursive=request.recursive,
            raw=request.raw,
            filters=listed.filters,
            moves=request.moves,
        )
        async for planned in plan_items(context, replace(one, removes_unverified=request.removes_unverified)):
            yield planned
    except TransferError as error:
        error.subject = error.subject or text
        yield Failure(text, str(request.destination), error)


def _below_root(context: Context, root: Location, destination: Location, text: str) -> Planned:
    """The item of a name below the root.

    Raises:
        UsageError: The name leads out of the root.
        UnsafeKeyError: It is no safe file name.
    """
    if isinstance(root, S3Location):
        key = folder_prefix(root.key) + text
        source = root.with_key(key)
        if isinstance(destination, S3Location):
            return CopyItem(source, destination.with_key(tree_key(destination, text)))
        try:
            return DownloadItem(source, str(destination), relative_path_of(text, context.options.unsafe_keys))
        except UnsafeKeyError as error:
            error.subject = str(source)
            if context.options.unsafe_keys is UnsafeKeyPolicy.SKIP:
                return Skip(str(source), error.message)
            raise
    name = PurePosixPath(text.replace(os.sep, "/"))
    if name.is_absolute() or ".." in name.parts or not name.parts:
        raise UsageError(
            "it is no name below the root", subject=text, remedy=f"write names below {root}, or leave {_ROOT} out"
        )
    if not isinstance(destination, S3Location):
        raise UsageError("neither side is in a bucket", subject=text)
    path = os.path.join(str(root), *name.parts)  # noqa: PTH118 - as text, which the walk gives too
    return UploadItem(path, destination.with_key(tree_key(destination, str(name))))


def _if_apart(kept: ListedKeys | None, planned: Planned) -> Planned:
    """The item, or the failure of one that would overwrite what another line names."""
    if kept is not None and isinstance(planned, CopyItem):
        try:
            kept.check(planned)
        except UsageError as error:
            return Failure(str(planned.source), str(planned.destination), error)
    return planned


def _if_first(names: SeenNames, planned: Planned) -> Planned:
    """The item, or the failure of one that would overwrite another of the list."""
    if isinstance(planned, UploadItem | CopyItem):
        name, source = (
            str(planned.destination),
            str(planned.path if isinstance(planned, UploadItem) else planned.source),
        )
    elif isinstance(planned, DownloadItem):
        name, source = name_on_disk(planned.path), str(planned.source)
    else:
        return planned
    if names.add(name):
        return planned
    error = UsageError(
        f"another line has become {name} already",
        subject=source,
        remedy=f"name each once, and give {_ROOT} to keep the folders of names",
    )
    return Failure(source, name, error)


def _as_folder(destination: Location) -> Location:
    """The destination, which keeps the names of what it takes.

    Raises:
        UsageError: It can hold one thing only.
    """
    if isinstance(destination, StreamLocation):
        raise UsageError("standard output takes one object", subject="-", remedy="name a folder")
    if isinstance(destination, S3Location):
        if not destination.is_folder_like:
            raise UsageError(
                "several sources need a folder", subject=str(destination), remedy=f"write {destination}/ for a folder"
            )
        return destination
    if os.path.exists(destination.path) and not os.path.isdir(destination.path):  # noqa: PTH110, PTH112 - as text
        raise UsageError("several sources need a folder", subject=destination.path, remedy="name a folder")
    return LocalLocation(destination.path.rstrip("/") + "/")


def _check_root(root: Location, destination: Location, *, recursive: bool, filters: Filters | None) -> None:
    if isinstance(root, StreamLocation):
        raise UsageError("a stream has nothing below it", subject=_ROOT, remedy="name a folder or a prefix")
    if not isinstance(root, S3Location) and not isinstance(destination, S3Location):
        raise UsageError("neither it nor the destination is in a bucket", subject=_ROOT, remedy="write s3://bucket/key")
    if recursive:
        raise UsageError("it makes each line the name of one file or object", subject=_ROOT, remedy="leave -r out")
    if filters is not None and not filters.is_open:
        raise UsageError("filters choose among what is in trees", subject=_ROOT, remedy="leave the filters out")


def _is_regular(file: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(file).st_mode)  # noqa: PTH116 - as text
    except OSError as error:
        raise LocalFileError.from_os_error(error, file) from error


def _first_bucket(file: str) -> str | None:
    """The bucket of the first line that names one at the beginning of a file, which tells the store."""
    try:
        with open(file, "rb") as source:
            first = os.fsdecode(source.readline(LONGEST_LINE_BYTES).strip(b"\r\n"))
    except OSError as error:
        raise LocalFileError.from_os_error(error, file) from error
    try:
        place = parse_location(first)
    except UsageError:
        return None
    return place.bucket if isinstance(place, S3Location) else None
