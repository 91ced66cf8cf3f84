"""Which names a run has used: exact, however many, in bounded memory. What a repetition means is decided elsewhere."""

from __future__ import annotations

import sqlite3
import sys
import unicodedata
from typing import Final

NAMES_IN_MEMORY: Final = 200_000
"""Beyond so many, some 30 MB, names go to a temporary file of SQLite's, which nobody else sees."""
_CACHE_KIB: Final = 16 * 1024
_FOLDS_CASE: Final = sys.platform in ("darwin", "win32")


class SeenNames:
    """A set of names that only grows. One caller at a time, from any thread."""

    def __init__(self, in_memory: int = NAMES_IN_MEMORY) -> None:
        """Begin with none.

        Args:
            in_memory: How many may be held in memory.
        """
        self._few: set[bytes] = set()
        self._many: sqlite3.Connection | None = None
        self._in_memory = in_memory

    def add(self, name: str) -> bool:
        """Take a name; whether it is a new one."""
        data = name.encode("utf-8", "surrogateescape")
        if self._many is not None:
            return self._many.execute("INSERT OR IGNORE INTO seen VALUES (?)", (data,)).rowcount == 1
        if data in self._few:
            return False
        self._few.add(data)
        if len(self._few) > self._in_memory:
            self._go_to_disk()
        return True

    def holds(self, name: str) -> bool:
        """Whether a name was taken."""
        data = name.encode("utf-8", "surrogateescape")
        if self._many is None:
            return data in self._few
        return self._many.execute("SELECT 1 FROM seen WHERE name = ?", (data,)).fetchone() is not None

    def close(self) -> None:
        """Let go of what was kept."""
        self._few.clear()
        if self._many is not None:
            self._many.close()
            self._many = None

    def _go_to_disk(self) -> None:
        many = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        many.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        many.execute("CREATE TABLE seen (name BLOB PRIMARY KEY) WITHOUT ROWID")
        # Never committed: it is nobody's to find again, and a transaction of its own for each name costs.
        many.execute("BEGIN")
        many.executemany("INSERT INTO seen VALUES (?)", ((name,) for name in self._few))
        self._few.clear()
        self._many = many


def name_on_disk(path: str) -> str:
    """One name for all spellings that the disks of this system usually take for one file."""
    return unicodedata.normalize("NFC", path).casefold() if _FOLDS_CASE else path
