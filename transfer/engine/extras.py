"""What only a destination has, kept on disk until it is known whether it may go. Removes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile, gettempdir
from types import TracebackType
from typing import Final, NamedTuple, Self

from transfer.model.errors import LocalFileError

_IN_MEMORY_BYTES: Final = 1024 * 1024
"""Some ten thousand names; beyond that they go to a temporary file."""


class Extra(NamedTuple):
    """Something that only the destination has, as it was seen.

    Attributes:
        name: Below the destination, with `/` between components.
        size: In bytes.
        version: The ETag of an object; the modification time of a file, in nanoseconds since the epoch.
    """

    name: str
    size: int
    version: str


class Extras:
    """Extras below the destination. Use as a context manager, which removes the file.

    Attributes:
        count: How many there are.
    """

    def __init__(self) -> None:
        self.count = 0
        self._file: Final = SpooledTemporaryFile(  # noqa: SIM115 - closed by __exit__
            _IN_MEMORY_BYTES, "w+", encoding="ascii", newline="\n"
        )

    def add(self, extra: Extra) -> None:
        """Note one.

        Raises:
            LocalFileError: The temporary folder is full.
        """
        try:
            # As JSON, since a key may hold line ends and bytes that are no text.
            self._file.write(json.dumps(extra))
            self._file.write("\n")
        except OSError as error:
            raise _no_room(error) from error
        self.count += 1

    def batches(self, size: int) -> Iterator[list[Extra]]:
        """All of them in the order in which they were noted, so many at a time.

        Raises:
            LocalFileError: The temporary folder is full.
        """
        try:
            self._file.seek(0)
        except OSError as error:
            raise _no_room(error) from error
        batch: list[Extra] = []
        for line in self._file:
            batch.append(Extra(*json.loads(line)))
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch

    def clear(self) -> None:
        """Forget all names."""
        self._file.seek(0)
        self._file.truncate()
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()


def _no_room(error: OSError) -> LocalFileError:
    found = LocalFileError.from_os_error(error, gettempdir())
    found.remedy = "free space there, or name another folder with TMPDIR"
    return found
