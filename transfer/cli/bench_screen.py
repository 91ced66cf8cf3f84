"""The line on the terminal that says how a measurement goes; gone without a trace when closed."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from transfer.cli.bench_lines import tick_line
from transfer.cli.escape import printable
from transfer.cli.output import Output
from transfer.model.bench import BenchTick

REDRAW_SECONDS: Final = 0.1
_BACK_AND_ERASE: Final = "\r\x1b[2K"


@contextmanager
def bench_screen(output: Output) -> Iterator[Screen | None]:
    """A line for the block, when a person watches; else None."""
    if not output.wants_bar:
        yield None
        return
    screen = Screen()
    output.attach_bar(screen)
    try:
        yield screen
    finally:
        output.attach_bar(None)
        screen.erase()


class Screen:
    """One line on standard error."""

    def __init__(self) -> None:
        self._line = ""
        self._drawn_seconds = 0.0

    def show(self, tick: BenchTick) -> None:
        """Draw how it goes, unless that was done a moment ago."""
        now_seconds = time.monotonic()
        if now_seconds - self._drawn_seconds >= REDRAW_SECONDS:
            self._drawn_seconds = now_seconds
            # A line that is wider than the terminal would wrap, and could not be taken back.
            self._line = printable(tick_line(tick))[: shutil.get_terminal_size().columns - 1]
            self._write(self._line)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the line off the screen while another is written in its place."""
        self._write("")
        yield
        self._write(self._line)

    def erase(self) -> None:
        """Take the line away for good."""
        self._line = ""
        self._write("")

    def _write(self, line: str) -> None:
        sys.stderr.write(_BACK_AND_ERASE + line)
        sys.stderr.flush()
