"""The file of the journal: opened, brought to the present schema, and set aside when it is damaged.

It knows tables only through `schema`. One process at a time opens or sets aside, under a lock file, so that nobody
meets half a change of names; a file that another process has replaced is left alone. Everything blocks.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from transfer.journal.liveness import WAIT_SECONDS, exclusive
from transfer.journal.network import is_on_network
from transfer.journal.schema import MIGRATIONS, VERSION

if TYPE_CHECKING:
    import sqlite3

FILE_NAME: Final = "journal.sqlite3"

_CHECKED_BYTES: Final = 16 << 20
"""Files up to this size are checked whole when opened: some 10 ms at most, where every row has a checksum anyway."""

_VACUUMED_PAGES: Final = 4096
"""Free pages given back to the file system when a run ends: 16 MiB, so that the end does not take long."""

_POLL_SECONDS: Final = 0.005
"""How often the write lock is tried for: busy processes free it for moments, and SQLite tries ever less often."""

_BUSY: Final = 5
"""SQLITE_BUSY (sqlite.org/rescode.html)."""

_DAMAGE_CODES: Final = frozenset({1, 11, 19, 20, 24, 26})
"""SQLITE_ERROR, CORRUPT, CONSTRAINT, MISMATCH, FORMAT and NOTADB (sqlite.org/rescode.html).

The first, third and fourth say that tables are not what the file's version promises: the statements are fixed.
"""


class NewerJournalError(Exception):
    """A later version of this program has written the file; this one does not touch it."""


class DamagedJournalError(Exception):
    """SQLite can open the file, but its structure is not sound."""


class Database:
    """One open journal file.

    Attributes:
        connection: In autocommit mode, text as bytes; for the thread that opened it.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, file: os.stat_result, *, has_log: bool) -> None:
        self.connection: Final = connection
        self._path: Final = path
        self._file: Final = file
        # Without a log a commit is the removal of a file, which EXTRA alone makes durable (sqlite.org/pragma.html).
        self._levels: Final = ("NORMAL", "FULL") if has_log else ("FULL", "EXTRA")
        self._level = ""

    def begin(self, *, durable: bool, wait_seconds: Callable[[], float]) -> None:
        """Begin a transaction that may write.

        Args:
            durable: Whether it shall survive a loss of power once it is committed.
            wait_seconds: Asked again and again, how long to wait in all for another process: `WAIT_SECONDS` at most.

        Raises:
            sqlite3.Error: The database refuses, or is busy: see `is_busy`.
        """
        level = self._levels[durable]
        if level != self._level:
            self.connection.execute(f"PRAGMA synchronous = {level}")
            self._level = level
        began = time.monotonic()
        self._set_timeout(0)
        try:
            while not self._has_begun():
                if time.monotonic() - began >= min(WAIT_SECONDS, wait_seconds()):
                    self.connection.execute("BEGIN IMMEDIATE")
                    break
                time.sleep(_POLL_SECONDS)
        finally:
            self._set_timeout(WAIT_SECONDS)

    def is_current(self) -> bool:
        """Whether the name still leads to this file."""
        try:
            return os.path.samestat(self._path.stat(), self._file)
        except FileNotFoundError:
            return False

    def set_aside(self) -> Path | None:
        """Close it and give it another name; None when another process did so before.

        Raises:
            OSError: The system refuses.
        """
        with exclusive(_lock_path(self._path)):
            if not self.is_current():
                self.connection.close()
                return None
            return _set_aside(self._path, self.connection)

    def shrink(self) -> None:
        """Give free pages back to the file system, unless another process is writing.

        Raises:
            sqlite3.Error: The database refuses, or is busy.
        """
        self._set_timeout(0)
        self.connection.execute(f"PRAGMA incremental_vacuum({_VACUUMED_PAGES})").fetchall()

    def close(self) -> None:
        """Close it; SQLite then moves its log into the file when nobody else has it open."""
        self.connection.close()

    def _has_begun(self) -> bool:
        try:
            self.connection.execute("BEGIN IMMEDIATE")
        except Exception as error:
            if is_busy(error):
                return False
            raise
        return True

    def _set_timeout(self, seconds: float) -> None:
        """Set how long SQLite itself waits for a lock."""
        self.connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}").fetchall()


