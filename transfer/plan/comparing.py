"""Whether a source has changed since it was copied, as far as two listings tell."""

from __future__ import annotations

from typing import Final

from transfer.model.entries import Entry
from transfer.model.sync import Change, CompareBy, Comparison

_GRAIN_SECONDS: Final = 1e-6
"""Two times that are closer are the same one: seconds since the epoch as a float are exact to a quarter of this."""

UNKNOWN_SECONDS: Final = 0.0
"""The time of an object of which the store did not say when it was modified."""
RACY_SECONDS: Final = 2.0
"""Stores tell whole seconds: what was written again within the second in which it was read looks unchanged."""


def difference(source: Entry[object], destination: Entry[object] | None, how: Comparison) -> Change | None:
    """Compare by what the listings say.

    Args:
        source: What should be at the destination.
        destination: What is there under that name; None for nothing.
        how: What counts.

    Returns:
        Why the source must be copied, or None if nothing known so far says so: where `needs_request` holds, the
        objects themselves are asked next.
    """
    if destination is None:
        return Change.NEW
    if how.skip_existing or (how.skip_newer and is_newer(destination, source)):
        return None
    if source.size != destination.size:
        return Change.SIZE
    if how.by is CompareBy.TIME and (is_newer(source, destination) or source.modified_seconds == UNKNOWN_SECONDS):
        return Change.NEWER
    return None


def needs_request(source: Entry[object], destination: Entry[object] | None, how: Comparison) -> bool:
    """Whether the listings leave open if the two differ, so that the objects are to be asked."""
    if destination is None or how.by not in (CompareBy.CHECKSUM, CompareBy.EXACT_MTIME):
        return False
    if how.skip_existing or (how.skip_newer and is_newer(destination, source)):
        return False
    return source.size == destination.size


def is_newer(one: Entry[object], other: Entry[object]) -> bool:
    """Whether the one was modified after the other."""
    return one.modified_seconds - other.modified_seconds > _GRAIN_SECONDS


def is_racy(modified_seconds: float, read_seconds: float) -> bool:
    """Whether something may have been written again after it was read, and still tell the same time.

    Args:
        modified_seconds: The time it tells.
        read_seconds: When it was read.
    """
    return abs(read_seconds - modified_seconds) < RACY_SECONDS
