"""SIGINT and SIGTERM as interrupts: never lost, and held back where a process is being made.

Owns the handlers of both while the harness runs. Python raises KeyboardInterrupt in whatever the main thread is
doing; where that is a finaliser or a callback of the interpreter, the exception goes nowhere. So an interrupt is
remembered too, and raised again where the next process would be started and when all is done.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_arrived: list[int] = []
_held = 0
"""Blocks that hold interrupts back now. A process has one table of handlers, and this belongs to it."""


def raise_interrupts() -> None:
    """Make SIGINT and SIGTERM raise KeyboardInterrupt from now on; one that the process was started to ignore stays."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def raise_lost() -> None:
    """Raise what has arrived until now, if it was lost.

    Raises:
        KeyboardInterrupt: One has arrived.
    """
    if _arrived:
        raise KeyboardInterrupt


@contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Hold interrupts back while the block runs, since before its process's handle is kept there is no safe moment.

    Only those that `raise_interrupts` has taken over.

    Raises:
        KeyboardInterrupt: At the end of the block: one arrived meanwhile, or earlier and was lost.
    """
    global _held  # noqa: PLW0603 - what the process's handler looks at
    _held += 1
    try:
        yield
    finally:
        _held -= 1
    raise_lost()


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # the form of a signal's handler
    _arrived.append(number)
    if not _held:
        raise KeyboardInterrupt
