"""What can be done with the records, wherever they are; and the records that are nowhere but in memory.

Each method is one step of a transaction that its caller holds. HeldError alone is an answer; every other error means
that the records cannot be kept where they were.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from transfer.journal.claims import Claims
from transfer.journal.rows import ItemRow, JobRow
from transfer.model.unfinished import FinishedPart, ItemIdentity, JobDescription, UnfinishedItem, UnfinishedJob
from transfer.model.values import dataclass


@dataclass(frozen=True, slots=True)
class StartedJob:
    """A job this run now holds.

    Attributes:
        id: Names it in the journal; below zero when it is not on disk.
        finished_items: Items that earlier runs of the same job have finished.
        is_new: No earlier run has begun it.
    """

    id: int
    finished_items: int
    finished_bytes: int
    is_new: bool


class Note(NamedTuple):
    """One item of a job is done; the size is in bytes."""

    job_id: int
    name: str
    fingerprint: str
    size: int


class Records(Protocol):
    """See `transfer.journal.journal.Journal`, whose methods of the same names these serve."""

    def begin(self, description: JobDescription) -> StartedJob:
        """Hold a job."""

    def find_finished(self, job_id: int, names: Sequence[str]) -> dict[str, str]:
        """Fingerprints of those that are done."""

    def note_finished(self, notes: Sequence[Note]) -> None:
        """Record that items are done."""

    def claim(self, job_id: int, identity: ItemIdentity) -> UnfinishedItem:
        """Hold an item."""

    def items_of(self, job_id: int) -> tuple[UnfinishedItem, ...]:
        """The items of a job this run holds, without their parts. Writes nothing."""

    def set_upload(self, item_id: int, upload_id: str | None) -> bool:
        """Record the multipart upload; whether that is written down."""

    def set_temporary(self, item_id: int, temporary: str) -> bool:
        """Record the temporary file; whether that is written down."""

    def note_part(self, item_id: int, part: FinishedPart) -> bool:
        """Record that a part is done; whether that is written down."""

    def drop_parts(self, item_id: int, numbers: Sequence[int]) -> None:
        """Forget parts."""

    def restart(self, item_id: int, identity: ItemIdentity) -> None:
        """Begin the item again from nothing."""

    def release(self, item_id: int) -> None:
        """Let an item go."""

    def finish(self, item_id: int) -> None:
        """Forget an item."""

    def end(self, job_id: int, *, keep: bool) -> None:
        """Let a job go, or forget it."""

    def jobs(self) -> tuple[UnfinishedJob, ...]:
        """All jobs."""

    def take(self, job_id: int) -> bool:
        """Hold a job by its id."""

    def forget(self, job_id: int) -> None:
        """Forget a job."""

    def release_all(self) -> None:
        """Let everything go."""


class MemoryRecords:
    """Remembers what this run holds, and nothing else."""

    def __init__(self, claims: Claims) -> None:
        self.claims = claims
        self._last_id: int = 0

    def begin(self, description: JobDescription) -> StartedJob:
        """See `Records`."""
        self.claims.require_free_job(description)
        now = time.time()
        job_id = self._next_id()
        self.claims.jobs[job_id] = JobRow(job_id, description, now, now, 0, 0, None)
        return StartedJob(job_id, 0, 0, is_new=True)

    def find_finished(self, job_id: int, names: Sequence[str]) -> dict[str, str]:  # noqa: ARG002 - nothing is known
        """See `Records`."""
        return {}

    def note_finished(self, notes: Sequence[Note]) -> None:
        """See `Records`."""

    def claim(self, job_id: int, identity: ItemIdentity) -> UnfinishedItem:
        """See `Records`."""
        self.claims.require_free_item(identity)
        item = ItemRow(self._next_id(), job_id, None, 0, identity, None, None, time.time())
        self.claims.hold_item(item)
        return item.to_item((), is_new=True)

    def items_of(self, job_id: int) -> tuple[UnfinishedItem, ...]:  # noqa: ARG002 - nothing is known
        """See `Records`."""
        return ()

    def set_upload(self, item_id: int, upload_id: str | None) -> bool:  # noqa: ARG002 - nothing is written down
        """See `Records`."""
        return False

    def set_temporary(self, item_id: int, temporary: str) -> bool:  # noqa: ARG002 - nothing is written down
        """See `Records`."""
        return False

    def note_part(self, item_id: int, part: FinishedPart) -> bool:  # noqa: ARG002 - nothing is written down
        """See `Records`."""
        return False

    def drop_parts(self, item_id: int, numbers: Sequence[int]) -> None:
        """See `Records`."""

    def restart(self, item_id: int, identity: ItemIdentity) -> None:
        """See `Records`."""

    def release(self, item_id: int) -> None:
        """See `Records`."""
        self.claims.drop_item(item_id)

    def finish(self, item_id: int) -> None:
        """See `Records`."""
        self.claims.drop_item(item_id)

    def end(self, job_id: int, *, keep: bool) -> None:
        """See `Records`."""
        self.claims.drop_job(job_id)
        if not keep:
            self.claims.drop_items_of(job_id)

    def jobs(self) -> tuple[UnfinishedJob, ...]:
        """See `Records`."""
        return ()

    def take(self, job_id: int) -> bool:  # noqa: ARG002 - nothing is known
        """See `Records`."""
        return False

    def forget(self, job_id: int) -> None:
        """See `Records`."""
        self.end(job_id, keep=False)

    def release_all(self) -> None:
        """See `Records`."""
        self.claims.jobs.clear()
        for item_id in list(self.claims.items):
            self.claims.drop_item(item_id)

    def _next_id(self) -> int:
        self._last_id -= 1
        return self._last_id
