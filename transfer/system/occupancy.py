"""How much of its time a thread had work: it ran, or could have run had a processor been free. It decides nothing.

Linux tells both times of a thread (kernel documentation, scheduler statistics: /proc/<pid>/schedstat).
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Final

_LINE_BYTES: Final = 128


class Occupancy:
    """Of the thread that makes it.

    Where the system does not tell how long it waited, the time on a processor alone is known, which is less while
    others compete for it.
    """

    def __init__(self) -> None:
        self._fd = -1
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                self._fd = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)

    def seconds(self) -> float:
        """How long it has had work by now, in seconds from some moment on."""
        if self._fd >= 0:
            with contextlib.suppress(OSError, ValueError):
                return _seconds(os.pread(self._fd, _LINE_BYTES, 0))
        return time.thread_time()

    def close(self) -> None:
        """Let go of it; closing again does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def occupied_seconds(thread_id: int) -> float | None:
    """How long a thread of any process has had work by now, in seconds from some moment on.

    Args:
        thread_id: The system's; that of a process is that of its main thread.

    Returns:
        None where the system does not tell, and when there is no such thread any more. A system that does not count
        may tell of zeros.
    """
    try:
        return _seconds(Path("/proc", str(thread_id), "schedstat").read_bytes()) or None
    except (OSError, ValueError):
        return None


def _seconds(line: bytes) -> float:
    """Raises ValueError when it is none of theirs."""
    ran, waited, _ = line.split()
    return (int(ran) + int(waited)) / 1e9
