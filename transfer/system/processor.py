"""What processors do: how busy for a process, how idle the machine, how many may be used. Only reads."""

from __future__ import annotations

import os
import time
from typing import Final

_SCHEDULER_STATISTICS: Final = "/proc/self/schedstat"
"""Linux: nanoseconds on a processor, nanoseconds ready and waiting for one, and turns, of the main thread."""
_STATISTICS: Final = "/proc/stat"
"""Linux: what all processors have done with their time (proc(5))."""
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
    """The time in which processors of this machine had nothing to do or waited for a disk, all together.

    Returns:
        Seconds since some moment, counted in hundredths; the difference of two readings counts. None where the system
        does not tell.
    """
    try:
        with open(_STATISTICS, "rb") as file:
            idle, waiting_for_disk = file.readline().split()[4:6]
            return (int(idle) + int(waiting_for_disk)) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return None


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
