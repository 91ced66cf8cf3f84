"""SIGINT and SIGTERM as interrupts: never lost, and held back where a process is being made.

Owns the handlers of both while the harness runs. Python raises KeyboardInterrupt in whatever the main thread is
doing; where that is a finaliser or a callback of the interpreter, the exception goes nowhere. So an interrupt is
remembered too, and raised again where the next process would be started.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

_NUMBERS: Final = (signal.SIGINT, signal.SIGTERM)
_arrived: Final[list[int]] = []
"""Signals since the start: a process has one table of handlers, and this belongs to it."""


def raise_interrupts() -> None:
    """Make SIGINT and SIGTERM raise KeyboardInterrupt from now on; one that the process was started to ignore stays."""
    for number in _NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


@contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Hold interrupts back while the block runs, since before its process's handle is kept there is no safe moment.

    Raises:
        KeyboardInterrupt: At the end of the block: one arrived meanwhile, or earlier and was lost.
    """
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    for number in _NUMBERS:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, _remember)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if _arrived:
        raise KeyboardInterrupt


def _remember(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # the form of a signal's handler
    _arrived.append(number)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    _remember(number, frame)
    raise KeyboardInterrupt
