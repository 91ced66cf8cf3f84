"""Checksums of files. Blocks on the disk, so only worker threads may call it; never writes.

Files are read, not mapped: a page fault on a cold mapped file would hold the interpreter lock for a disk
access.
"""

from __future__ import annotations

import threading

from transfer.integrity.digests import FEED_BYTES, new_digest
from transfer.model.checksums import ChecksumAlgorithm
from transfer.model.errors import SourceChangedError
from transfer.system.positional import read_at

_local = threading.local()


def digest_file_range(
    fd: int, offset: int, length: int, algorithm: ChecksumAlgorithm, buffer: memoryview | None = None
) -> bytes:
    """Compute the checksum of a range of a file.

    Args:
        fd: Open for reading.
        offset: Where the range starts, in bytes.
        length: How long it is, in bytes.
        algorithm: Any but NONE.
        buffer: Writable memory to read into, at least one byte; None takes the thread's own of `FEED_BYTES`.

    Returns:
        The raw value.

    Raises:
        SourceChangedError: The file ends before the range does; it has no subject, since a descriptor has no
            name.
        OSError: The disk refused.
        ValueError: The algorithm is NONE.
    """
    digest = new_digest(algorithm)
    target = _thread_buffer() if buffer is None else buffer
    end = offset + length
    while offset < end:
        count = read_at(fd, target[: end - offset], offset)
        if count == 0:
            raise SourceChangedError("the file became shorter while it was read")
        digest.update(target[:count])
        offset += count
    return digest.value()


def _thread_buffer() -> memoryview:
    buffer: memoryview | None = getattr(_local, "buffer", None)
    if buffer is None:
        buffer = _local.buffer = memoryview(bytearray(FEED_BYTES))
    return buffer
