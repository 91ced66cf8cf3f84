"""Which keys are the sources of a move, so that none is overwritten before it has moved. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from transfer.engine.copy_request import CopyRequest
from transfer.model.errors import UsageError
from transfer.model.locations import S3Location, StreamLocation, has_wildcard
from transfer.plan.naming import folder_prefix
from transfer.plan.wildcards import compile_pattern


class SourceKeys:
    """The objects that a request moves away, as far as their names tell."""

    def __init__(self, request: CopyRequest) -> None:
        """Read a request."""
        self._tests: Final = [
            (source.bucket, _test_of(request, source)) for source in request.sources if isinstance(source, S3Location)
        ]

    def holds(self, location: S3Location) -> bool:
        """Whether what is at a location is, or would be, one of the sources."""
        return any(bucket == location.bucket and test(location.key) for bucket, test in self._tests)


def check_move(request: CopyRequest) -> None:
    """Refuse what can be copied but not moved.

    Raises:
        UsageError: A stream cannot be removed.
    """
    if any(isinstance(place, StreamLocation) for place in (*request.sources, request.destination)):
        raise UsageError("a stream cannot be moved", subject="-", remedy="use: transfer cp")


def _test_of(request: CopyRequest, source: S3Location) -> Callable[[str], bool]:
    if has_wildcard(source.key) and not request.raw:
        pattern = compile_pattern(source.key)
        return lambda key: pattern.fullmatch(key) is not None
    if request.recursive:
        below = folder_prefix(source.key)
        return lambda key: key.startswith(below)
    return lambda key: key == source.key
