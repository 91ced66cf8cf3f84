"""A large file whose parts all processes of a run work on: whoever has least in hand does the next one."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.crew.member import LostError, Member
from transfer.engine.crew.orders import PartDone
from transfer.engine.part_sending import PartToSend, send_part
from transfer.engine.range_fetching import RangeToFetch, fetch_range
from transfer.engine.receiving import Landing, Receiver
from transfer.engine.verifying import RangeDigest
from transfer.integrity.proof import SentPart
from transfer.model.errors import TransferError
from transfer.model.receipts import Mover
from transfer.stores.local.source import SourceFile


class SharedFile:
    """An open file; for `with`, which must end before the file is closed."""

    def __init__(self, context: Context, file: SourceFile | Landing) -> None:
        """Share a file that is open, with whatever workers there are."""
        self._context: Final = context
        self._file: Final = file
        self._numbers: dict[Member, int] = {}
        self._held_here = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for member, number in self._numbers.items():
            member.close_file(number)

    async def send(self, source: SourceFile, part: PartToSend, tally: Tally) -> tuple[SentPart, Mover]:
        """Send a part of the file, here or elsewhere; raises as `send_part`."""
        done = await self._done_elsewhere(part, tally)
        if done is not None and isinstance(done.result, SentPart):
            return done.result, done.mover
        self._held_here += 1
        try:
            return await send_part(self._context, source, part, tally)
        finally:
            self._held_here -= 1

    async def fetch(self, receiver: Receiver, landing: Landing, range_: RangeToFetch) -> RangeDigest:
        """Fetch a range into the file, here or elsewhere; raises as `fetch_range`."""
        done = await self._done_elsewhere(range_, receiver.tally)
        if done is not None and isinstance(done.result, RangeDigest):
            receiver.mover = done.mover
            return done.result
        self._held_here += 1
        try:
            return await fetch_range(self._context, receiver, landing, range_)
        finally:
            self._held_here -= 1

    async def _done_elsewhere(self, part: PartToSend | RangeToFetch, tally: Tally) -> PartDone | None:
        """Have a worker do it; None when none has room, or the one that had is lost."""
        crew = self._context.crew
        member = min(crew.members, key=lambda one: one.held, default=None) if crew is not None else None
        if crew is None or member is None or member.held >= self._held_here:
            return None
        try:
            done = await member.do(part, self._number_at(member), crew.note_work)
        except LostError:
            return None
        tally.retries += done.retries
        if isinstance(done.result, TransferError):
            raise done.result
        crew.note_reached()
        return done

    def _number_at(self, member: Member) -> int:
        number = self._numbers.get(member)
        if number is None:
            file = self._file
            version = file.version if isinstance(file, SourceFile) else None
            number = self._numbers[member] = member.open_file(file.fd, file.path, version)
        return number
