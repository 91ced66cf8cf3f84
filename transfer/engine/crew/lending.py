"""Small items of a backlog, lent to a worker process as long as many wait.

Every process takes what it has room for, so whoever is faster moves more. What a lost worker had in hand, and what
turns out not to be small, goes back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from anyio.abc import TaskGroup

from transfer.engine.backlog import Backlog
from transfer.engine.crew.crew import Crew
from transfer.engine.crew.member import Member
from transfer.engine.crew.orders import Settled, SmallItem
from transfer.engine.items import DownloadItem, UploadItem
from transfer.engine.job import Note
from transfer.engine.reading_ahead import BATCH_ITEMS
from transfer.model.receipts import Outcome, Receipt
from transfer.plan.processes import SMALL_ITEM_BYTES

T = TypeVar("T")

LENT_BATCHES: Final = 4
"""What a worker has in hand at least, in batches: enough not to wait while the first process is busy."""


def small_item(item: object) -> SmallItem | None:
    """The item, if any process can move it by itself."""
    if isinstance(item, UploadItem):
        return item if item.size is not None and item.size <= SMALL_ITEM_BYTES and item.read is None else None
    if isinstance(item, DownloadItem):
        return item if item.listed is not None and item.listed.size <= SMALL_ITEM_BYTES else None
    return None


def lend_to_all(
    crew: Crew,
    tasks: TaskGroup,
    backlog: Backlog[T],
    item_of: Callable[[T], object],
    note: Note,
    tell: Callable[[Outcome], Awaitable[None]],
) -> None:
    """Have all workers do their part of a backlog.

    Args:
        crew: The workers.
        tasks: What lends to them, and takes what comes back.
        backlog: What there is to do.
        item_of: The item that a thing is about; None when it is not one to be moved.
        note: Records what is finished.
        tell: Takes each outcome.
    """

    async def settle(settled: Settled) -> None:
        if settled.outcome is None:
            return
        if settled.note is not None:
            note(*settled.note)
        if isinstance(settled.outcome, Receipt):
            crew.note_reached()
        await tell(settled.outcome)

    for member in crew.members:
        tasks.start_soon(
            lend, member, backlog, lambda thing: small_item(item_of(thing)), settle, crew.note_work, crew.wants_items
        )


async def lend(
    member: Member,
    backlog: Backlog[T],
    item_of: Callable[[T], SmallItem | None],
    settle: Callable[[Settled], Awaitable[None]],
    note_work: Callable[[], None],
    may_lend: Callable[[], bool],
) -> None:
    """Have a worker move what it has room for until nothing is left to lend.

    Args:
        member: The worker.
        backlog: What there is to do.
        item_of: What of it can be lent.
        settle: Told what became of each that was moved or has failed.
        note_work: Told when the worker has something to do, after it had nothing.
        may_lend: Whether it should be given more; the worker is woken when that changes.
    """
    lent: dict[int, T] = {}
    backlog.listeners.append(member.wake)
    while True:
        # Until nothing has settled while that was told: what a lost worker has done is not to be done again.
        while news := member.take_settled():
            for settled in news:
                thing = lent.pop(settled.number)
                if settled.outcome is not None:
                    await settle(settled)
                backlog.return_(1, [thing] if settled.outcome is None else [])
        if member.is_lost:
            break
        room = max(LENT_BATCHES * BATCH_ITEMS, 2 * member.share) - len(lent)
        has_room = room >= BATCH_ITEMS and backlog.has_enough_to_lend and may_lend()
        things = backlog.lend(BATCH_ITEMS, lambda thing: item_of(thing) is not None) if has_room else []
        if things:
            items = [item for item in map(item_of, things) if item is not None]
            lent.update(zip(member.move(items), things, strict=True))
            note_work()
        elif not lent and backlog.is_exhausted:
            return
        else:
            await member.wait()
    backlog.return_(len(lent), list(lent.values()))
