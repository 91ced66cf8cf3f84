"""Comparing what is in two places without moving it: trees, single objects, and what receipts say of them.

Decides what is compared with what and tells each result; how two things are compared is `proving`'s.
"""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import aclosing
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import Final

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.outcomes import Deliver
from transfer.engine.proving import FileProof, compare_objects, compare_record, head
from transfer.engine.spread import spread
from transfer.engine.trees import Pair, TreePair, pair_trees
from transfer.model.audits import Audit, Audited, Evidence, Finding, Recorded
from transfer.model.checksums import VerifiedBy
from transfer.model.errors import LocalFileError, StoreError, TransferError, UsageError
from transfer.model.locations import LocalLocation, S3Location, StreamLocation, parse_location
from transfer.model.receipts import Failure, Skip
from transfer.model.values import dataclass
from transfer.plan.keys import is_folder_marker
from transfer.plan.naming import download_name, upload_key

RECORDS_AT_A_TIME: Final = 256

Place = S3Location | LocalLocation


@dataclass(frozen=True, slots=True)
class AuditRequest:
    """Two places as the user wrote them; `is_tree` is None when only the store can tell."""

    first: Place
    second: Place
    is_tree: bool | None


def check_audit(first: str, second: str, *, is_filtered: bool) -> AuditRequest:
    """Read two locations and refuse what makes no sense. Looks at local paths, never at a store.

    Args:
        first: A local path or `s3://bucket/key`; what is there is what should be in the second place.
        second: The same; at least one of the two is in a bucket.
        is_filtered: Filters choose among names, so trees must be meant.

    Raises:
        UsageError: A location or the combination is wrong.
        LocalFileError: A local path does not exist.
    """
    one, two = parse_location(first), parse_location(second)
    if isinstance(one, StreamLocation) or isinstance(two, StreamLocation):
        raise UsageError("a stream cannot be verified", subject="-", remedy="name files or objects")
    if isinstance(one, LocalLocation) and isinstance(two, LocalLocation):
        raise UsageError(
            "neither of the two is in a bucket", subject=first, remedy="write s3://bucket/key for one of them"
        )
    if one == two:
        raise UsageError("it is named twice", subject=first, remedy="name two places")
    local = next((place for place in (one, two) if isinstance(place, LocalLocation)), None)
    if local is not None:
        is_tree: bool | None = _is_folder(local)
    else:
        is_tree = True if isinstance(one, S3Location) and one.is_folder_like else None
    if is_tree is False and is_filtered:
        raise _not_filtered(first)
    return AuditRequest(one, two, is_tree)


async def audit(context: Context, request: AuditRequest, deliver: Deliver[Audit]) -> None:
    """Compare two places and tell a result for each name.

    Raises:
        TransferError: A tree could not be looked at to its end, or a failure that concerns the whole run.
    """
    is_tree = request.is_tree
    if is_tree is None:
        is_tree = not (isinstance(request.first, S3Location) and await _is_object(context, request.first))
    if not is_tree and not context.options.filters.is_open:
        raise _not_filtered(str(request.first))
    if is_tree:
        await _audit_trees(context, TreePair(request.first, request.second), deliver)
    else:
        await deliver(await _audit_single(context, request.first, request.second))


async def audit_records(context: Context, records: Iterator[Recorded], deliver: Deliver[Audit]) -> None:
    """Compare what is in places now with what was noted of them, and tell a result for each.

    Args:
        context: The run.
        records: Read in worker threads, some at a time.
        deliver: Takes the results.

    Raises:
        TransferError: A failure that concerns the whole run, or what the records raise.
    """

    async def settle(recorded: Recorded) -> None:
        await deliver(await _guarded(context, recorded.origin, str(recorded.place), _audit_record(context, recorded)))

    await spread(_in_batches(context, records), settle, context.may_add_item_worker)


async def _in_batches(context: Context, records: Iterator[Recorded]) -> AsyncIterator[Recorded]:
    while batch := await context.threads.run(lambda: tuple(islice(records, RECORDS_AT_A_TIME))):
        for recorded in batch:
            yield recorded


async def _audit_trees(context: Context, trees: TreePair, deliver: Deliver[Audit]) -> None:
    async def settle(found: Pair | Skip | Failure) -> None:
        if isinstance(found, Skip | Failure):
            await deliver(found)
            return
        first, second = trees.places(found.name)
        await deliver(await _guarded(context, str(first), str(second), _audit_pair(context, found, first, second)))

    async with aclosing(pair_trees(context, trees)) as pairs:
        await spread(pairs, settle, context.may_add_item_worker)


async def _guarded(context: Context, source: str, destination: str, work: Awaitable[Audited]) -> Audit:
    """Do the work on one item; its failure is a value, unless every other one would fail so too."""
    try:
        audited = await work
    except TransferError as error:
        if context.ends_run(error):
            raise
        context.progress.items_failed += 1
        context.progress.items_checked += 1
        return Failure(source, destination, error)
    context.progress.items_checked += 1
    return audited


async def _audit_pair(context: Context, pair: Pair, first: Place, second: Place) -> Audited:
    size = pair.other_size if pair.size is None else pair.size
    if pair.size is None or pair.other_size is None:
        place = second if pair.size is None else first
        lacking = first if pair.size is None else second
        evidence = await _judge_lacking(context, pair, place, lacking)
    elif pair.size != pair.other_size:
        evidence = Evidence(Finding.DIFFERS, reason=f"{pair.size} bytes, and {pair.other_size} in the second place")
    else:
        evidence = await _compare(context, first, second, (pair.size, pair.etag))
    return Audited(pair.name, str(first), str(second), size, evidence)


