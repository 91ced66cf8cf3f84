"""Trying claims on a file: each byte is read once, however many checksums are computed of it.

Blocks on the disk, so only worker threads may call it; never writes.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import accumulate

from transfer.integrity.claims import Claim
from transfer.integrity.digests import FEED_BYTES, Digest, new_digest
from transfer.model.checksums import Checksum
from transfer.model.errors import SourceChangedError
from transfer.system.positional import read_at

_local = threading.local()


def try_claims(fd: int, size: int, claims: Sequence[Claim]) -> tuple[Checksum, ...]:
    """Compute what claims speak of, all in one reading of a file from its start to its end.

    Args:
        fd: Open for reading.
        size: Of the file, in bytes; that of each claim as well.
        claims: What to compute.

    Returns:
        One checksum for each claim, in its form.

    Raises:
        SourceChangedError: The file is shorter.
        OSError: The disk refused.
    """
    running = [_Parts(claim) for claim in claims]
    buffer = _buffer()
    offset = 0
    while offset < size:
        count = _fill(fd, buffer[: size - offset], offset)
        for one in running:
            one.update(buffer[:count])
        offset += count
    return tuple(one.checksum() for one in running)


class _Parts:
    """The checksums of a claim's parts while the bytes pass."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._values: list[tuple[bytes, int]] = []
        self._ends = accumulate(claim.part_lengths)
        self._offset = 0
        self._begin()

    def update(self, data: memoryview) -> None:
        """Take the next bytes, which may end several parts."""
        while len(data) > self._end - self._offset:
            left = self._end - self._offset
            self._digest.update(data[:left])
            data = data[left:]
            self._close()
        self._digest.update(data)
        self._offset += len(data)

    def checksum(self) -> Checksum:
        """The checksum of all bytes."""
        self._values.append((self._digest.value(), self._offset - self._start))
        return self._claim.value_of(self._values)

    def _close(self) -> None:
        self._values.append((self._digest.value(), self._end - self._start))
        self._offset = self._end
        self._begin()

    def _begin(self) -> None:
        self._start = self._offset
        self._digest: Digest = new_digest(self._claim.expected.algorithm)
        self._end = next(self._ends, self._offset)


def _fill(fd: int, view: memoryview, offset: int) -> int:
    count = read_at(fd, view, offset)
    if count == 0:
        raise SourceChangedError("the file became shorter while it was read")
    return count


def _buffer() -> memoryview:
    buffer: memoryview | None = getattr(_local, "buffer", None)
    if buffer is None:
        buffer = _local.buffer = memoryview(bytearray(FEED_BYTES))
    return buffer
