"""Keeps the records on disk as long as that works: a damaged file is replaced, any other trouble ends in memory.

Trouble with the journal never fails a transfer. It lives in one thread, which may block.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from transfer.journal.claims import Claims
from transfer.journal.database import FILE_NAME, Database, NewerJournalError, is_busy, is_damage, open_database
from transfer.journal.disk import DiskRecords
from transfer.journal.liveness import Runs
from transfer.journal.records import MemoryRecords, Records
from transfer.model.errors import HeldError

Work = Callable[[Records], object]
"""One operation. It may run again after the file was replaced, so it changes nothing but the records."""


HURRIED_SECONDS: Final = 1.0
"""How long another process may keep a run from writing that was told to end."""

_LET_IN_SECONDS: Final = 0.02
"""The pause between two pieces of long work: others try for the lock every few milliseconds."""


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
        self._is_hurried = False
        self._has_given_up = False

    @property
    def has_orphans(self) -> bool:
        """Whether there may be something for `tidy`."""
        return self._records is not None and self._records.has_orphans

    def hurry(self) -> None:
        """From now on wait for other processes hardly at all, even if the wait has begun; for any thread.

        What is then not written is what a killed run does not write either: its claims go with its lock.
        """
        self._is_hurried = True

    def perform(
        self, works: Sequence[Work], *, creates: bool, durable: bool = False, reads: bool = False
    ) -> list[object]:
        """Do operations in one transaction; answers what each returned, or the HeldError that it raised.

        Args:
            works: In order.
            creates: Whether there shall be a journal if there is none.
            durable: Whether they shall survive a loss of power; else one may take them, all from some moment on.
            reads: They change nothing, so they need not wait for other processes.
        """
        for is_last in (False, True):
            if self._is_off_disk:
                break
            held = self._memory.claims.copy()
            try:
                return self._perform_on_disk(works, creates=creates, durable=durable, reads=reads)
            except Exception as error:  # noqa: BLE001 - whatever it is, the transfer goes on
                self._memory.claims = held
                if self._is_hurried and is_busy(error):
                    self._has_given_up = True
                    break
                self._recover(error, is_last=is_last)
        return _each(works, self._memory)

    def close(self) -> None:
        """Let everything go. Never raises."""
        if self._database is not None:
            self.perform([lambda records: records.release_all()], creates=False)
        while self.has_orphans and not self._is_hurried:
            self.tidy()
        if self._database is not None and not self._is_hurried:
            with contextlib.suppress(Exception):
                self._database.shrink()
        self._close_database()
        self._runs.release()

    def tidy(self) -> None:
        """Delete some of the notes that belong to nothing any more. Never raises, and gives up on any trouble."""
        database, records = self._database, self._records
        if database is None or records is None:
            return
        try:
            records.look_for_orphans()
            if not records.has_orphans:
                return
            database.begin(durable=False, wait_seconds=lambda: min(HURRIED_SECONDS, self._wait_seconds()))
            try:
                records.delete_orphans()
                database.connection.execute("COMMIT")
            except BaseException:
                database.connection.rollback()
                raise
        except Exception:  # noqa: BLE001 - they harm nobody, and the next operation meets the trouble too
            records.has_orphans = False
        if records.has_orphans:
            time.sleep(_LET_IN_SECONDS)

    def _wait_seconds(self) -> float:
        if self._has_given_up:
            return 0.0
        return HURRIED_SECONDS if self._is_hurried else math.inf

    def _perform_on_disk(self, works: Sequence[Work], *, creates: bool, durable: bool, reads: bool) -> list[object]:
        if self._database is not None and not self._database.is_current():
            self._close_database()
        if self._database is None or self._records is None:
            if not creates and not self._memory.claims and not (Path(self._folder) / FILE_NAME).exists():
                return _each(works, self._memory)
            self._database = open_database(self._folder, self._report_damage)
            self._records = None
        connection = self._database.connection
        if reads and self._records is not None:
            # The state of one moment, without the lock of those who write.
            connection.execute("BEGIN DEFERRED")
        else:
            self._database.begin(durable=durable, wait_seconds=self._wait_seconds)
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
