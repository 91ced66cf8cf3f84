"""Interrupts that wait for a safe moment: between a process being made and its handle being held there is none."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back while the block runs, and let them through at its end.

    Raises:
        KeyboardInterrupt: One arrived meanwhile.
    """
    arrived: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda number, _: arrived.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if any(before[signal.Signals(number)] is not signal.SIG_IGN for number in arrived):
        raise KeyboardInterrupt
