"""Reads a manifest back: what earlier runs noted of the places they put things. Blocks on the disk; writes nothing.

Of several receipts for one place the last one counts. They are sorted in a temporary file, so that a manifest may be of
any length.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from transfer.model.audits import Recorded
from transfer.model.checksums import Checksum, ChecksumAlgorithm, ChecksumType
from transfer.model.errors import LocalFileError, UsageError
from transfer.model.locations import LocalLocation, Location, S3Location, StreamLocation, parse_location
from transfer.model.receipts import Skip
from transfer.plan.naming import folder_prefix
from transfer.system.paths import absolute_path

_OPTION: Final = "--manifest"

Place = S3Location | LocalLocation


class RecordedManifest:
    """The receipts of a manifest.

    Attributes:
        skipped: Lines that are no receipts, such as the half line of a run that was killed; known once all were read.
    """

    def __init__(self, path: Path, below: Location | None) -> None:
        """Read nothing yet.

        Args:
            path: The file: receipts as `--manifest` or `--json` write them, a line each.
            below: Only the ends of receipts that are there; None means the destinations.

        Raises:
            UsageError: `below` is a stream.
        """
        if isinstance(below, StreamLocation):
            raise UsageError("a stream cannot be verified", subject="-", remedy="name a folder or a prefix")
        self._path = path
        self._below = below
        self.skipped: list[Skip] = []

    def __iter__(self) -> Iterator[Recorded]:
        """What is to be checked, a place at a time, in the order of their names.

        Raises:
            UsageError: The file has no receipt, or none for anything below.
            LocalFileError: The file cannot be read.
        """
        with closing(sqlite3.connect("", isolation_level=None, check_same_thread=False)) as sorter:
            sorter.execute("CREATE TABLE receipts (place BLOB PRIMARY KEY, line BLOB) WITHOUT ROWID")
            sorter.execute("BEGIN")
            try:
                self._fill(sorter)
            except OSError as error:
                raise LocalFileError.from_os_error(error, str(self._path)) from error
            has_any = False
            for (line,) in sorter.execute("SELECT line FROM receipts ORDER BY place"):
                recorded = _choose(json.loads(line), self._below)
                if recorded is not None:
                    has_any = True
                    yield recorded
            if not has_any:
                raise self._nothing()

    def _fill(self, sorter: sqlite3.Connection) -> None:
        with self._path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    recorded = _choose(json.loads(line), self._below)
                except (ValueError, TypeError, KeyError, AttributeError, UsageError):
                    self.skipped.append(Skip(f"{self._path}:{number}", "the line is no receipt"))
                    continue
                if recorded is not None:
                    place = str(recorded.place).encode("utf-8", "surrogatepass")
                    sorter.execute("INSERT OR REPLACE INTO receipts VALUES (?, ?)", (place, line))

    def _nothing(self) -> UsageError:
        if self._below is None:
            return UsageError("it holds no receipt", subject=str(self._path), remedy=f"write one with: cp {_OPTION}")
        return UsageError(
            f"it names nothing below {self._below}",
            subject=str(self._path),
            remedy="name a place that sources or destinations of its receipts are in",
        )


def _choose(record: dict[str, Any], below: Place | None) -> Recorded | None:
    """The end of a receipt that is to be checked; None when it has none there, or is another kind of line."""
    if record.get("type", "receipt") != "receipt":
        return None
    source, destination = (parse_location(str(record[end])) for end in ("source", "destination"))
    checksum = record["checksum"]
    found = None if checksum is None else _checksum(checksum)
    etag = str(record["etag"])
    if not isinstance(destination, StreamLocation) and _is_below(destination, below):
        return Recorded(str(source), destination, int(record["size"]), etag, found)
    if below is None or isinstance(source, StreamLocation) or not _is_below(source, below):
        return None
    # Between two objects the ETag is that of the new one.
    of_source = "" if isinstance(destination, S3Location) else etag
    return Recorded(str(destination), source, int(record["size"]), of_source, found)


def _checksum(record: dict[str, str]) -> Checksum:
    return Checksum(ChecksumAlgorithm(record["algorithm"]), record["value"], ChecksumType(record["type"]))


def _is_below(place: Place, below: Place | None) -> bool:
    if below is None:
        return True
    if isinstance(place, S3Location) and isinstance(below, S3Location):
        in_folder = place.key.startswith(folder_prefix(below.key))
        return place.bucket == below.bucket and (in_folder or place.key == below.key)
    if isinstance(place, LocalLocation) and isinstance(below, LocalLocation):
        path, base = absolute_path(place.path), absolute_path(below.path)
        return path == base or path.startswith(base.rstrip(os.sep) + os.sep)
    return False
