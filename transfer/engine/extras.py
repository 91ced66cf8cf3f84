"""What only a destination has, kept on disk until it is known whether it may go. Removes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Final, Self

_IN_MEMORY_BYTES: Final = 1024 * 1024
"""Some ten thousand names; beyond that they go to a temporary file."""


class Extras:
    """Names below the destination. Use as a context manager, which removes the file.

    Attributes:
        count: How many there are.
    """

    def __init__(self) -> None:
        self.count = 0
        self._file: Final = SpooledTemporaryFile(  # noqa: SIM115 - closed by __exit__
            _IN_MEMORY_BYTES, "w+", encoding="ascii", newline="\n"
        )

    def add(self, name: str) -> None:
        """Note one name."""
        # As JSON, since a key may hold line ends and bytes that are no text.
        self._file.write(json.dumps(name))
        self._file.write("\n")
        self.count += 1

    def batches(self, size: int) -> Iterator[list[str]]:
        """All names in the order in which they were noted, so many at a time."""
        self._file.seek(0)
        batch: list[str] = []
        for line in self._file:
            batch.append(json.loads(line))
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
