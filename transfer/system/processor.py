"""How busy the process has been. Only reads; knows nothing of what it was busy with."""

from __future__ import annotations

import time
from typing import Final

_SCHEDULER_STATISTICS: Final = "/proc/self/schedstat"
"""Linux: nanoseconds on a processor, nanoseconds ready and waiting for one, and turns, of the main thread."""


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
