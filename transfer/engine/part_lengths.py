"""Finding out in which parts an object was uploaded: asking the store, as little as it takes."""

from __future__ import annotations

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.spread import each, spread
from transfer.integrity.claims import part_count_of, uniform_lengths
from transfer.integrity.verification import composite_part_size_bytes
from transfer.model.errors import StoreError
from transfer.model.locations import S3Location
from transfer.model.objects import ObjectInfo
from transfer.plan.parts import MAX_PARTS
from transfer.stores.s3.attributes import PartLengthsPage, list_part_lengths
from transfer.stores.s3.objects import head_part

_TELLS_NO_PARTS = frozenset({400, 403, 404, 405, 412, 416, 501})
"""Answers to questions about parts by stores that know none, or do not let everyone ask; 412 by those that compare the
condition with the ETag of the part. An object that is gone or has changed is noticed by whoever reads it."""


async def probable_lengths(
    context: Context, location: S3Location, info: ObjectInfo, tally: Tally
) -> tuple[int, ...] | None:
    """The parts of an object, if the size of the first tells that of the others; else what the store says of each.

    Returns:
        Lengths in bytes; None when the store does not tell.

    Raises:
        StoreError: As for any request.
        WireError: As for any request.
    """
    count = part_count_of(info)
    if count is None or info.size == 0:
        return None
    if count == 1:
        return (info.size,)
    first = await _part_length(context, location, info, 1, tally)
    if first is None or first >= info.size:
        # A store that does not look at part numbers answers with the whole object.
        return None
    part_size = composite_part_size_bytes(info.size, count, first)
    if part_size is not None:
        return uniform_lengths(info.size, part_size)
    return await exact_lengths(context, location, info, tally)


async def exact_lengths(
    context: Context, location: S3Location, info: ObjectInfo, tally: Tally
) -> tuple[int, ...] | None:
    """What the store says of each part: in lists where it keeps them, else part by part.

    Returns:
        Lengths in bytes; None when the store does not tell them all, or they do not make up the object.

    Raises:
        StoreError: As for any request.
        WireError: As for any request.
    """
    count = part_count_of(info)
    if count is None or count > MAX_PARTS:
        return None
    lengths = await _listed_lengths(context, location, info, tally)
    if len(lengths) != count:
        lengths = await _asked_lengths(context, location, info, count, tally)
    ordered = tuple(lengths[number] for number in sorted(lengths))
    return ordered if len(ordered) == count and sum(ordered) == info.size and all(ordered) else None


async def _listed_lengths(context: Context, location: S3Location, info: ObjectInfo, tally: Tally) -> dict[int, int]:
    found: dict[int, int] = {}
    marker = 0
    while True:
        page = await _page_of_lengths(context, location, marker, tally)
        if page is None or (page.etag and page.etag != info.etag.strip('"')):
            return {}
        found |= page.lengths
        if page.next_marker is None or page.next_marker <= marker:
            return found
        marker = page.next_marker


async def _page_of_lengths(context: Context, location: S3Location, marker: int, tally: Tally) -> PartLengthsPage | None:
    try:
        return await context.attempts.run(location, lambda _: list_part_lengths(context.store, location, marker), tally)
    except StoreError as error:
        if error.status in _TELLS_NO_PARTS:
            return None
        raise


async def _asked_lengths(
    context: Context, location: S3Location, info: ObjectInfo, count: int, tally: Tally
) -> dict[int, int]:
    found: dict[int, int] = {}
    refused = False

    async def ask(number: int) -> None:
        nonlocal refused
        if refused:
            return
        length = await _part_length(context, location, info, number, tally)
        if length is None:
            refused = True
        else:
            found[number] = length

    await spread(each(range(1, count + 1)), ask, context.may_add_part_worker)
    return found


async def _part_length(
    context: Context, location: S3Location, info: ObjectInfo, number: int, tally: Tally
) -> int | None:
    try:
        return await context.attempts.run(
            location, lambda _: head_part(context.store, location, number, info.etag), tally
        )
    except StoreError as error:
        if error.status in _TELLS_NO_PARTS:
            return None
        raise
