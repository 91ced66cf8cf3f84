"""Counts what clients did, over all worker processes: each writes a slot of its own in memory that all share."""

from __future__ import annotations

import json
import mmap
import threading
from enum import IntEnum


class Count(IntEnum):
    """The places of a slot."""

    PUT = 0
    GET = 1
    OTHER = 2
    SLOWED = 3
    BYTES_IN = 4
    BYTES_OUT = 5
    CONNECTIONS = 6
    IN_FLIGHT = 7


class Counters:
    """Made before the workers are forked; a body counts once it has arrived or left completely."""

    def __init__(self, workers: int) -> None:
        self._slots = memoryview(mmap.mmap(-1, workers * len(Count) * 8)).cast("q")
        self._base = 0
        self._lock = threading.Lock()

    def take_slot(self, worker: int) -> None:
        """Count into the slot of `worker` from now on; each worker calls it once, after the fork."""
        self._base = worker * len(Count)

    def add(self, count: Count, amount: int = 1) -> None:
        """Raise one counter; safe from any thread."""
        with self._lock:
            self._slots[self._base + count] += amount

    def total(self, count: Count) -> int:
        """Return one counter over all workers."""
        return sum(self._slots[count :: len(Count)])

    def as_json(self) -> bytes:
        """Return all counters as one JSON object."""
        return json.dumps({count.name.lower(): self.total(count) for count in Count}).encode()
