"""Which objects the lines of a list name, so that none is overwritten before its turn has come.

A regular file is read once beforehand, as far as it speaks of the destination's bucket; the names take bounded memory.
What cannot be read twice is judged by what it might still name. It never decides what a line becomes.
"""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import Final

from transfer.engine.context import Context
from transfer.engine.copy_request import CopyRequest, SourceList
from transfer.engine.items import CopyItem
from transfer.engine.move_sources import keeps_its_name, overwrites_source
from transfer.engine.same_object import is_one_store, may_be_one_bucket
from transfer.engine.seen_names import SeenNames
from transfer.engine.wildcard_keys import may_be_name
from transfer.model.errors import UsageError
from transfer.model.locations import S3Location, StreamLocation, has_wildcard, parse_location
from transfer.plan.naming import folder_prefix
from transfer.plan.wildcards import compile_pattern
from transfer.stores.local.lines import Lines

MOST_PATTERNS: Final = 1000
"""Each item is compared with every pattern that speaks of the destination's bucket."""
_ONE: Final = "="
_BELOW: Final = "/"


class ListedKeys:
    """The objects of the destination's bucket that a list names. To be closed."""

    def __init__(self, request: CopyRequest, listed: SourceList, bucket: str) -> None:
        """Prepare.

        Args:
            request: What was asked.
            listed: Its list.
            bucket: That of the destination.
        """
        self._request: Final = request
        self._listed: Final = listed
        self._bucket: Final = bucket
        self._is_known = False
        self._names: Final = SeenNames()
        self._patterns: Final[dict[str, re.Pattern[str]]] = {}

    async def read(self) -> None:
        """Read the list, if it can be read once more.

        Raises:
            LocalFileError: The file cannot be read.
            UsageError: It has too many patterns, or is no list.
        """
        if any(isinstance(place, StreamLocation) for place in self._request.sources):
            return
        with Lines(self._listed.path) as source:
            async with aclosing(source.batches()) as batches:
                async for batch in batches:
                    for line in batch:
                        if line.text:
                            self._note(line.text)
        self._is_known = True

    def check(self, item: CopyItem) -> None:
        """Refuse an item that would overwrite what the list names as well.

        Raises:
            UsageError: It would, or may.
        """
        is_one_bucket = may_be_one_bucket(item.source.bucket, self._bucket)
        if not self._is_known:
            if is_one_bucket and not keeps_its_name(item) and self._may_be_named(item.destination.key):
                raise UsageError(
                    f"its new name {item.destination} may be one that the list names later",
                    subject=str(item.source),
                    remedy="give the list as a file, which can be read beforehand",
                )
            return
        if is_one_bucket and not self._names_key(item.source.key):
            raise UsageError("the list was changed while it was read", subject=self._listed.path, remedy="run it again")
        if not keeps_its_name(item) and self._names_key(item.destination.key):
            raise overwrites_source(item, moves=self._request.moves)

    def close(self) -> None:
        """Let go of the names."""
        self._names.close()

    def _note(self, text: str) -> None:
        root = self._listed.root
        if isinstance(root, S3Location):
            self._names.add(_ONE + folder_prefix(root.key) + text)
            return
        try:
            place = parse_location(text)
        except UsageError:
            return
        if not isinstance(place, S3Location) or not may_be_one_bucket(place.bucket, self._bucket):
            return
        if has_wildcard(place.key) and not self._request.raw:
            self._note_pattern(place.key)
            if not may_be_name(place.key):
                return
        self._names.add(_BELOW + folder_prefix(place.key) if self._request.recursive else _ONE + place.key)

    def _note_pattern(self, pattern: str) -> None:
        if len(self._patterns) == MOST_PATTERNS and pattern not in self._patterns:
            raise UsageError(
                f"more than {MOST_PATTERNS} of its patterns are in the bucket of the destination",
                subject=self._listed.path,
                remedy="make several lists of it",
            )
        self._patterns[pattern] = compile_pattern(pattern)

    def _names_key(self, key: str) -> bool:
        if self._names.holds(_ONE + key) or any(pattern.match(key) for pattern in self._patterns.values()):
            return True
        folders = [0, *(place + 1 for place, character in enumerate(key) if character == "/")]
        return self._request.recursive and any(self._names.holds(_BELOW + key[:length]) for length in folders)

    def _may_be_named(self, key: str) -> bool:
        """Whether a line that is still to come may name a key."""
        root = self._listed.root
        return not isinstance(root, S3Location) or key.startswith(folder_prefix(root.key))


async def keys_to_keep(context: Context, request: CopyRequest, listed: SourceList) -> ListedKeys | None:
    """The names that no item may take before its turn; None when nothing that the list names can be overwritten.

    A copy of trees and single objects overwrites as copies do; names below a root are known to belong together.

    Raises:
        LocalFileError: The file cannot be read.
        UsageError: It is no list.
    """
    destination = request.destination
    if not isinstance(destination, S3Location):
        return None
    root = listed.root
    if root is None and not request.moves:
        return None
    if root is not None and not (isinstance(root, S3Location) and may_be_one_bucket(root.bucket, destination.bucket)):
        return None
    if not request.moves and not await is_one_store(context, destination.bucket):
        return None
    keys = ListedKeys(request, listed, destination.bucket)
    try:
        await keys.read()
    except BaseException:
        keys.close()
        raise
    return keys
