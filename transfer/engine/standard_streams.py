"""The process's standard streams as bytes. A stream may be missing: programs are started with closed ones too."""

from __future__ import annotations

import sys
from typing import BinaryIO, TextIO

from transfer.model.errors import LocalFileError


def standard_input() -> BinaryIO:
    """Standard input.

    Raises:
        LocalFileError: It was closed when the process began.
    """
    return _bytes_of(sys.stdin, "standard input", "open it, such as with a pipe or: < FILE")


def standard_output() -> BinaryIO:
    """Standard output.

    Raises:
        LocalFileError: It was closed when the process began.
    """
    return _bytes_of(sys.stdout, "standard output", "open it, such as with a pipe or: > FILE")


def _bytes_of(stream: TextIO | None, name: str, remedy: str) -> BinaryIO:
    """The interpreter puts None in the place of a stream whose descriptor is closed."""
    if stream is None:
        raise LocalFileError(f"{name} is closed", subject="-", remedy=remedy)
    return stream.buffer
