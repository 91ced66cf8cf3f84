"""Objects of one size below one prefix: their names, their bytes, and which of them exist."""

from __future__ import annotations

from random import Random
from typing import Final

from transfer.engine.bench.content import Content
from transfer.model.locations import S3Location
from transfer.plan.mix import LiveObjects

_SCATTER: Final = 0x9E3779B1
"""Odd, so that multiplying by it modulo 2^32 gives every number another one: names do not grow in order, which stores
that split ranges of keys would answer more slowly than what users have."""


class Shelf:
    """Where a sweep writes and reads.

    Attributes:
        place: The prefix.
        size_bytes: Of each object.
        numbers: How many names have been given so far; all below are of objects that exist, existed or never came.
        live: Those that exist.
        has_versions: The store gave an object a version: removing it hides it only.
    """

    def __init__(self, place: S3Location, size_bytes: int, content: Content, random: Random) -> None:
        self.place: Final = place
        self.size_bytes: Final = size_bytes
        self.live: Final = LiveObjects(random)
        self.numbers = 0
        self.has_versions = False
        self._content: Final = content

    def new_number(self) -> int:
        """A number that no object had."""
        self.numbers += 1
        return self.numbers - 1

    def body(self, number: int) -> memoryview:
        """The bytes of an object."""
        return self._content.body(number, self.size_bytes)

    def location(self, number: int) -> S3Location:
        """The name of an object."""
        return self.place.with_key(self.key(number))

    def key(self, number: int) -> str:
        """The key of an object."""
        return f"{self.place.key}{number * _SCATTER % 2**32:08x}"
