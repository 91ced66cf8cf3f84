"""Reading and writing at an offset without moving the file position, on every platform.

POSIX has the calls; Windows has not, so there a lock makes seek-and-transfer one step. All functions block.
"""

from __future__ import annotations

import os
import threading

_position = threading.Lock()


def read_by_position(fd: int, view: memoryview, offset: int) -> int:
    """See `read_at`: with preadv(2)."""
    return os.preadv(fd, [view], offset)


def read_by_seeking(fd: int, view: memoryview, offset: int) -> int:
    """See `read_at`: the position belongs to the descriptor, which several threads may read at a time."""
    with _position:
        os.lseek(fd, offset, os.SEEK_SET)
        data = os.read(fd, len(view))
    view[: len(data)] = data
    return len(data)


def write_by_position(fd: int, view: memoryview, offset: int) -> None:
    """See `write_at`: with pwrite(2)."""
    while view:
        written = os.pwrite(fd, view, offset)
        offset += written
        view = view[written:]


def write_by_seeking(fd: int, view: memoryview, offset: int) -> None:
    """See `write_at`: one step at a time under the lock."""
    while view:
        with _position:
            os.lseek(fd, offset, os.SEEK_SET)
            written = os.write(fd, view)
        offset += written
        view = view[written:]


read_at = read_by_position if hasattr(os, "preadv") else read_by_seeking
"""Fill a view from an offset; answers the bytes read, fewer at the end of the file. Raises OSError."""

write_at = write_by_position if hasattr(os, "pwrite") else write_by_seeking
"""Write all of a view at an offset. Raises OSError; what was written before an error stays written."""
