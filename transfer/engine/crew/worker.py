"""A worker process: moves what it is handed, and tells what became of it. It decides nothing that concerns the run.

It ends when the other end of its socket is closed, whoever closed it: then whatever goes on is cancelled and tidied up.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup

from transfer.engine.attempts import Attempts
from transfer.engine.context import Context
from transfer.engine.copying import move_item
from transfer.engine.crew.asking import Asking, AskingAccess, AskingLimiter
from transfer.engine.crew.borrowed_job import BorrowedJob, NotSmallError
from transfer.engine.crew.channel import Channel
from transfer.engine.crew.follower import Follower
from transfer.engine.crew.orders import (
    COUNTERS,
    REDUCERS,
    Answer,
    Cancel,
    CloseFile,
    Counted,
    DoPart,
    Move,
    OpenFile,
    PartDone,
    Reached,
    Settled,
    Setup,
    Share,
    SmallItem,
    Told,
)
from transfer.engine.crew.part_work import PartWork
from transfer.engine.items import DownloadItem, Item, UploadItem
from transfer.engine.lanes import Lanes
from transfer.engine.quick.errand import Done
from transfer.engine.quick.path import QuickPath, Ways
from transfer.engine.reading_ahead import read_ahead
from transfer.engine.spread import spread
from transfer.engine.stores import open_store
from transfer.engine.threads import Threads
from transfer.model.events import Event, ignore_event
from transfer.model.progress import Progress
from transfer.stores.s3.store import S3Store

REPORT_SECONDS: Final = 0.1
"""How often counters are told while something moves: a bar is drawn no oftener."""

Numbered = tuple[int, SmallItem]


def serve(end: socket.socket) -> None:
    """Be a worker until the other end of the socket is closed."""
    asyncio.run(_live(end))


async def _live(end: socket.socket) -> None:
    inbox: deque[tuple[Any, int | None]] = deque()
    news = anyio.Event()

    def take(message: Any, descriptor: int | None) -> None:  # noqa: ANN401 - any order
        inbox.append((message, descriptor))
        news.set()

    async with anyio.create_task_group() as tasks, AsyncExitStack() as stack:
        channel = Channel(end, REDUCERS, take, tasks.cancel_scope.cancel)
        stack.callback(channel.close)
        worker: _Worker | None = None
        while True:
            while inbox:
                message, descriptor = inbox.popleft()
                if isinstance(message, Setup):
                    worker = await _Worker.opened(stack, tasks, channel, message)
                elif worker is not None:
                    worker.obey(message, descriptor)
            news = anyio.Event()
            await news.wait()


class _Worker:
    """One worker process, once it knows what it is to take part in."""

    _context: Context

    def __init__(self, channel: Channel, tasks: TaskGroup) -> None:
        self._channel: Final = channel
        self._tasks: Final = tasks
        self._asking: Final = Asking(channel.send)
        self._governor: Final = Follower(channel.send)
        self._lanes: Final = Lanes(self._governor, ignore_event)
        self._progress: Final = Progress()
        self._counted = dict.fromkeys(COUNTERS, 0)
        self._parts: Final = PartWork(self._tell_done)
        self._found: Final[deque[list[Numbered]]] = deque()
        self._news = anyio.Event()
        self._held = 0

    @classmethod
    async def opened(cls, stack: AsyncExitStack, tasks: TaskGroup, channel: Channel, setup: Setup) -> _Worker:
        """Open what the run needs, as long as `stack` is open, and begin."""
        worker = cls(channel, tasks)
        store, _ = await open_store(stack, setup.connection, AskingAccess(worker._asking))
        worker._lanes.start()
        stack.callback(worker._lanes.stop)
        worker._context = worker._context_at(store, setup)
        tasks.start_soon(worker._move_items)
        tasks.start_soon(worker._report)
        return worker

    def obey(self, order: Any, descriptor: int | None) -> None:  # noqa: ANN401 - any order
        """Begin what is asked for."""
        if isinstance(order, Move):
            self._held += len(order.items)
            self._found.append(list(enumerate(order.items, order.first)))
            self._news.set()
        elif isinstance(order, DoPart):
            self._held += 1
            self._parts.begin(self._tasks, self._context, order)
        elif isinstance(order, Cancel):
            self._parts.cancel(order.ticket)
        elif isinstance(order, OpenFile) and descriptor is not None:
            self._parts.open(order, descriptor)
        elif isinstance(order, CloseFile):
            self._parts.close(order)
        elif isinstance(order, Share):
            self._governor.limit, self._governor.cuts = order.requests, order.cuts
            self._lanes.adopt_limit()
        elif isinstance(order, Reached):
            self._context.attempts.note_reached()
        elif isinstance(order, Answer):
            self._asking.answered(order)

    def _context_at(self, store: S3Store, setup: Setup) -> Context:
        step_bytes, lanes, progress = setup.rate_step_bytes, self._lanes, self._progress
        limiter = None if step_bytes is None else AskingLimiter(self._asking, step_bytes)
        attempts = Attempts(
            store,
            lanes,
            progress,
            self._tell,
            retries=setup.options.retries,
            limiter=limiter,
            processes=setup.processes,
        )
        options = replace(setup.options, resume=False)
        return Context(store, attempts, lanes, Threads(), progress, self._tell, options, tasks=self._tasks)

    async def _move_items(self) -> None:
        context = self._context
        ready = read_ahead(context, self._batches(), _item_of, _with_item)
        ways = Ways(_item_of, _with_item, self._move_item, self._note_done, _nothing_more)
        with QuickPath(context, self._tasks, ways) as quick:
            await spread(quick.passing(ready), self._move_item, context.may_add_item_worker)

    async def _batches(self) -> AsyncIterator[list[Numbered]]:
        while True:
            while self._found:
                yield self._found.popleft()
            self._news = anyio.Event()
            await self._news.wait()

    async def _move_item(self, numbered: Numbered) -> None:
        number, item = numbered
        job = BorrowedJob()
        try:
            settled = Settled(number, await move_item(self._context, job, item), job.note)
        except NotSmallError:
            settled = Settled(number, None, None)
        self._tell_done(settled)

    def _note_done(self, numbered: Numbered, done: Done) -> None:
        self._tell_done(Settled(numbered[0], done.receipt, done.note))

    def _tell_done(self, done: Settled | PartDone) -> None:
        """Counters go before the last thing in hand: when that is told, they are whole."""
        self._held -= 1
        if not self._held:
            self._count()
        self._channel.send(done)

    def _tell(self, event: Event) -> None:
        self._channel.send(Told(event))

    async def _report(self) -> None:
        while True:
            await anyio.sleep(REPORT_SECONDS)
            self._count()

    def _count(self) -> None:
        """Tell what was counted since the last time."""
        now = {name: getattr(self._progress, name) for name in COUNTERS}
        news = {name: count - self._counted[name] for name, count in now.items() if count != self._counted[name]}
        if news:
            self._counted = now
            self._channel.send(Counted(news))


async def _nothing_more(_: Sequence[Done]) -> None:
    """What is done has been told: the first process waits for whoever listens."""


def _item_of(numbered: Numbered) -> SmallItem:
    return numbered[1]


def _with_item(numbered: Numbered, item: Item) -> Numbered:
    if not isinstance(item, UploadItem | DownloadItem):
        raise TypeError(item)
    return numbered[0], item
