"""The lines of a file or of standard input, as they come, however many. It never decides what a line means."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Final, Self

import anyio

from transfer.model.errors import LocalFileError, UsageError
from transfer.model.values import dataclass

CHUNK_BYTES: Final = 64 * 1024
LONGEST_LINE_BYTES: Final = 1024 * 1024
"""Nothing that is meant as lines has longer ones; a disk image named by mistake has."""
STANDARD_INPUT: Final = "-"


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end; `number` counts from 1."""

    number: int
    text: str


class Lines:
    """An open source of lines. A context manager, to be iterated over once."""

    def __init__(self, path: str) -> None:
        """Open it.

        Args:
            path: A file, or `-` for standard input.

        Raises:
            LocalFileError: It cannot be opened.
        """
        self._name: Final = "standard input" if path == STANDARD_INPUT else path
        self._number = 0
        if path == STANDARD_INPUT:
            if sys.stdin is None:
                raise LocalFileError("standard input is closed", subject="-", remedy="open it, such as with: < FILE")
            self._fd, self._is_ours = sys.stdin.fileno(), False
            return
        try:
            self._fd, self._is_ours = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)), True
        except OSError as error:
            raise LocalFileError.from_os_error(error, path) from error

    async def batches(self) -> AsyncGenerator[list[Line], None]:
        """What has arrived, in lists of complete lines; the end of the last line may be missing.

        A line ends with a line feed, or with a carriage return and a line feed.

        Raises:
            LocalFileError: It cannot be read.
            UsageError: A line is too long to be one.
        """
        rest = b""
        while True:
            # Nobody can wake a thread that waits for a person or a pipe: a run that is over leaves it.
            chunk = await anyio.to_thread.run_sync(self._read, abandon_on_cancel=True)
            *complete, rest = (rest + chunk).split(b"\n")
            if not chunk and rest:
                complete, rest = [*complete, rest], b""
            if len(rest) > LONGEST_LINE_BYTES:
                raise UsageError("it has a line that is too long", subject=self._name, remedy="name a file of lines")
            if complete:
                yield [self._line(data) for data in complete]
            if not chunk:
                return

    def close(self) -> None:
        """Close what was opened."""
        if self._is_ours:
            self._is_ours = False
            with contextlib.suppress(OSError):
                os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> bytes:
        try:
            return os.read(self._fd, CHUNK_BYTES)
        except OSError as error:
            raise LocalFileError.from_os_error(error, self._name) from error

    def _line(self, data: bytes) -> Line:
        self._number += 1
        return Line(self._number, os.fsdecode(data.removesuffix(b"\r")))
