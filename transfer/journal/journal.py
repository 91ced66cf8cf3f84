"""The journal as the engine uses it: the record of what a killed run has finished.

Nothing here fails a transfer: without a usable file the journal warns once and holds its claims in memory. It must
never be given a credential, neither in a description nor in a name: all of it is written to disk as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from transfer.journal.records import Note, Records, StartedJob
from transfer.journal.writer import Writer
from transfer.model.unfinished import FinishedPart, ItemIdentity, JobDescription, UnfinishedItem, UnfinishedJob

__all__ = ["Journal", "StartedJob"]

T = TypeVar("T")


class Journal:
    """What this run and earlier ones have finished; for the tasks of one event loop.

    Operations take effect in the order of the calls. Ids that are not known, or of what this run does not hold, are
    no error: nothing happens.
    """

    def __init__(self, folder: str, warn: Callable[[str], None]) -> None:
        """Open nothing yet.

        Args:
            folder: Where the state is kept; made with mode 0700 at the first use.
            warn: Takes one line for the user, on the event loop.
        """
        self._writer: Final = Writer(folder, warn)

    async def begin(self, description: JobDescription) -> StartedJob:
        """Hold a job: a new one, or what an earlier run of the same request has left. Survives a loss of power.

        Raises:
            HeldError: A living process works on it.
        """
        return await self._hold(
            lambda records: records.begin(description),
            lambda records, job: records.end(job.id, keep=True),
            durable=True,
        )

    async def find_finished(self, job_id: int, names: Sequence[str]) -> dict[str, str]:
        """Look up items of a job this run holds, some hundred at a time; the fingerprints of those finished."""
        asked = tuple(names)
        return await self._writer.perform(lambda records: records.find_finished(job_id, asked))

    def note_finished(self, job_id: int, name: str, fingerprint: str, size: int) -> None:
        """Record that an item is done. Never waits: a killed run may lose the notes of its last moment.

        A loss of power may take more of them: all since the last operation that survives one.

        Args:
            job_id: A job this run holds.
            name: The item within the job.
            fingerprint: What must be the same for it to count as done.
            size: In bytes.
        """
        self._writer.note(Note(job_id, name, fingerprint, size))

    async def claim(self, job_id: int, identity: ItemIdentity) -> UnfinishedItem:
        """Hold an item, with what earlier runs have recorded of it; from now on it belongs to the job.

        Survives a loss of power.

        Returns:
            The earlier record with its own identity, whose fingerprint the caller compares; or a new one.

        Raises:
            HeldError: A living process moves it, or this run already does.
        """
        return await self._hold(
            lambda records: records.claim(job_id, identity),
            lambda records, item: records.release(item.id),
            durable=True,
        )

    async def items_of(self, job_id: int) -> tuple[UnfinishedItem, ...]:
        """The items of a job this run holds, without their parts; does not wait for other processes that write.

        Nothing for a job that this run does not hold, or that is not on disk.
        """
        return await self._writer.perform(lambda records: records.items_of(job_id), reads=True)

    async def set_upload(self, item_id: int, upload_id: str | None) -> bool:
        """Record which multipart upload the parts are in; returns when that survives a loss of power.

        Returns:
            Whether that is on disk: not when there is no usable file, or this run does not hold the item.
        """
        return await self._writer.perform(lambda records: records.set_upload(item_id, upload_id), durable=True)

    async def set_temporary(self, item_id: int, temporary: str) -> bool:
        """Record which file the ranges are in; returns when that survives a loss of power.

        Returns:
            Whether that is on disk: not when there is no usable file, or this run does not hold the item.
        """
        return await self._writer.perform(lambda records: records.set_temporary(item_id, temporary), durable=True)

    async def note_part(self, item_id: int, part: FinishedPart) -> bool:
        """Record that a part is done; returns when that is committed, together with other calls of the moment.

        What is committed outlives the process. A loss of power may take all that was committed since the last
        operation that survives one; what is left is the state of some moment in between.

        Returns:
            Whether that is on disk: not when there is no usable file, or this run does not hold the item.
        """
        return await self._writer.perform(lambda records: records.note_part(item_id, part))

    async def drop_parts(self, item_id: int, numbers: Sequence[int]) -> None:
        """Forget parts that turned out not to be there."""
        dropped = tuple(numbers)
        await self._writer.perform(lambda records: records.drop_parts(item_id, dropped))

    async def restart(self, item_id: int, identity: ItemIdentity) -> None:
        """Begin the same item from nothing, with a new fingerprint and size. Survives a loss of power."""
        await self._writer.perform(lambda records: records.restart(item_id, identity), durable=True)

    async def release(self, item_id: int) -> None:
        """Let an item go and keep what is known of it."""
        await self._writer.perform(lambda records: records.release(item_id))

    async def finish(self, item_id: int) -> None:
        """Forget an item that is done."""
        await self._writer.perform(lambda records: records.finish(item_id))

    async def end(self, job_id: int, *, keep: bool) -> None:
        """Let a job go.

        Args:
            job_id: A job this run holds.
            keep: Whether a later run shall continue it; else it is forgotten with its notes and items.
        """
        await self._writer.perform(lambda records: records.end(job_id, keep=keep))

    async def jobs(self) -> tuple[UnfinishedJob, ...]:
        """All jobs that have not ended, oldest first. Makes no journal where there is none."""
        return await self._writer.perform(lambda records: records.jobs())

    async def take(self, job_id: int) -> bool:
        """Hold an existing job, to clean up after it; False when it is gone.

        Raises:
            HeldError: A living process works on it.
        """

        def let_go(records: Records, is_taken: bool) -> None:
            if is_taken:
                records.end(job_id, keep=True)

        return await self._hold(lambda records: records.take(job_id), let_go, creates=False)

    async def forget(self, job_id: int) -> None:
        """Forget a job with its notes and items.

        Raises:
            HeldError: A living process works on it.
        """
        await self._writer.perform(lambda records: records.forget(job_id))

    def hurry(self) -> None:
        """Let the run end soon: from now on another process that writes is waited for one second at most.

        What cannot be written in that time is left out without a warning, as if this run had been killed: what it
        still holds in the file is free when it ends. Never waits; for the whole rest of the run.
        """
        self._writer.hurry()

    async def aclose(self) -> None:
        """Write all notes, let everything go and close; harmless twice. When cancelled, a thread finishes it."""
        await self._writer.aclose()

    async def _hold(
        self,
        take: Callable[[Records], T],
        let_go: Callable[[Records, T], None],
        *,
        creates: bool = True,
        durable: bool = False,
    ) -> T:
        """Take something; when the caller is cancelled meanwhile, nobody would ever let it go, so that is done."""
        taken: list[T] = []

        def work(records: Records) -> T:
            taken.clear()
            taken.append(take(records))
            return taken[0]

        def undo(records: Records) -> None:
            for held in taken:
                let_go(records, held)

        try:
            return await self._writer.perform(work, creates=creates, durable=durable)
        except asyncio.CancelledError:
            self._writer.post(undo)
            raise
