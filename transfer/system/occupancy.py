"""How much of its time a thread had work: it ran, or could have run had a processor been free. It decides nothing."""

from __future__ import annotations

import contextlib
import os
import sys
import time


class Occupancy:
    """Of the thread that makes it.

    Linux tells both times of a thread (kernel documentation, scheduler statistics: /proc/<pid>/schedstat). Elsewhere
    the time on a processor alone is known, which is less while others compete for it.
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
                ran, waited, _ = os.pread(self._fd, 128, 0).split()
                return (int(ran) + int(waited)) / 1e9
        return time.thread_time()

    def close(self) -> None:
        """Let go of it; closing again does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
