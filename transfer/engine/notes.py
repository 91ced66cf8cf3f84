"""Small records put aside in order, to be read again later: in memory while they are few, in a temporary file then.

The file has no name and is gone with the process.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from typing import Final

IN_MEMORY_BYTES: Final = 4 * 1024 * 1024

Note = tuple[str | int | None, ...]


class Notes:
    """Records that are added first and read afterwards, as often as one likes."""

    def __init__(self) -> None:
        """Begin with none; call `close` in the end."""
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 - closed by `close`

    def add(self, *fields: str | int | None) -> None:
        """Put one aside. Text may hold any characters, also lone surrogates.

        Raises:
            OSError: The disk for temporary files refused.
        """
        self._file.write(json.dumps(fields).encode("ascii") + b"\n")

    def __iter__(self) -> Iterator[Note]:
        """All of them in the order in which they came; none may be added meanwhile."""
        self._file.seek(0)
        for line in self._file:
            yield tuple(json.loads(line))

    def clear(self) -> None:
        """Forget all."""
        self._file.seek(0)
        self._file.truncate()

    def close(self) -> None:
        """Forget all and free the file."""
        self._file.close()
