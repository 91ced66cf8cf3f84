"""Keeps the records on disk as long as that works: a damaged file is replaced, any other trouble ends in memory.

Trouble with the journal never fails a transfer. It lives in one thread, which may block.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from transfer.journal.claims import Claims
from transfer.journal.database import FILE_NAME, Database, NewerJournalError, is_damage, open_database
from transfer.journal.disk import DiskRecords
from transfer.journal.liveness import Runs
from transfer.journal.records import MemoryRecords, Records
from transfer.model.errors import HeldError

Work = Callable[[Records], object]
"""One operation. It may run again after the file was replaced, so it changes nothing but the records."""


class Keeper:
    """The records of one run, and where they are."""

    def __init__(self, folder: str, warn: Callable[[str], None]) -> None:
        self._folder: Final = folder
        self._warn: Final = warn
        self._runs: Final = Runs(folder)
        self._memory: Final = MemoryRecords(Claims())
        self._database: Database | None = None
        self._records: DiskRecords | None = None
        self._is_off_disk = False

    def perform(self, works: Sequence[Work], *, creates: bool) -> list[object]:
        """Do operations in one transaction; answers what each returned, or the HeldError that it raised.

        Args:
            works: In order.
            creates: Whether there shall be a journal if there is none.
        """
        for is_last in (False, True):
            if self._is_off_disk:
                break
            held = self._memory.claims.copy()
            try:
                return self._perform_on_disk(works, creates=creates)
            except Exception as error:  # noqa: BLE001 - whatever it is, the transfer goes on
                self._memory.claims = held
                self._recover(error, is_last=is_last)
        return _each(works, self._memory)

    def close(self) -> None:
        """Let everything go. Never raises."""
        if self._database is not None:
            self.perform([lambda records: records.release_all()], creates=False)
        if self._database is not None:
            with contextlib.suppress(Exception):
                self._database.shrink()
        self._close_database()
        self._runs.release()

    def _perform_on_disk(self, works: Sequence[Work], *, creates: bool) -> list[object]:
        if self._database is not None and not self._database.is_current():
            self._close_database()
        if self._database is None or self._records is None:
            if not creates and not self._memory.claims and not (Path(self._folder) / FILE_NAME).exists():
                return _each(works, self._memory)
            self._database = open_database(self._folder, self._report_damage)
            self._records = None
        connection = self._database.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            if self._records is None:
                self._records = DiskRecords(connection, self._runs, self._memory.claims)
                self._records.restore()
            self._records.claims = self._memory.claims
            outcomes = _each(works, self._records)
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(Exception):
                connection.rollback()
            raise
        return outcomes

    def _recover(self, error: Exception, *, is_last: bool) -> None:
        """Make room for a fresh file when the old one is damaged; leave the disk alone in all other cases."""
        try:
            if not is_last and is_damage(error):
                self._set_aside()
                return
        except Exception as second:  # noqa: BLE001 - see perform
            error = second
        self._is_off_disk = True
        self._close_database()
        self._warn(_without_journal(self._folder, error))

    def _set_aside(self) -> None:
        database, self._database, self._records = self._database, None, None
        if database is None:
            return
        try:
            aside = database.set_aside()
        finally:
            database.close()
        if aside is not None:
            self._report_damage(aside)

    def _close_database(self) -> None:
        database, self._database, self._records = self._database, None, None
        if database is not None:
            with contextlib.suppress(Exception):
                database.close()

    def _report_damage(self, aside: Path) -> None:
        self._warn(
            f"the record of unfinished transfers was damaged and is set aside as {aside}; a fresh one is in use:"
            " what earlier runs began is begun anew, and transfer mpu ls shows what they left at the store"
        )


def _each(works: Sequence[Work], records: Records) -> list[object]:
    outcomes: list[object] = []
    for work in works:
        try:
            outcomes.append(work(records))
        except HeldError as error:
            outcomes.append(error)
    return outcomes


def _without_journal(folder: str, error: Exception) -> str:
    if isinstance(error, NewerJournalError):
        reason = "it was written by a newer version"
    elif isinstance(error, OSError):
        reason = error.strerror or str(error)
    else:
        reason = str(error)
    return f"no record of unfinished transfers in {folder}: {reason}; if this run is ended, the next one starts again"
