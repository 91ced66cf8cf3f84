"""What a journal holds, read by SQLite alone: never through the command that wrote it.

Owns the little it knows of the tables. It changes nothing in a state folder.
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

JOURNAL_NAME = "journal.sqlite3"
# Who lives; it belongs to no job.
LASTING_TABLES = frozenset({"runs"})


def journal_rows(state: Path) -> Mapping[str, int]:
    """How many rows each table that belongs to jobs holds, if any. Without a journal there are none.

    Args:
        state: The state folder; a process may be writing to it.
    """
    journal = state / JOURNAL_NAME
    if not journal.exists():
        return {}
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as database:
        tables = [
            name
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if name not in LASTING_TABLES and not name.startswith("sqlite_")
        ]
        counts = {name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}
    return {name: count for name, count in counts.items() if count}


def rows_now(state: Path, table: str) -> int:
    """How many rows a table holds while a process may be about to make it: none then."""
    try:
        return journal_rows(state).get(table, 0)
    except sqlite3.OperationalError:
        return 0


def finished_names(state: Path) -> frozenset[str]:
    """What a dead process has recorded as finished: locations of objects and paths of files.

    Read from a copy: the next process must find the files as the dead one has left them.
    """
    with _copy(state) as journal:
        if journal is None:
            return frozenset()
        with closing(sqlite3.connect(journal)) as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'finished'").fetchone():
                return frozenset()
            return frozenset(bytes(name).decode() for (name,) in database.execute("SELECT name FROM finished"))


def knows_a_job(state: Path) -> bool:
    """Whether a dead process has left a job; read from a copy, as `finished_names` is."""
    with _copy(state) as journal:
        if journal is None:
            return False
        with closing(sqlite3.connect(journal)) as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'jobs'").fetchone():
                return False
            return bool(database.execute("SELECT count(*) FROM jobs").fetchone()[0])


@contextmanager
def _copy(state: Path) -> Iterator[Path | None]:
    with tempfile.TemporaryDirectory(prefix="journal-") as folder:
        for suffix in ("", "-wal"):
            found = state / f"{JOURNAL_NAME}{suffix}"
            if found.exists():
                shutil.copyfile(found, Path(folder, found.name))
        journal = Path(folder, JOURNAL_NAME)
        yield journal if journal.exists() else None
