"""Reading and writing at an offset without moving the file position, on every platform.

POSIX has the calls; Windows has not, so there a lock makes seek-and-transfer one step. All functions block.
"""

from __future__ import annotations

import os
import sys
import threading

if sys.platform != "win32":

    def read_at(fd: int, view: memoryview, offset: int) -> int:
        """Fill `view` from `offset`; answers the bytes read, fewer at the end of the file. Raises OSError."""
        return os.preadv(fd, [view], offset)

    def write_at(fd: int, view: memoryview, offset: int) -> None:
        """Write all of `view` at `offset`. Raises OSError; what was written before an error stays written."""
        while view:
            written = os.pwrite(fd, view, offset)
            offset += written
            view = view[written:]

else:
    _position = threading.Lock()

    def read_at(fd: int, view: memoryview, offset: int) -> int:
        """Fill `view` from `offset`; answers the bytes read, fewer at the end of the file. Raises OSError."""
        with _position:
            os.lseek(fd, offset, os.SEEK_SET)
            data = os.read(fd, len(view))
        view[: len(data)] = data
        return len(data)

    def write_at(fd: int, view: memoryview, offset: int) -> None:
        """Write all of `view` at `offset`. Raises OSError; what was written before an error stays written."""
        while view:
            with _position:
                os.lseek(fd, offset, os.SEEK_SET)
                written = os.write(fd, view)
            offset += written
            view = view[written:]
