"""Puts listed objects in order that do not fit into memory, by a private temporary database on disk.

SQLite makes that file where the system keeps temporary ones (`SQLITE_TMPDIR`, `TMPDIR`) and unlinks it at once, so it
is gone with the process, whatever ends that.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import closing
from functools import partial
from typing import Final

from transfer.engine.threads import Threads
from transfer.model.errors import LocalFileError
from transfer.model.objects import ListedObject
from transfer.plan.key_order import order_of

BATCH_KEYS: Final = 1000
SORT_MEMORY_KIBIBYTES: Final = 16 * 1024
"""What the sorter keeps in memory before it writes a run to disk, and as much for pages of the database."""

_TEMPORARY_DATABASE: Final = ""
"""SQLite's name for a database that is a temporary file of its own (SQLite: In-Memory Databases, section 3)."""

Row = tuple[bytes, int, str, float, str]


async def sorted_on_disk(
    threads: Threads, batches: AsyncIterator[tuple[ListedObject, ...]]
) -> AsyncGenerator[tuple[ListedObject, ...], None]:
    """Everything that comes in batches, in the order of the UTF-8 bytes of keys, each key once.

    Memory does not grow with their number; the disk holds about 100 bytes and the key twice for each.

    Raises:
        LocalFileError: The temporary file cannot be written.
        TransferError: What the batches raise.
    """
    with closing(_Sorter()) as sorter:
        async for batch in batches:
            await threads.run(partial(sorter.add, batch))
        last_key: str | None = None
        while found := await threads.run(sorter.take):
            kept = [
                entry for before, entry in zip((last_key, *_keys(found)), found, strict=False) if entry.key != before
            ]
            last_key = found[-1].key
            if kept:
                yield tuple(kept)


def _keys(entries: list[ListedObject]) -> list[str]:
    return [entry.key for entry in entries]


class _Sorter:
    """One table, filled in any order and read in that of keys; used by one thread at a time."""

    def __init__(self) -> None:
        self._database: Final = sqlite3.connect(_TEMPORARY_DATABASE, isolation_level=None, check_same_thread=False)
        self._rows: sqlite3.Cursor | None = None
        for statement in (
            f"PRAGMA cache_size = -{SORT_MEMORY_KIBIBYTES}",
            "PRAGMA temp_store = FILE",
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "PRAGMA locking_mode = EXCLUSIVE",
            "CREATE TABLE entries (name BLOB, size INTEGER, etag TEXT, modified REAL, class TEXT)",
            "BEGIN",
        ):
            self._database.execute(statement)

    def add(self, batch: tuple[ListedObject, ...]) -> None:
        """Keep some more."""
        rows: list[Row] = [
            (order_of(entry.key), entry.size, entry.etag, entry.modified_seconds, entry.storage_class)
            for entry in batch
        ]
        try:
            self._database.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise _disk_failed(error) from error

    def take(self) -> list[ListedObject]:
        """The next ones in order; none at the end."""
        try:
            if self._rows is None:
                self._rows = self._database.execute("SELECT * FROM entries ORDER BY name")
            rows: list[Row] = self._rows.fetchmany(BATCH_KEYS)
        except sqlite3.Error as error:
            raise _disk_failed(error) from error
        return [
            ListedObject(name.decode("utf-8", "surrogateescape"), size, etag, modified, storage_class)
            for name, size, etag, modified, storage_class in rows
        ]

    def close(self) -> None:
        """Give back the disk."""
        self._database.close()


def _disk_failed(error: sqlite3.Error) -> LocalFileError:
    return LocalFileError(
        f"a listing cannot be sorted on disk: {error}",
        remedy="free space in the temporary folder, or name another one: TMPDIR",
    )
