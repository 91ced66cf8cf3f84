"""The parts that a worker does of files that the first process has opened."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Final

import anyio
from anyio.abc import TaskGroup

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.crew.orders import CloseFile, DoPart, OpenFile, PartDone
from transfer.engine.part_sending import PartToSend, send_part
from transfer.engine.range_fetching import fetch_range
from transfer.engine.receiving import Receiver
from transfer.engine.verifying import RangeDigest
from transfer.integrity.proof import SentPart
from transfer.model.errors import TransferError
from transfer.model.receipts import Mover
from transfer.model.values import dataclass
from transfer.stores.local.source import SourceFile


@dataclass(frozen=True, slots=True)
class _Received:
    """A file that ranges go to."""

    fd: int
    path: str


class PartWork:
    """Open files, and the parts of them that are under way."""

    def __init__(self, tell: Callable[[PartDone], None]) -> None:
        """Tell what became of each part, once nothing is done for it any more."""
        self._tell: Final = tell
        self._files: dict[int, SourceFile | _Received] = {}
        self._scopes: dict[int, anyio.CancelScope] = {}

    def open(self, file: OpenFile, descriptor: int) -> None:
        """Use a file from now on.

        Raises:
            OSError: Another file has come than the one that is meant.
        """
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) != file.identity:
            raise OSError(errno.EBADF, "another file came along", file.path)
        self._files[file.number] = (
            _Received(descriptor, file.path)
            if file.version is None
            else SourceFile.received(descriptor, file.path, file.version)
        )

    def close(self, file: CloseFile) -> None:
        """Let go of a file of which no part is under way."""
        os.close(self._files.pop(file.number).fd)

    def begin(self, tasks: TaskGroup, context: Context, order: DoPart) -> None:
        """Do a part beside all else."""
        scope = self._scopes[order.ticket] = anyio.CancelScope()
        tasks.start_soon(self._do, context, order, scope)

    def cancel(self, ticket: int) -> None:
        """Stop what is done for a part, if it is under way."""
        scope = self._scopes.get(ticket)
        if scope is not None:
            scope.cancel()

    async def _do(self, context: Context, order: DoPart, scope: anyio.CancelScope) -> None:
        done = PartDone(order.ticket, None, Mover.NONE, 0)
        with scope:
            done = await self._done(context, order)
        del self._scopes[order.ticket]
        self._tell(done)

    async def _done(self, context: Context, order: DoPart) -> PartDone:
        file, part = self._files[order.file], order.part
        mover, tally = Mover.NONE, Tally()
        result: SentPart | RangeDigest | TransferError
        try:
            if isinstance(part, PartToSend) and isinstance(file, SourceFile):
                result, mover = await send_part(context, file, part, tally)
            elif not isinstance(part, PartToSend):
                receiver = Receiver(context, part.location)
                tally = receiver.tally
                result = await fetch_range(context, receiver, file, part)
                mover = receiver.mover
            else:
                raise TypeError(order)
        except TransferError as error:
            result = error
        return PartDone(order.ticket, result, mover, tally.retries)
