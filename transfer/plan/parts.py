"""Part sizes: how an object is cut so that S3 takes it and memory stays small. Knows numbers, never a store.

The limits are those of AWS, "Amazon S3 multipart upload limits"
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html).
"""

from __future__ import annotations

from collections.abc import Iterator

from transfer.model.errors import UsageError
from transfer.model.ranges import ByteRange

MIB = 1024**2
GIB = 1024**3

MIN_PART_SIZE_BYTES = 5 * MIB
"""The least that every part but the last must have."""
MAX_PART_SIZE_BYTES = 5 * GIB
MAX_PARTS = 10_000
MAX_OBJECT_SIZE_BYTES = MAX_PARTS * MAX_PART_SIZE_BYTES
"""48.8 TiB."""
MAX_SINGLE_PUT_BYTES = 5 * GIB
"""The most that one PutObject or one CopyObject takes."""

SMALL_BODY_BYTES = 256 * 1024
"""Up to this size a body is in memory whole: a file is read once and sent from there, one system call fewer than
reading it for its checksum and sending it from the page cache; an object is held until it has its place on the disk."""
DEFAULT_PART_SIZE_BYTES = 8 * MIB
"""Used as long as it needs no more than `MAX_PARTS` parts, that is up to 78 GiB."""

STREAM_STEP_PARTS = 1_000
"""After so many parts of a stream the next ones are twice as large, up to `MAX_STREAM_PART_SIZE_BYTES`."""
MAX_STREAM_PART_SIZE_BYTES = 64 * MIB
"""A stream cannot be read twice, so each part in flight is held in memory: eight of these are half a GiB."""

_OPTION = "--part-size"


def check_part_size(requested: int, *, smallest_bytes: int = MIN_PART_SIZE_BYTES) -> None:
    """Refuse a part size that S3 takes for no object, so that a run can end before it began.

    Args:
        requested: Bytes.
        smallest_bytes: The smallest size that works, for the remedy.

    Raises:
        UsageError: Below 5 MiB or above 5 GiB.
    """
    if MIN_PART_SIZE_BYTES <= requested <= MAX_PART_SIZE_BYTES:
        return
    raise UsageError(
        f"a part size of {requested} bytes is not between the 5 MiB and 5 GiB that S3 allows",
        subject=_OPTION,
        remedy=f"the smallest that works is {_OPTION} {_as_option(smallest_bytes)}",
    )


def choose_part_size_bytes(size_bytes: int, requested: int | None) -> int:
    """Choose the size of all parts but the last of an object of known size.

    Args:
        size_bytes: The object's size.
        requested: What the user wants, in bytes, or None.

    Returns:
        The requested size, or `DEFAULT_PART_SIZE_BYTES` grown in whole MiB until `MAX_PARTS` parts are
        enough.

    Raises:
        UsageError: The object is larger than S3 allows, or the requested size is out of bounds or needs more
            than `MAX_PARTS` parts; the remedy names the smallest size that works.
    """
    if size_bytes > MAX_OBJECT_SIZE_BYTES:
        raise UsageError(
            f"{size_bytes} bytes are more than the {MAX_OBJECT_SIZE_BYTES} (48.8 TiB) of the largest object",
            remedy="split it into several objects",
        )
    smallest = _smallest_part_size_bytes(size_bytes)
    if requested is None:
        return max(DEFAULT_PART_SIZE_BYTES, smallest)
    check_part_size(requested, smallest_bytes=smallest)
    if part_count(size_bytes, requested) > MAX_PARTS:
        raise UsageError(
            f"{size_bytes} bytes in parts of {requested} bytes are more than {MAX_PARTS} parts",
            subject=_OPTION,
            remedy=f"the smallest that works is {_OPTION} {_as_option(smallest)}",
        )
    return requested


def part_count(size_bytes: int, part_size_bytes: int) -> int:
    """How many parts an object has; 0 when it is empty."""
    return -(-size_bytes // part_size_bytes)


def is_multipart(size_bytes: int, part_size_bytes: int, threshold_bytes: int) -> bool:
    """Decide whether an upload goes in parts.

    Args:
        size_bytes: The object's size.
        part_size_bytes: The size of its parts: an object that fits into one is always sent whole.
        threshold_bytes: Objects of at least this size go in parts; those that one PUT cannot take always do.
    """
    if size_bytes > MAX_SINGLE_PUT_BYTES:
        return True
    return size_bytes >= threshold_bytes and size_bytes > part_size_bytes


def split_ranges(size_bytes: int, part_size_bytes: int) -> Iterator[ByteRange]:
    """Cut an object into parts, one at a time: in order, without gaps, all but the last of the same size.

    An empty object has no parts.
    """
    for number, offset in enumerate(range(0, size_bytes, part_size_bytes), start=1):
        yield ByteRange(number, offset, min(part_size_bytes, size_bytes - offset))


def stream_part_size_bytes(part_number: int, requested: int | None) -> int:
    """Choose the size of one part of a stream whose length nobody knows.

    Parts start at `DEFAULT_PART_SIZE_BYTES` and double every `STREAM_STEP_PARTS` parts up to
    `MAX_STREAM_PART_SIZE_BYTES`, so short streams need little memory and long ones still fit into
    `MAX_PARTS`: 492 GiB (`largest_stream_bytes`). A requested size is used for every part; that also suits
    stores that want all parts of one size, such as Cloudflare R2.

    Args:
        part_number: Counts from 1.
        requested: What the user wants, in bytes, or None.

    Raises:
        UsageError: The requested size is out of bounds, or the part is one more than an object can have.
    """
    if requested is not None:
        check_part_size(requested)
    if part_number > MAX_PARTS:
        raise _stream_too_long(requested)
    return requested if requested is not None else _grown_part_size_bytes(part_number)


def largest_stream_bytes(requested: int | None) -> int:
    """The longest stream that `stream_part_size_bytes` cuts into one object, to be told at its start."""
    if requested is not None:
        return MAX_PARTS * requested
    firsts = range(1, MAX_PARTS + 1, STREAM_STEP_PARTS)
    return sum(_grown_part_size_bytes(first) * STREAM_STEP_PARTS for first in firsts)


def _grown_part_size_bytes(part_number: int) -> int:
    steps = (part_number - 1) // STREAM_STEP_PARTS
    return min(DEFAULT_PART_SIZE_BYTES << steps, MAX_STREAM_PART_SIZE_BYTES)


def _stream_too_long(requested: int | None) -> UsageError:
    largest = largest_stream_bytes(requested)
    used = requested or MAX_STREAM_PART_SIZE_BYTES
    larger = min(2 * used, MAX_PART_SIZE_BYTES)
    option = f"{_OPTION} {_as_option(larger)}"
    remedy = f"ask for larger parts, such as {option}" if larger > used else "split the stream"
    return UsageError(
        f"the stream is longer than the {largest // GIB} GiB that fit into {MAX_PARTS} parts", remedy=remedy
    )


def _smallest_part_size_bytes(size_bytes: int) -> int:
    needed = part_count(size_bytes, MAX_PARTS)
    return max(MIN_PART_SIZE_BYTES, -(-needed // MIB) * MIB)


def _as_option(size_bytes: int) -> str:
    return f"{-(-size_bytes // MIB)}MiB"
