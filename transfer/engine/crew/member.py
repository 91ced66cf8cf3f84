"""One worker process as the first process sees it: what it has in hand, what it says, how it ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import anyio

from transfer.engine.crew.channel import Channel
from transfer.engine.crew.orders import (
    REDUCERS,
    Cancel,
    CloseFile,
    DoPart,
    Move,
    OpenFile,
    PartDone,
    Settled,
    Share,
    SmallItem,
)
from transfer.engine.part_sending import PartToSend
from transfer.engine.range_fetching import RangeToFetch
from transfer.stores.local.source import FileVersion
from transfer.system.forking import Forked, end, reap

ENDING_SECONDS: Final = 1.0
"""How long a worker may take to stop what it does and tidy up: Ctrl-C must be over within two seconds."""
_LOOK_SECONDS: Final = 0.005


class LostError(Exception):
    """The worker has ended before it had done what it was to do."""


class Member:
    """One worker.

    Attributes:
        pid: Its process.
        is_lost: Whether it has ended, or is to end: nothing more is done by it.
        share: How many requests it may have in flight.
        held: How many things it has in hand.
    """

    def __init__(self, forked: Forked, hear: Callable[[Member, Any], None]) -> None:
        """Talk to a worker; needs a running event loop.

        Args:
            forked: The process.
            hear: Told what it says, but for what has settled, and None when it is lost.
        """
        self.pid: Final = forked.pid
        self.is_lost = False
        self.share = 0
        self._cuts = 0
        self.held = 0
        self._hear: Final = hear
        self._channel: Final = Channel(forked.socket, REDUCERS, self._take, self._lost)
        self._settled: list[Settled] = []
        self._count = 0
        self._parts: dict[int, asyncio.Future[PartDone]] = {}
        self._news = anyio.Event()

    def send(self, message: Any) -> None:  # noqa: ANN401 - any order
        """Tell it something."""
        self._channel.send(message)

    def may_make(self, requests: int, cuts: int) -> None:
        """Set its share; `cuts` is how often that of all was lowered because the store objected."""
        if (requests, cuts) != (self.share, self._cuts):
            self.share, self._cuts = requests, cuts
            self.send(Share(requests, cuts))

    def move(self, items: Sequence[SmallItem]) -> range:
        """Have it move items; the numbers by which it will speak of them."""
        first, self._count = self._count, self._count + len(items)
        self.held += len(items)
        self.send(Move(first, tuple(items)))
        return range(first, self._count)

    def open_file(self, fd: int, path: str, version: FileVersion | None) -> int:
        """Let it use an open file; the number by which `do` names it."""
        self._count += 1
        status = os.fstat(fd)
        order = OpenFile(self._count, path, (status.st_dev, status.st_ino), version)
        self._channel.send_with_file(order, fd)
        return self._count

    def close_file(self, number: int) -> None:
        """It needs the file no more."""
        self.send(CloseFile(number))

    async def do(self, part: PartToSend | RangeToFetch, file: int, note_work: Callable[[], None]) -> PartDone:
        """Have it do a part of an open file; when this is cancelled, it has stopped before this returns.

        Args:
            part: The part.
            file: The number of the file.
            note_work: Told when it has something to do.

        Raises:
            LostError: The worker is lost.
        """
        if self.is_lost:
            raise LostError
        self._count += 1
        ticket = self._count
        done = self._parts[ticket] = asyncio.get_running_loop().create_future()
        self.held += 1
        self.send(DoPart(ticket, file, part))
        note_work()
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            await self._stopped(ticket, done)
            raise
        finally:
            del self._parts[ticket]

    async def _stopped(self, ticket: int, done: asyncio.Future[PartDone]) -> None:
        """Have it stop a part, and wait until it has; one that does not answer is ended, which stops it as well."""
        self.send(Cancel(ticket))
        with anyio.move_on_after(ENDING_SECONDS, shield=True), suppress(LostError):
            await asyncio.shield(done)
            return
        if not done.done():
            end(self.pid)

    def take_settled(self) -> Sequence[Settled]:
        """What has settled since the last time."""
        settled, self._settled = self._settled, []
        return settled

    def wake(self) -> None:
        """End the wait of whoever works with it."""
        self._news.set()

    async def wait(self) -> None:
        """Wait until something has settled, it is lost, or somebody wakes those who wait."""
        await self._news.wait()
        self._news = anyio.Event()

    async def aclose(self) -> None:
        """Have it stop what it does, and wait until it has ended; one that does not is ended."""
        self.is_lost = True
        self._channel.close()
        looks = int(ENDING_SECONDS / _LOOK_SECONDS)
        for _ in range(looks):
            if reap(self.pid) is not None:
                break
            await anyio.sleep(_LOOK_SECONDS)
        else:
            end(self.pid)
        self._give_up_parts()

    def _take(self, message: Any, descriptor: int | None) -> None:  # noqa: ANN401, ARG002 - workers send no files
        if isinstance(message, Settled):
            self.held -= 1
            self._settled.append(message)
            self.wake()
        elif isinstance(message, PartDone):
            self.held -= 1
            waiting = self._parts.get(message.ticket)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
        else:
            self._hear(self, message)

    def _lost(self) -> None:
        self.is_lost = True
        self.held = 0
        self._give_up_parts()
        self.wake()
        self._hear(self, None)

    def _give_up_parts(self) -> None:
        """Its process has ended: nothing is done any more for what it had in hand."""
        for waiting in self._parts.values():
            if not waiting.done():
                waiting.set_exception(LostError)
