"""The thread that owns the journal file, and the queue in front of it.

Whatever waits when the thread comes back from one transaction becomes the next one: the more there is to write, the
fewer commits it takes. The order is that of the calls. It knows nothing of what it writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, TypeVar, cast

from transfer.journal.claims import Claims
from transfer.journal.keeper import Keeper, Work
from transfer.journal.records import MemoryRecords, Note, Records
from transfer.model.errors import HeldError
from transfer.model.values import dataclass

T = TypeVar("T")

NOTE_DELAY_SECONDS: Final = 0.05
"""How long notes wait for more of them: some hundred per commit at the rate of small files, and a killed run moves
no more than that again."""


@dataclass(frozen=True, slots=True)
class _Task:
    """Something that somebody waits for; `work` is None when the thread shall end.

    The flags are those of `Keeper.perform`.
    """

    work: Work | None
    creates: bool
    durable: bool
    reads: bool
    future: asyncio.Future[object]


class Writer:
    """A queue of operations, done in order by one thread that starts with the first."""

    def __init__(self, folder: str, warn: Callable[[str], None]) -> None:
        self._warn: Final = warn
        self._warnings: Final[deque[str]] = deque()
        self._keeper: Final = Keeper(folder, self._warnings.append)
        self._queue: Final[deque[_Task | Note]] = deque()
        self._wake: Final = threading.Event()
        self._urgent: Final = threading.Event()
        self._is_asleep = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: asyncio.Future[object] | None = None
        self._after_close: Final = MemoryRecords(Claims())

    async def perform(
        self, work: Callable[[Records], T], *, creates: bool = False, durable: bool = False, reads: bool = False
    ) -> T:
        """Do an operation; returns when it is committed. A cancelled one is done all the same.

        Args:
            work: The operation.
            creates: Whether there shall be a journal if there is none.
            durable: Whether it shall survive a loss of power when this returns.
            reads: It changes nothing.

        Raises:
            HeldError: As the operation did.
        """
        if self._closing is not None:
            return work(self._after_close)
        # The thread hands back what the operation returned.
        return cast("T", await self._submit(work, creates=creates, durable=durable, reads=reads))

    def post(self, work: Work) -> None:
        """Do an operation for which nobody waits."""
        if self._thread is not None and self._closing is None:
            self._submit(work)

    def hurry(self) -> None:
        """Wait for other processes hardly at all from now on."""
        self._keeper.hurry()

    def note(self, note: Note) -> None:
        """Queue a note; never waits."""
        if self._thread is not None and self._closing is None:
            self._queue.append(note)
            if self._is_asleep:
                self._wake.set()

    async def aclose(self) -> None:
        """Do everything that is queued, close the file and end the thread. Goes on in the thread when cancelled."""
        if self._thread is None:
            return
        if self._closing is None:
            self._closing = self._submit(None)
        await asyncio.shield(self._closing)
        # It has nothing left to do but to return.
        self._thread.join()

    def _submit(
        self, work: Work | None, *, creates: bool = False, durable: bool = False, reads: bool = False
    ) -> asyncio.Future[object]:
        self._loop = asyncio.get_running_loop()
        task = _Task(work, creates, durable, reads, self._loop.create_future())
        self._queue.append(task)
        self._urgent.set()
        if self._thread is None:
            # A daemon: a program that ends without closing must not hang, and its lock ends with it.
            self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
            self._thread.start()
        elif self._is_asleep:
            self._wake.set()
        return task.future

    def _run(self) -> None:
        is_open = True
        while is_open:
            while self._keeper.has_orphans and not self._queue:
                self._keeper.tidy()
            self._wait()
            entries = [self._queue.popleft() for _ in range(len(self._queue))]
            tasks = [entry for entry in entries if isinstance(entry, _Task)]
            works, positions = _in_order(entries)
            outcomes = self._perform(works, tasks, has_notes=len(entries) > len(tasks))
            is_open = all(task.work is not None for task in tasks)
            if not is_open:
                self._keeper.close()
            answers = [None if position is None else outcomes[position] for position in positions]
            self._answer([(task.future, answer) for task, answer in zip(tasks, answers, strict=True)])

    def _perform(self, works: Sequence[Work], tasks: Sequence[_Task], *, has_notes: bool) -> list[object]:
        """Do what was queued, with the care that the most demanding of it needs."""
        if not works:
            return []
        return self._keeper.perform(
            works,
            creates=any(task.creates for task in tasks),
            durable=any(task.durable for task in tasks),
            reads=not has_notes and all(task.reads or task.work is None for task in tasks),
        )

    def _wait(self) -> None:
        """Return when there is something to do: at once when somebody waits for it, else when notes had their time.

        The queue is looked at after the flag is up, and others raise the event after they filled the queue, if the
        flag is up: one of the two always sees the other.
        """
        self._wake.clear()
        self._is_asleep = True
        if not self._queue:
            self._wake.wait()
        self._is_asleep = False
        self._urgent.wait(NOTE_DELAY_SECONDS)
        self._urgent.clear()

    def _answer(self, answers: Sequence[tuple[asyncio.Future[object], object]]) -> None:
        if self._loop is not None and (answers or self._warnings):
            # A loop that is closed has nobody left who waits.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._deliver, answers)

    def _deliver(self, answers: Sequence[tuple[asyncio.Future[object], object]]) -> None:
        try:
            while self._warnings:
                self._warn(self._warnings.popleft())
        finally:
            for future, answer in answers:
                if future.done():
                    continue
                if isinstance(answer, HeldError):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)


def _in_order(entries: Sequence[_Task | Note]) -> tuple[list[Work], list[int | None]]:
    """The operations of one transaction, notes in a row joined to one; and where each task's is among them."""
    works: list[Work] = []
    positions: list[int | None] = []
    notes: list[Note] = []

    def write_notes() -> None:
        if notes:
            some = tuple(notes)
            notes.clear()
            works.append(lambda records: records.note_finished(some))

    for entry in entries:
        if isinstance(entry, Note):
            notes.append(entry)
            continue
        write_notes()
        positions.append(None if entry.work is None else len(works))
        if entry.work is not None:
            works.append(entry.work)
    write_notes()
    return works, positions
