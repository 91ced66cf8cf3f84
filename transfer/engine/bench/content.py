"""The bytes of objects that are written only to measure: random, different in each object, and almost free to make."""

from __future__ import annotations

import os
from typing import Final

SPAN_BYTES: Final = 1024 * 1024
"""Objects begin at as many different places of one random buffer; the next ones repeat."""
_STRIDE: Final = 0x9E377
"""Odd, so that it passes all places before the first comes again, and no two neighbours share a block of a disk."""


class Content:
    """Incompressible bodies. Memory is that of the largest body and `SPAN_BYTES`."""

    def __init__(self, largest_bytes: int) -> None:
        """Make the random bytes; blocks for about two seconds per GiB."""
        self._buffer = memoryview(os.urandom(largest_bytes + SPAN_BYTES))

    def body(self, number: int, size_bytes: int) -> memoryview:
        """The bytes of an object; the same number has the same ones as long as this lives."""
        start = number * _STRIDE % SPAN_BYTES
        return self._buffer[start : start + size_bytes]
