"""What the processor does for this process: how busy it has been, how many cores it may use. Only reads."""

from __future__ import annotations

import os
import time
from typing import Final

_SCHEDULER_STATISTICS: Final = "/proc/self/schedstat"
"""Linux: nanoseconds on a processor, nanoseconds ready and waiting for one, and turns, of the main thread."""
_UPTIME: Final = "/proc/uptime"
"""Linux: seconds since the start, and seconds that processors were idle (proc(5))."""
_QUOTA: Final = "/sys/fs/cgroup/cpu.max"


def busy_seconds() -> float:
    """The time in which the process computed or, where the system tells, was ready to and had to wait for a processor.

    Returns:
        Seconds since some moment; the difference of two readings counts.
    """
    return time.process_time() + _delayed_seconds()


def _delayed_seconds() -> float:
    try:
        with open(_SCHEDULER_STATISTICS, "rb") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def idle_seconds() -> float | None:
    """The time in which processors of this machine had nothing to do, all together, in hundredths of a second.

    Returns:
        Seconds since some moment; the difference of two readings counts. None where the system does not tell.
    """
    try:
        with open(_UPTIME, "rb") as file:
            return float(file.read().split()[1])
    except (OSError, ValueError, IndexError):
        return None


def thread_seconds(pid: int) -> float:
    """The time for which the main thread of a process has computed; 0 when there is no such process any more."""
    try:
        with open(f"/proc/{pid}/schedstat", "rb") as file:
            return int(file.read().split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def usable_cores() -> int:
    """How many processors this process may use: those of its affinity, and of its control group's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota_cores()
    return cores if quota is None else max(1, min(cores, round(quota)))


def _quota_cores() -> float | None:
    """What cgroup v2 allows the group of this process (Linux, Documentation/admin-guide/cgroup-v2, cpu.max)."""
    try:
        with open(_QUOTA, encoding="ascii") as file:
            allowed, period = file.read().split()
        return None if allowed == "max" else int(allowed) / int(period)
    except (OSError, ValueError):
        return None
