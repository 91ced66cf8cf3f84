"""The records in the database: SQL, and what the rows mean. Every call is a step of a write transaction.

What this run holds is changed by this run alone, so the rows in `Claims` are the truth and the file follows them. Each
write names the run besides the id: in a file that was made afresh the id may be somebody else's.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from transfer.journal.claims import Claims, item_held, job_held
from transfer.journal.finished import delete_some_orphans, find_notes, find_orphans, write_notes
from transfer.journal.liveness import Runs
from transfer.journal.records import Note, StartedJob
from transfer.journal.rows import (
    ItemRow,
    JobRow,
    encode,
    key_of,
    read_item,
    read_job,
    read_part,
    read_run,
    seal_part,
    seal_run,
)
from transfer.model.unfinished import (
    FinishedPart,
    Holder,
    ItemIdentity,
    JobDescription,
    UnfinishedItem,
    UnfinishedJob,
)

if TYPE_CHECKING:
    import sqlite3

_TOUCH_SECONDS: Final = 10.0
"""How old the time of a job's last sign of life may get: parts need not write it each time."""

_JOB_COLUMNS: Final = (
    "id, signature, description, began_seconds, touched_seconds, finished_items, finished_bytes, run_id, crc"
)
_ITEM_COLUMNS: Final = (
    "id, key, job_id, run_id, generation, direction, endpoint, source, destination, fingerprint, size, upload_id,"
    " temporary, began_seconds, crc"
)


