"""One request's memory: what earlier runs of it have finished, and what this one leaves for the next.

It decides nothing. Without a journal it remembers nothing and every claim is a new one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import anyio

from transfer.model.errors import ChecksumMismatchError, HeldError, SchemeError, StoreError, TransferError
from transfer.model.unfinished import FinishedPart, ItemIdentity, JobDescription, UnfinishedItem
from transfer.plan.retry import Verdict, verdict_of

if TYPE_CHECKING:
    from transfer.journal.journal import Journal

Note = Callable[[str, str, int], None]
"""Records that an item is finished: its name, its fingerprint, its size in bytes."""


class Claim:
    """The right to move one large item, and the record of how far it is.

    Attributes:
        item: What was known when it was claimed.
        has_upload: Whether there is an upload at the store whose parts are remembered.
        may_have_upload: Whether the store may have been asked for one, of which no more is known than that.
    """

    def __init__(
        self, journal: Journal | None, item: UnfinishedItem, note: Note | None, on_finish: Callable[[], None]
    ) -> None:
        self.item: Final = item
        self._note: Final = note
        self._on_finish: Final = on_finish
        self.has_upload = item.upload_id is not None
        self.may_have_upload = not item.is_new
        self._is_joined = False
        self._journal = journal
        self._is_on_disk = True

    @classmethod
    def forgetful(cls, identity: ItemIdentity) -> Claim:
        """The claim of an item that no later run can continue."""
        item = UnfinishedItem(0, identity, None, None, time.time(), (), is_new=True)
        return cls(None, item, None, lambda: None)

    @property
    def remembers(self) -> bool:
        """Whether a later run can go on from here."""
        return self._journal is not None and self.item.id > 0 and self._is_on_disk

    async def restart(self, identity: ItemIdentity) -> None:
        """Forget the parts: the item is another one now, or they are lost."""
        self.has_upload = self.may_have_upload = self._is_joined = False
        if self._journal is not None:
            await self._journal.restart(self.item.id, identity)

    async def set_upload(self, upload_id: str) -> None:
        """Record the upload that its parts go to; returns when that is on disk."""
        self.has_upload = True
        if self._journal is not None:
            self._is_on_disk = await self._journal.set_upload(self.item.id, upload_id)

    async def set_temporary(self, temporary: str) -> None:
        """Record the file that its ranges go to; returns when that is on disk."""
        if self._journal is not None:
            self._is_on_disk = await self._journal.set_temporary(self.item.id, temporary)

    async def note_part(self, part: FinishedPart) -> None:
        """Record a part that the store has acknowledged or the file holds; returns when that is on disk."""
        if self._journal is not None:
            await self._journal.note_part(self.item.id, part)

    def note_completion(self) -> None:
        """The parts are joined: there is no upload any more, but an object of which something is known."""
        self.has_upload = False
        self._is_joined = True

    def leaves_nothing(self, error: TransferError) -> bool:
        """Whether an upload that failed so has left nothing to go on with, so that its item is given up for good.

        That is so when the store has refused to begin one, and when it was never asked: it was not reached, or not
        understood. Where the parts are joined, it is so when no later run can prove the object.
        """
        if self.has_upload:
            return False
        if self._is_joined:
            return not can_continue(error)
        if isinstance(error, SchemeError) and self.item.is_new:
            return True
        return isinstance(error, StoreError) or not self.may_have_upload or not can_continue(error)

    async def done(self, name: str, fingerprint: str, size: int, *, counts: bool) -> None:
        """The item is moved. Nothing happens after this, `finish` or `release`.

        Args:
            name: What it is called in its job.
            fingerprint: What must be the same for it to be left out by a later run.
            size: In bytes.
            counts: Whether a later run of the job shall leave it out at all.

        At no moment the journal knows neither the parts nor that they are all there: in a tree the item is noted as
        finished before its parts are forgotten; alone, they are forgotten with the job.
        """
        if self._note is not None:
            if self._journal is not None and counts:
                self._note(name, fingerprint, size)
            await self.finish()
        elif self._journal is not None:
            await self.release()
            self._on_finish()

    async def finish(self) -> None:
        """The item is given up for good: forget it. Nothing happens after this, `done` or `release`."""
        journal, self._journal = self._journal, None
        if journal is not None:
            with anyio.CancelScope(shield=True):
                await journal.finish(self.item.id)
            self._on_finish()

    async def release(self) -> None:
        """Keep the record for a later run. Nothing happens after this, `done` or `finish`."""
        journal, self._journal = self._journal, None
        if journal is not None:
            with anyio.CancelScope(shield=True):
                await journal.release(self.item.id)


class Job:
    """A request that may take several runs.

    Attributes:
        id: Names it in the journal; 0 until there is something to remember.
        earlier_items: How many items earlier runs have finished.
    """

    def __init__(self, journal: Journal | None, description: JobDescription, *, is_tree: bool) -> None:
        self.id = 0
        self.earlier_items = 0
        self._journal: Final = journal
        self._description: Final = description
        self._beginning: Final = anyio.Lock()
        self._has_begun = False
        self._is_tree: Final = is_tree
        self._has_earlier = False
        self._has_notes = False
        self._unfinished = 0

    @property
    def endpoint(self) -> str:
        """The store its items go to or come from."""
        return self._description.endpoint

    async def begin(self) -> None:
        """Take the job up, once; large items do so by themselves.

        Raises:
            HeldError: Another living process does the same.
        """
        if self._journal is None:
            return
        async with self._beginning:
            if not self._has_begun:
                started = await self._journal.begin(self._description)
                self._has_begun = True
                self.id, self.earlier_items = started.id, started.finished_items
                # The one item of a job that is no tree is told by its claim.
                self._has_earlier = self._is_tree and not started.is_new

    async def claim(self, identity: ItemIdentity) -> Claim:
        """Get the right to move a large item, with what is known of it.

        Raises:
            HeldError: Another living process moves it.
        """
        if self._journal is None:
            return Claim.forgetful(identity)
        # Counted before it is there: a run that is cancelled meanwhile must not forget what earlier ones have left.
        self._unfinished += 1
        try:
            await self.begin()
            item = await self._journal.claim(self.id, identity)
        except HeldError:
            self._note_end()
            raise
        return Claim(self._journal, item, self.note_finished if self._is_tree else None, self._note_end)

    async def finished(self, names: Sequence[str]) -> Mapping[str, str]:
        """The fingerprints of those items that earlier runs have finished."""
        if self._journal is None or not self._has_begun:
            return {}
        return await self._journal.find_finished(self.id, names)

    def note_finished(self, name: str, fingerprint: str, size: int) -> None:
        """Record an item of a tree, in case the run does not come to its end. Never waits."""
        if self._journal is not None and self._has_begun and self._is_tree:
            self._has_notes = True
            self._journal.note_finished(self.id, name, fingerprint, size)

    async def leftovers(self) -> tuple[UnfinishedItem, ...]:
        """Items that earlier runs have begun and this one, at its end, has not met: their sources are gone or small."""
        if self._journal is None or not self._has_earlier:
            return ()
        return await self._journal.items_of(self.id)

    async def end(self, *, is_done: bool) -> bool:
        """Forget a job that is done, or of which nothing is there to go on with; keep any other.

        Returns:
            Whether something is kept.
        """
        if self._journal is None or not self._has_begun:
            return False
        keeps = not is_done and (self._has_earlier or self._has_notes or self._unfinished > 0)
        with anyio.CancelScope(shield=True):
            await self._journal.end(self.id, keep=keeps)
        return keeps and self.id > 0

    def _note_end(self) -> None:
        self._unfinished -= 1


def can_continue(error: BaseException) -> bool:
    """Whether the same command may succeed later with what is there already.

    It may after an interruption, and after a failure of the network, the store or the credentials; not when the item
    itself is at fault, or when nobody knows which of its bytes are wrong.
    """
    if isinstance(error, ChecksumMismatchError):
        return False
    return not isinstance(error, TransferError) or verdict_of(error) is not Verdict.FAIL_ITEM
