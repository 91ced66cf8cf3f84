"""The notes of finished items: many small rows, so they are read and written a hundred at a time.

One statement for many rows, not `executemany`, which gives up Python's lock for each row and waits for it again: beside
a busy event loop 200,000 notes were on disk up to a third sooner, at the same cost for the loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from transfer.journal.records import Note
from transfer.journal.rows import Value, read_finished, seal_finished

if TYPE_CHECKING:
    import sqlite3

T = TypeVar("T")

DELETED_ROWS: Final = 20_000
"""Notes deleted in one transaction: some ten milliseconds, for which other processes wait."""

_ROWS_PER_STATEMENT: Final = 128
"""640 variables: below the 999 that every SQLite allows."""


def find_notes(connection: sqlite3.Connection, job_id: int, names: Sequence[bytes]) -> list[tuple[str, str, int]]:
    """Name, fingerprint and size in bytes of those of the names that are there and whole.

    Raises:
        sqlite3.Error: The database refuses.
    """
    found = []
    for some in _chunks(names):
        marks = ", ".join("?" * len(some))
        rows = connection.execute(
            f"SELECT job_id, name, fingerprint, size, crc FROM finished WHERE job_id = ? AND name IN ({marks})",  # noqa: S608 - question marks
            (job_id, *some),
        ).fetchall()
        asked = set(some)
        whole = (read_finished(row) for row in rows if row[0] == job_id and row[1] in asked)
        found += [note for note in whole if note is not None]
    return found


def write_notes(connection: sqlite3.Connection, job_id: int, notes: Mapping[bytes, Note]) -> tuple[int, int]:
    """Write notes by their encoded names; answers how many items and bytes the job has more than before.

    Raises:
        sqlite3.Error: The database refuses.
    """
    names = list(notes)
    earlier = find_notes(connection, job_id, names)
    for some in _chunks(names):
        values: list[Value] = []
        for name in some:
            values += seal_finished(job_id, name, notes[name].fingerprint, notes[name].size)
        marks = ", ".join(["(?, ?, ?, ?, ?)"] * len(some))
        connection.execute(f"INSERT OR REPLACE INTO finished VALUES {marks}", values)  # noqa: S608 - question marks
    size = sum(note.size for note in notes.values()) - sum(size for _, _, size in earlier)
    return len(names) - len(earlier), size


def find_orphans(connection: sqlite3.Connection) -> list[tuple[object]]:
    """The id of one job that is gone and has notes, if there is any; one look into the index for each job.

    Raises:
        sqlite3.Error: The database refuses.
    """
    # UNION ends where a damaged index would lead in a circle.
    return connection.execute(
        "WITH RECURSIVE ids(id) AS (SELECT min(job_id) FROM finished UNION"
        " SELECT (SELECT min(job_id) FROM finished WHERE job_id > ids.id) FROM ids WHERE ids.id IS NOT NULL)"
        " SELECT id FROM ids WHERE id IS NOT NULL AND id NOT IN (SELECT id FROM jobs) LIMIT 1"
    ).fetchall()


def delete_some_orphans(connection: sqlite3.Connection) -> bool:
    """Delete notes of one job that is gone, at most `DELETED_ROWS`; whether there may be more.

    Raises:
        sqlite3.Error: The database refuses.
    """
    orphans = find_orphans(connection)
    if not orphans:
        return False
    [[job_id]] = orphans
    deleted = connection.execute(
        "DELETE FROM finished WHERE job_id = ? AND name IN (SELECT name FROM finished WHERE job_id = ? LIMIT ?)",
        (job_id, job_id, DELETED_ROWS),
    )
    # A damaged index may show what it does not let go.
    return deleted.rowcount > 0


def _chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut into powers of two, so that few different statements are prepared and stay so."""
    start, count = 0, _ROWS_PER_STATEMENT
    while start < len(values):
        while count > len(values) - start:
            count //= 2
        yield values[start : start + count]
        start += count
