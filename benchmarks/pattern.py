"""The bytes that all files and objects consist of, and whether a file or an answer has them.

Owns the choice of samples. An object of size n is the first n bytes of one block of noise that repeats.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PERIOD_BYTES = 16_777_259
"""A prime just above 16 MiB: parts that changed places differ, whatever the size of parts."""
WHOLE_LIMIT_BYTES = 32 << 20
SAMPLES = 64
SAMPLE_BYTES = 128 << 10


@dataclass(frozen=True, slots=True)
class Pattern:
    """A block of noise, repeated for ever."""

    block: bytes

    @classmethod
    def make(cls) -> Pattern:
        """Make new noise: nothing can compress it."""
        return cls(random.Random(PERIOD_BYTES).randbytes(PERIOD_BYTES))

    def read(self, start: int, count_bytes: int) -> bytes:
        """Return `count_bytes` from `start`."""
        pieces = []
        while count_bytes:
            offset = start % len(self.block)
            piece = self.block[offset : offset + count_bytes]
            pieces.append(piece)
            start += len(piece)
            count_bytes -= len(piece)
        return b"".join(pieces)

    def write(self, path: Path, size_bytes: int) -> None:
        """Write the first `size_bytes` to a new file, without holes, which would cost nothing to read."""
        with path.open("wb") as file:
            for start in range(0, size_bytes, len(self.block)):
                file.write(memoryview(self.block)[: size_bytes - start])

    def file_differs_at(self, path: Path, size_bytes: int) -> int | None:
        """Return the start of the first compared place where the file is another one; None where none was found."""
        with path.open("rb") as file:

            def read(start: int, count_bytes: int) -> bytes:
                file.seek(start)
                return file.read(count_bytes)

            return self.differs_at(read, size_bytes)

    def differs_at(self, read: Callable[[int, int], bytes], size_bytes: int) -> int | None:
        """Compare what `read(start, count_bytes)` returns: all up to 32 MiB, beyond that 64 places of 128 KiB.

        Returns:
            The start of the first compared place that differs, or None.
        """
        for start, count_bytes in places(size_bytes):
            if read(start, count_bytes) != self.read(start, count_bytes):
                return start
        return None


def places(size_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield start and length of what is compared of an object: its first and last bytes, and others each time."""
    if size_bytes <= WHOLE_LIMIT_BYTES:
        if size_bytes:
            yield 0, size_bytes
        return
    last = size_bytes - SAMPLE_BYTES
    between = sorted(random.randrange(last) for _ in range(SAMPLES - 2))
    for start in [0, *between, last]:
        yield start, SAMPLE_BYTES
