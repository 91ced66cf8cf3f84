"""The standard streams as the command line writes to them, however the process was started."""

from __future__ import annotations

import io
import os
import select
from functools import cache
from typing import TextIO


def has_no_reader(stream: TextIO) -> bool:
    """Whether the stream is a pipe whose other end is closed; False where the system cannot tell."""
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    try:
        poll.register(stream, 0)
    except (OSError, ValueError):
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))


def tolerant(stream: TextIO | None) -> TextIO:
    """The stream, or a sink for one that was closed when the process began.

    A character that the terminal's encoding lacks is escaped instead of ending the run.
    """
    if stream is None:
        return _sink()
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream


@cache
def _sink() -> TextIO:
    """A stream into nothing. Its descriptor stays open to the end: it also keeps its number from other files."""
    return open(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8", closefd=False)
