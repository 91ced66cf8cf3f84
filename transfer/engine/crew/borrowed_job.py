"""The journal as a worker knows it: it has none. What is to be remembered goes back to the first process."""

from __future__ import annotations

from typing import Final, NoReturn

from transfer.engine.crew.orders import Note
from transfer.engine.job import Job
from transfer.model.unfinished import ItemIdentity, JobDescription

_ELSEWHERE: Final = JobDescription("", (), "")


class NotSmallError(Exception):
    """The item is large after all: only the first process can claim it."""


class BorrowedJob(Job):
    """What one small item notes.

    Attributes:
        note: What is to be remembered of it, once it is finished.
    """

    def __init__(self) -> None:
        super().__init__(None, _ELSEWHERE, is_tree=True)
        self.note: Note | None = None

    async def claim(self, identity: ItemIdentity) -> NoReturn:  # noqa: ARG002 - every item is
        """Give the item back: nothing of it has moved.

        Raises:
            NotSmallError: Always.
        """
        raise NotSmallError

    def note_finished(self, name: str, fingerprint: str, size: int) -> None:
        """See `Job.note_finished`."""
        self.note = name, fingerprint, size