def open_database(folder: str, on_damage: Callable[[Path], None]) -> Database:
    """Open the journal of a state folder, or make it.

    Args:
        folder: Made with mode 0700 when it is missing.
        on_damage: Learns where a damaged file was set aside before a fresh one was made.

    Raises:
        NewerJournalError: It is of a later version.
        OSError: The system refuses.
        sqlite3.Error: The database refuses.
        ImportError: This Python has no SQLite.
    """
    path = Path(folder) / FILE_NAME
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with exclusive(_lock_path(path)):
        try:
            return _open(path, on_damage)
        except DamagedJournalError:
            return _open(path, on_damage)


def connect(path: Path) -> sqlite3.Connection:
    """Connect to an existing file, without changing it.

    Raises:
        sqlite3.Error: The database refuses.
        ImportError: This Python has no SQLite.
    """
    import sqlite3

    connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)
    connection.text_factory = bytes
    return connection


def check(connection: sqlite3.Connection, size: int) -> None:
    """Return when the file, of that many bytes, is one to work with.

    Raises:
        NewerJournalError: It is of a later version.
        DamagedJournalError: Its structure is not sound.
        sqlite3.Error: The same, or the database refuses.
    """
    version = _version(connection)
    if version > VERSION:
        raise NewerJournalError
    if version < 0:
        raise DamagedJournalError("a version below zero")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    if 0 < size <= _CHECKED_BYTES:
        found = connection.execute("PRAGMA quick_check(1)").fetchall()
        if found != [(b"ok",)]:
            raise DamagedJournalError(f"quick_check: {found}")


def is_damage(error: Exception) -> bool:
    """Whether an error says that the file is broken, and not that it is busy, or the disk full."""
    # Python reads SQLite's message as UTF-8, and that message quotes a damaged schema.
    if isinstance(error, (DamagedJournalError, UnicodeDecodeError)):
        return True
    import sqlite3

    code = getattr(error, "sqlite_errorcode", 0)
    return isinstance(error, sqlite3.DatabaseError) and (code & 0xFF) in _DAMAGE_CODES


def is_busy(error: Exception) -> bool:
    """Whether an error says that another process has the lock."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) == _BUSY


def _open(path: Path, on_damage: Callable[[Path], None]) -> Database:
    """Open or make the file; when it is damaged, set it aside and raise `DamagedJournalError`."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    file = path.stat()
    has_log = not is_on_network(path.parent)
    connection = connect(path)
    try:
        check(connection, file.st_size)
        _configure(connection, is_fresh=file.st_size == 0, has_log=has_log)
        _migrate(connection)
    except Exception as error:
        if not is_damage(error):
            connection.close()
            raise
        on_damage(_set_aside(path, connection))
        raise DamagedJournalError from error
    return Database(connection, path, file, has_log=has_log)


def _configure(connection: sqlite3.Connection, *, is_fresh: bool, has_log: bool) -> None:
    """Set what the file and the connection need; a log works only where all processes share memory."""
    if is_fresh:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute(f"PRAGMA journal_mode = {'WAL' if has_log else 'DELETE'}").fetchall()
    connection.execute("PRAGMA synchronous = FULL")
    # On macOS an ordinary sync stops at the drive's cache; elsewhere this changes nothing.
    connection.execute("PRAGMA fullfsync = ON")
    # Rows that were deleted do not come back when a damaged page makes them look alive.
    connection.execute("PRAGMA secure_delete = FAST").fetchall()


def _migrate(connection: sqlite3.Connection) -> None:
    """Take the steps that the file has not behind it, each in a transaction of its own."""
    while (version := _version(connection)) < VERSION:
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in MIGRATIONS[version]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version + 1}")
        except BaseException:
            connection.rollback()
            raise
        connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    [[version]] = connection.execute("PRAGMA user_version").fetchall()
    return int(version)


def _set_aside(path: Path, connection: sqlite3.Connection) -> Path:
    """Rename the file and what belongs to it, and close the connection.

    The name changes first: SQLite leaves a file alone that has moved, instead of writing its log into it. Windows
    renames no open file.
    """
    if sys.platform == "win32":
        connection.close()
    stamp = time.strftime("%Y%m%dT%H%M%S")
    aside, tried = path.with_name(f"{path.name}.damaged-{stamp}"), 0
    while aside.exists():
        tried += 1
        aside = path.with_name(f"{path.name}.damaged-{stamp}-{tried}")
    try:
        # The log goes first: it must never be taken for the log of the fresh file.
        for suffix in ("-wal", "-shm", "-journal", ""):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    finally:
        connection.close()
    return aside


def _lock_path(path: Path) -> Path:
    return path.with_name("journal.lock")