async def _judge_lacking(context: Context, pair: Pair, place: Place, lacking: Place) -> Evidence:
    """One side alone has the name; an empty `name/` object has its like in a folder."""
    if isinstance(place, S3Location) and isinstance(lacking, LocalLocation):
        path = lacking.path
        is_marker = is_folder_marker(place.key, pair.size or pair.other_size or 0)
        if is_marker and await context.threads.run(lambda: Path(path).is_dir()):
            return Evidence(Finding.MATCH, VerifiedBy.NOTHING_TO_VERIFY)
    return Evidence(Finding.EXTRA if pair.size is None else Finding.MISSING)


async def _compare(context: Context, first: Place, second: Place, listed: tuple[int, str]) -> Evidence:
    """Compare two things of one size."""
    size, etag = listed
    if isinstance(first, LocalLocation) and isinstance(second, S3Location):
        return await FileProof(context, first.path).against_listed(second, size, etag)
    if isinstance(second, LocalLocation) and isinstance(first, S3Location):
        return await FileProof(context, second.path).against_listed(first, size, etag)
    if isinstance(first, S3Location) and isinstance(second, S3Location):
        if size == 0:
            return Evidence(Finding.MATCH, VerifiedBy.NOTHING_TO_VERIFY)
        return await compare_objects(context, first, second)
    raise UsageError("neither of the two is in a bucket", subject=str(first))


async def _audit_single(context: Context, first: Place, second: Place) -> Audit:
    """Compare two files or objects; one that the second place lacks is missing, of the first it is an error."""
    first, second = _with_name(first, second)
    name = _name_of(second)
    return await _guarded(context, str(first), str(second), _audit_named(context, name, first, second))


async def _audit_named(context: Context, name: str, first: Place, second: Place) -> Audited:
    size: int | None = None
    try:
        if isinstance(first, LocalLocation) and isinstance(second, S3Location):
            size = (await _stat(context, first)).st_size
            evidence = await FileProof(context, first.path).against_object(second)
        elif isinstance(second, LocalLocation) and isinstance(first, S3Location):
            size = (await head(context, first, Tally())).size
            evidence = await FileProof(context, second.path).against_object(first)
        elif isinstance(first, S3Location) and isinstance(second, S3Location):
            size = (await head(context, first, Tally())).size
            evidence = await compare_objects(context, first, second)
        else:
            raise UsageError("neither of the two is in a bucket", subject=str(first))
    except (StoreError, LocalFileError) as error:
        if error.subject == str(second) and _is_absence(error):
            return Audited(name, str(first), str(second), size, Evidence(Finding.MISSING))
        raise
    return Audited(name, str(first), str(second), size, evidence)


async def _audit_record(context: Context, recorded: Recorded) -> Audited:
    place = recorded.place
    try:
        if isinstance(place, S3Location):
            evidence = await compare_record(context, place, recorded)
        else:
            evidence = await _compare_file(context, place, recorded)
    except (StoreError, LocalFileError) as error:
        if not _is_absence(error):
            raise
        evidence = Evidence(Finding.MISSING)
    return Audited(str(place), recorded.origin, str(place), recorded.size, evidence)


async def _compare_file(context: Context, place: LocalLocation, recorded: Recorded) -> Evidence:
    if recorded.size == 0 and recorded.checksum is None and await context.threads.run(Path(place.path).is_dir):
        # An empty object that stands for a folder was made one.
        return Evidence(Finding.MATCH, VerifiedBy.NOTHING_TO_VERIFY)
    return await FileProof(context, place.path).against_record(recorded)


def _is_absence(error: StoreError | LocalFileError) -> bool:
    if isinstance(error, StoreError):
        return error.status == HTTPStatus.NOT_FOUND and error.code != "NoSuchBucket"
    return isinstance(error.__cause__, FileNotFoundError | NotADirectoryError)


async def _is_object(context: Context, location: S3Location) -> bool:
    try:
        await head(context, location, Tally())
    except StoreError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        return False
    return True


async def _stat(context: Context, location: LocalLocation) -> os.stat_result:
    try:
        return await context.threads.run(lambda: Path(location.path).stat())
    except OSError as error:
        raise LocalFileError.from_os_error(error, location.path) from error


def _with_name(first: Place, second: Place) -> tuple[Place, Place]:
    """Both by their whole names: a folder keeps the name of what it is compared with, as in a copy."""
    if isinstance(second, S3Location) and second.is_folder_like:
        return first, second.with_key(upload_key(second, _name_of(first)))
    if isinstance(first, S3Location) and first.is_folder_like:
        return first.with_key(upload_key(first, _name_of(second))), second
    return first, second


def _name_of(place: Place) -> str:
    return download_name(place.key) if isinstance(place, S3Location) else Path(place.path).name


def _is_folder(place: LocalLocation) -> bool:
    """Whether a local path is a folder.

    Raises:
        LocalFileError: Nothing is there.
    """
    try:
        return stat.S_ISDIR(Path(place.path).stat().st_mode)
    except OSError as error:
        raise LocalFileError.from_os_error(error, place.path) from error


def _not_filtered(subject: str) -> UsageError:
    return UsageError(
        "filters choose among what is in a tree, this is a single name",
        subject=subject,
        remedy="leave the filters out, or name a folder",
    )