class DiskRecords:
    """Records in one open database; a new one is made when the database is opened again.

    Attributes:
        claims: What this run holds.
        has_orphans: There may be notes of jobs that are gone, for `delete_orphans`.
    """

    def __init__(self, connection: sqlite3.Connection, runs: Runs, claims: Claims) -> None:
        self._execute: Final = connection.execute
        self._connection: Final = connection
        self._runs: Final = runs
        self.claims = claims
        self.has_orphans = False
        self._is_registered = False

    def restore(self) -> None:
        """Write down what this run holds, where the file does not know of it: it was made afresh meanwhile."""
        if not self.claims:
            return
        run_id = self._register()
        for job in self.claims.jobs.values():
            self._insert_or_ignore("jobs", replace(job, run_id=run_id).seal())
        for item in self.claims.items.values():
            job_id = self._own_job(item.job_id)
            self._insert_or_ignore("items", replace(item, job_id=job_id, run_id=run_id).seal())

    def begin(self, description: JobDescription) -> StartedJob:
        """See `Records`."""
        self.claims.require_free_job(description)
        run_id = self._register()
        job = self._job("signature", encode(description.signature))
        now = time.time()
        if job is None:
            is_new = True
            job = JobRow(self._next_id("jobs"), description, now, now, 0, 0, run_id)
            # In a file that lost count of its ids, notes of a job that is gone could be in their place.
            self._execute("DELETE FROM finished WHERE job_id = ?", (job.id,))
            self._insert("jobs", job.seal())
        else:
            is_new = False
            self._require_free_job(job)
            job = replace(job, description=description, touched_seconds=now, run_id=run_id)
            self._update("jobs", _JOB_COLUMNS, job.seal())
        self.claims.jobs[job.id] = job
        return StartedJob(job.id, job.finished_items, job.finished_bytes, is_new)

    def take(self, job_id: int) -> bool:
        """See `Records`."""
        job = self._job("id", job_id)
        if job is None:
            return False
        self.claims.require_free_job(job.description)
        run_id = self._register()
        self._require_free_job(job)
        job = replace(job, run_id=run_id)
        self._update("jobs", _JOB_COLUMNS, job.seal())
        self.claims.jobs[job_id] = job
        return True

    def end(self, job_id: int, *, keep: bool) -> None:
        """See `Records`."""
        job = self.claims.drop_job(job_id)
        if job is not None and self._has_job(job_id):
            if keep:
                self._update("jobs", _JOB_COLUMNS, replace(job, touched_seconds=time.time(), run_id=None).seal())
            else:
                self._delete_job(job_id)
        if not keep:
            self.claims.drop_items_of(job_id)

    def forget(self, job_id: int) -> None:
        """See `Records`."""
        job = self._job("id", job_id)
        if job is not None:
            self._require_free_job(job)
            self._delete_job(job_id)
        self.claims.drop_job(job_id)

    def jobs(self) -> tuple[UnfinishedJob, ...]:
        """See `Records`."""
        rows = self._execute(f"SELECT {_JOB_COLUMNS} FROM jobs ORDER BY began_seconds, id").fetchall()  # noqa: S608 - constants
        return tuple(self._unfinished_job(job) for job in map(read_job, rows) if job is not None)

    def items_of(self, job_id: int) -> tuple[UnfinishedItem, ...]:
        """See `Records`."""
        if job_id not in self.claims.jobs or not self._has_job(job_id):
            return ()
        return tuple(item.to_item((), is_new=False) for item in self._items_of(job_id))

    def find_finished(self, job_id: int, names: Sequence[str]) -> dict[str, str]:
        """See `Records`."""
        if not self._has_job(job_id):
            return {}
        found = find_notes(self._connection, job_id, [encode(name) for name in names])
        return {name: fingerprint for name, fingerprint, _ in found}

    def note_finished(self, notes: Sequence[Note]) -> None:
        """See `Records`."""
        for job_id in dict.fromkeys(note.job_id for note in notes):
            job = self.claims.jobs.get(job_id)
            if job is None or not self._has_job(job_id):
                continue
            latest = {encode(note.name): note for note in notes if note.job_id == job_id}
            items, size = write_notes(self._connection, job_id, latest)
            self._keep_job(
                replace(
                    job,
                    finished_items=job.finished_items + items,
                    finished_bytes=job.finished_bytes + size,
                    touched_seconds=time.time(),
                )
            )

    def claim(self, job_id: int, identity: ItemIdentity) -> UnfinishedItem:
        """See `Records`."""
        self.claims.require_free_item(identity)
        run_id = self._register()
        job_id = self._own_job(job_id)
        item = self._item_by_key(key_of(identity))
        parts: tuple[FinishedPart, ...] = ()
        is_new = item is None
        if item is None:
            generation = secrets.randbits(62)
            item_id = self._next_id("items")
            item = ItemRow(item_id, job_id, run_id, generation, identity, None, None, time.time())
            self._execute("DELETE FROM parts WHERE item_id = ?", (item_id,))
            self._insert("items", item.seal())
        else:
            if self._is_held_by_other(item.run_id):
                raise item_held(item.identity, self._holder(item.run_id))
            parts = self._parts(item)
            item = replace(item, job_id=job_id, run_id=run_id)
            self._update("items", _ITEM_COLUMNS, item.seal())
        self.claims.hold_item(item)
        self._touch(job_id)
        return item.to_item(parts, is_new=is_new)

    def set_upload(self, item_id: int, upload_id: str | None) -> bool:
        """See `Records`."""
        item = self.claims.items.get(item_id)
        return item is not None and self._keep_item(replace(item, upload_id=upload_id))

    def set_temporary(self, item_id: int, temporary: str) -> bool:
        """See `Records`."""
        item = self.claims.items.get(item_id)
        return item is not None and self._keep_item(replace(item, temporary=temporary))

    def note_part(self, item_id: int, part: FinishedPart) -> bool:
        """See `Records`."""
        item = self.claims.items.get(item_id)
        if item is None:
            return False
        written = self._execute(
            "INSERT OR REPLACE INTO parts SELECT ?, ?, ?, ?, ?, ?, ?, ?"
            " WHERE EXISTS (SELECT 1 FROM items WHERE id = ? AND run_id = ?)",
            (*seal_part(item_id, item.generation, part), item_id, self._own_id()),
        )
        self._touch(item.job_id)
        return written.rowcount > 0

    def drop_parts(self, item_id: int, numbers: Sequence[int]) -> None:
        """See `Records`."""
        if self._has_item(item_id):
            rows = ((item_id, number) for number in numbers)
            self._connection.executemany("DELETE FROM parts WHERE item_id = ? AND number = ?", rows)

    def restart(self, item_id: int, identity: ItemIdentity) -> None:
        """See `Records`."""
        item = self.claims.items.get(item_id)
        if item is None:
            return
        if self._has_item(item_id):
            self._execute("DELETE FROM parts WHERE item_id = ?", (item_id,))
        self._keep_item(
            replace(
                item,
                generation=secrets.randbits(62),
                identity=replace(item.identity, fingerprint=identity.fingerprint, size=identity.size),
                upload_id=None,
                temporary=None,
                began_seconds=time.time(),
            )
        )

    def release(self, item_id: int) -> None:
        """See `Records`."""
        if self._has_item(item_id):
            item = self.claims.items[item_id]
            self._update("items", _ITEM_COLUMNS, replace(item, run_id=None).seal())
            self._touch(item.job_id)
        self.claims.drop_item(item_id)

    def finish(self, item_id: int) -> None:
        """See `Records`."""
        if self._has_item(item_id):
            self._delete_item(item_id)
        self.claims.drop_item(item_id)

    def release_all(self) -> None:
        """See `Records`."""
        for item_id in list(self.claims.items):
            self.release(item_id)
        for job_id in list(self.claims.jobs):
            self.end(job_id, keep=True)
        if self._runs.own_id is not None:
            self._execute("DELETE FROM runs WHERE id = ?", (self._own_id(),))

    def look_for_orphans(self) -> None:
        """See whether there are any; needs no transaction."""
        self.has_orphans = bool(find_orphans(self._connection))

    def delete_orphans(self) -> None:
        """Delete some notes of jobs that are gone: so many that no other process waits long."""
        self.has_orphans = delete_some_orphans(self._connection)

    def _register(self) -> str:
        """Make this run known before its name is on anything; dead ones go."""
        run_id = self._runs.hold()
        if not self._is_registered:
            self._runs.sweep()
            for (other,) in self._execute("SELECT id FROM runs").fetchall():
                if not isinstance(other, bytes) or not self._runs.is_alive(other.decode("ascii", "replace")):
                    self._execute("DELETE FROM runs WHERE id IS ?", (other,))
            self._execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", seal_run(run_id, self._runs.own))
            self._is_registered = True
            # A run that was killed may have left notes of a job that it had deleted.
            self.has_orphans = True
        return run_id

    def _own_id(self) -> bytes | None:
        return None if self._runs.own_id is None else encode(self._runs.own_id)

    def _is_held_by_other(self, run_id: str | None) -> bool:
        return run_id is not None and run_id != self._runs.own_id and self._runs.is_alive(run_id)

    def _holder(self, run_id: str | None) -> Holder | None:
        if run_id is None:
            return None
        rows = self._execute("SELECT id, process_id, since_seconds, crc FROM runs WHERE id = ?", (encode(run_id),))
        return next((read_run(row) for row in rows.fetchall()), None)

    def _require_free_job(self, job: JobRow) -> None:
        if self._is_held_by_other(job.run_id):
            raise job_held(job.description, self._holder(job.run_id))

    def _job(self, column: str, value: int | bytes) -> JobRow | None:
        """Find one; what is left of a damaged one goes."""
        rows = self._execute(f"SELECT {_JOB_COLUMNS} FROM jobs WHERE {column} = ?", (value,)).fetchall()  # noqa: S608 - constants
        for row in rows:
            job = read_job(row)
            if job is not None and value in (job.id, encode(job.description.signature)):
                return job
            self._execute("DELETE FROM jobs WHERE id = ?", (row[0],))
            self.has_orphans = True
        return None

    def _item_by_key(self, key: bytes) -> ItemRow | None:
        """Find one; what is left of a damaged one goes."""
        for row in self._execute(f"SELECT {_ITEM_COLUMNS} FROM items WHERE key = ?", (key,)).fetchall():  # noqa: S608 - constants
            item = read_item(row)
            if item is not None and key_of(item.identity) == key:
                return item
            self._delete_item(row[0])
        return None

    def _parts(self, item: ItemRow) -> tuple[FinishedPart, ...]:
        rows = self._execute(
            "SELECT item_id, number, generation, offset, length, value, etag, crc FROM parts WHERE item_id = ?"
            " ORDER BY number",
            (item.id,),
        ).fetchall()
        # In a damaged table a row can turn up under a number that is not its own: each is asked for its own item.
        found = (read_part(row, item.generation) for row in rows if row[0] == item.id)
        return tuple({part.number: part for part in found if part is not None}.values())

    def _unfinished_job(self, job: JobRow) -> UnfinishedJob:
        holder = None
        if job.run_id is not None and (job.run_id == self._runs.own_id or self._runs.is_alive(job.run_id)):
            holder = self._holder(job.run_id)
        return UnfinishedJob(
            id=job.id,
            description=job.description,
            began_seconds=job.began_seconds,
            touched_seconds=job.touched_seconds,
            finished_items=job.finished_items,
            finished_bytes=job.finished_bytes,
            holder=holder,
            items=tuple(item.to_item(self._parts(item), is_new=False) for item in self._items_of(job.id)),
        )

    def _items_of(self, job_id: int) -> Iterator[ItemRow]:
        rows = self._execute(f"SELECT {_ITEM_COLUMNS} FROM items WHERE job_id = ? ORDER BY id", (job_id,)).fetchall()  # noqa: S608 - constants
        for row in rows:
            item = read_item(row)
            if item is not None and item.job_id == job_id:
                yield item

    def _has_job(self, job_id: int) -> bool:
        return bool(
            self._execute("SELECT 1 FROM jobs WHERE id = ? AND run_id = ?", (job_id, self._own_id())).fetchall()
        )

    def _own_job(self, job_id: int) -> int:
        """The id, or that of no job: in a file that was made afresh it can be the id of somebody else's."""
        return job_id if self._has_job(job_id) else 0

    def _has_item(self, item_id: int) -> bool:
        if item_id not in self.claims.items:
            return False
        mine = (item_id, self._own_id())
        return bool(self._execute("SELECT 1 FROM items WHERE id = ? AND run_id = ?", mine).fetchall())

    def _keep_job(self, job: JobRow) -> None:
        """Write down a job this run holds."""
        if self._has_job(job.id):
            self._update("jobs", _JOB_COLUMNS, job.seal())
        self.claims.jobs[job.id] = job

    def _keep_item(self, item: ItemRow) -> bool:
        """Write down an item this run holds; whether the file has it."""
        is_there = self._has_item(item.id)
        if is_there:
            self._update("items", _ITEM_COLUMNS, item.seal())
        self.claims.hold_item(item)
        return is_there

    def _touch(self, job_id: int) -> None:
        job = self.claims.jobs.get(job_id)
        now = time.time()
        if job is not None and abs(now - job.touched_seconds) > _TOUCH_SECONDS:
            self._keep_job(replace(job, touched_seconds=now))

    def _delete_job(self, job_id: int) -> None:
        for item in list(self._items_of(job_id)):
            if not self._is_held_by_other(item.run_id):
                self._delete_item(item.id)
                self.claims.drop_item(item.id)
        self._execute("DELETE FROM jobs WHERE id = ?", (job_id,))
        # At once, as far as that takes no longer than one of the transactions that delete the rest.
        self.delete_orphans()

    def _delete_item(self, item_id: int) -> None:
        self._execute("DELETE FROM parts WHERE item_id = ?", (item_id,))
        self._execute("DELETE FROM items WHERE id = ?", (item_id,))

    def _next_id(self, table: str) -> int:
        """An id that was never used in this file: who names an old one must not meet something new."""
        rows = self._execute(
            f"SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{table}'), 0),"  # noqa: S608 - constants
            f" coalesce((SELECT max(id) FROM {table}), 0))"
        ).fetchall()
        return int(rows[0][0]) + 1

    def _insert(self, table: str, values: Sequence[object]) -> None:
        self._execute(f"INSERT INTO {table} VALUES ({_marks(len(values))})", values)  # noqa: S608 - constants

    def _insert_or_ignore(self, table: str, values: Sequence[object]) -> None:
        self._execute(f"INSERT OR IGNORE INTO {table} VALUES ({_marks(len(values))})", values)  # noqa: S608 - constants

    def _update(self, table: str, columns: str, values: Sequence[object]) -> None:
        self._execute(f"UPDATE {table} SET ({columns}) = ({_marks(len(values))}) WHERE id = ?", (*values, values[0]))  # noqa: S608 - constants


def _marks(count: int) -> str:
    return ", ".join("?" * count)
