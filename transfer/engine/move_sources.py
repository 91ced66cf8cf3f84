"""Which keys are the sources of a move, so that none is overwritten before it has moved. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from transfer.engine.copy_request import CopyRequest
from transfer.engine.items import CopyItem
from transfer.engine.same_object import may_be_one_bucket
from transfer.engine.wildcard_keys import may_be_name
from transfer.model.errors import UsageError
from transfer.model.locations import S3Location, StreamLocation, has_wildcard
from transfer.plan.filters import Wants
from transfer.plan.naming import folder_prefix
from transfer.plan.wildcards import compile_pattern, relative_base


class SourceKeys:
    """The objects that a request moves away, as far as their names tell; those of a list are `listed_keys`'s."""

    def __init__(self, request: CopyRequest, wants: Wants) -> None:
        """Read a request; what the names of filters leave out of trees and patterns is no source."""
        sources = () if request.listed is not None else request.sources
        self._tests: Final = [
            (source.bucket, test)
            for source in sources
            if isinstance(source, S3Location)
            for test in _tests_of(request, source, wants)
        ]

    def holds(self, location: S3Location) -> bool:
        """Whether what is at a location is, or would be, one of the sources.

        Another endpoint or user may lead to the same bucket, and an access point to a bucket of another name: both
        count as the same one.
        """
        return any(may_be_one_bucket(bucket, location.bucket) and test(location.key) for bucket, test in self._tests)


def keeps_its_name(item: CopyItem) -> bool:
    """Whether what is at the new name of an object can only be that object: then no other source is overwritten."""
    source, destination = item.source, item.destination
    return source.key == destination.key and may_be_one_bucket(source.bucket, destination.bucket)


def overwrites_source(item: CopyItem, *, moves: bool) -> UsageError:
    """The refusal of an item whose new name may be that of another source."""
    own = "name a prefix of its own"
    return UsageError(
        f"its new name {item.destination} is among the sources",
        subject=str(item.source),
        remedy=f"{own}; if it is in another store or bucket: transfer cp, then transfer rm" if moves else own,
    )


def check_move(request: CopyRequest) -> None:
    """Refuse what can be copied but not moved.

    Raises:
        UsageError: A stream cannot be removed.
    """
    if any(isinstance(place, StreamLocation) for place in (*request.sources, request.destination)):
        raise UsageError("a stream cannot be moved", subject="-", remedy="use: transfer cp")


def _tests_of(request: CopyRequest, source: S3Location, wants: Wants) -> Iterator[Callable[[str], bool]]:
    """What finds the keys that a source may mean: a `[` may be part of a name or make a pattern."""
    is_wild = has_wildcard(source.key) and not request.raw
    if is_wild:
        pattern = compile_pattern(source.key)
        base_length = len(relative_base(source.key))
        yield lambda key: pattern.match(key) is not None and wants.wants_name(key[base_length:])
        if not may_be_name(source.key):
            return
    if request.recursive:
        below = folder_prefix(source.key)
        yield lambda key: key.startswith(below) and wants.wants_name(key[len(below) :])
    else:
        yield lambda key: key == source.key
