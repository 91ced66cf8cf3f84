"""SIGINT, SIGTERM and SIGHUP as interrupts: never lost, and held back where a process is being made.

Owns their handlers while the harness runs. Python raises KeyboardInterrupt in whatever the main thread is
doing; where that is a finaliser or a callback of the interpreter, the exception goes nowhere. So an interrupt is
remembered too, and raised again where the next process would be started and when all is measured.
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
    """Make them raise KeyboardInterrupt from now on; one that the process was started to ignore stays so.

    A terminal that is closed sends SIGHUP, and servers are in groups of their own: nobody else would end them.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
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
