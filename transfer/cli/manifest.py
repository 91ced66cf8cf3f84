"""The manifest: one receipt per line of JSON, appended and flushed as items settle, for audits and other tools."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from transfer.cli.records import json_line, receipt_record
from transfer.model.errors import LocalFileError, UsageError
from transfer.model.receipts import Receipt


class Manifest:
    """An open manifest file; a context manager."""

    def __init__(self, path: Path) -> None:
        """Open or make the file, at its end.

        Raises:
            UsageError: The file cannot be opened for writing.
        """
        self._path = path
        try:
            self._file = path.open("ab+")
            self._end_torn_line()
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise UsageError(
                f"{path}: {reason}", subject="--manifest", remedy="name a file in a folder you may write to"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What could not be written has been told by `add`; closing would only tell it again.
        with contextlib.suppress(OSError):
            self._file.close()

    def add_all(self, receipts: Iterable[Receipt]) -> None:
        """Append a line for each and hand them to the system.

        Raises:
            LocalFileError: The system refused, as a full disk does.
        """
        try:
            self._file.writelines(json_line(receipt_record(receipt)).encode("ascii") for receipt in receipts)
            self._file.flush()
        except OSError as error:
            raise LocalFileError.from_os_error(error, str(self._path)) from error

    def _end_torn_line(self) -> None:
        """A run that was killed may have left half a line: keep ours apart from it."""
        if not self._file.seekable() or not self._file.tell():
            return
        self._file.seek(-1, os.SEEK_END)
        if self._file.read(1) != b"\n":
            self._file.write(b"\n")
