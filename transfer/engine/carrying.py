"""Carrying out what is planned: found ahead, worked on side by side, each outcome told.

A failure of one item never stops the others, unless every other one would fail in the same way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from transfer.engine.backlog import Backlog
from transfer.engine.context import Context
from transfer.engine.items import Item
from transfer.engine.job import Note
from transfer.engine.outcomes import Deliver
from transfer.engine.quick.errand import Done
from transfer.engine.quick.path import QuickPath, Ways
from transfer.engine.reading_ahead import BATCH_ITEMS, read_ahead
from transfer.engine.spread import plain_task_group, spread
from transfer.model.receipts import Failure, Outcome, Skip
from transfer.model.values import dataclass

T = TypeVar("T")


class RunEndedError(Exception):
    """The run stops after a failure that has been delivered already."""


@dataclass(frozen=True, slots=True)
class Movable(Generic[T]):
    """What of the things to do is only an item to be moved: it may be read ahead, go a shorter way, be done elsewhere.

    Attributes:
        item_of: The item that a thing is about; None when it is not one to be moved.
        with_item: The same thing with another item.
        note: Records what was finished elsewhere than by `act`.
    """

    item_of: Callable[[T], object]
    with_item: Callable[[T, Item], T]
    note: Note


async def carry_out(
    context: Context,
    planned: AsyncIterator[T],
    act: Callable[[T], Awaitable[Outcome | None]],
    deliver: Deliver[Outcome],
    movable: Movable[T] | None = None,
) -> bool:
    """Do what is planned, found ahead and worked on side by side, and deliver the outcomes.

    Args:
        context: The run.
        planned: What to do, as it is found out.
        act: Does one thing; its failure is a value. None means that there is nothing to tell.
        deliver: Takes the outcomes.
        movable: What may be moved by shorter ways than `act`; None means that `act` does all.

    Returns:
        Whether nothing failed.

    Raises:
        RunEndedError: A failure that every other item would share has been delivered.
        TransferError: What was planned could not be found out to the end; raised after what was found has been done.
    """
    ended = has_failed = False

    async def settle(found: T) -> None:
        outcome = await act(found)
        if outcome is not None:
            await tell(outcome)

    async def tell(outcome: Outcome) -> None:
        nonlocal ended, has_failed
        has_failed = has_failed or isinstance(outcome, Failure)
        ends = isinstance(outcome, Failure) and context.ends_run(outcome.error)
        if ends and ended:
            # Items that failed in the same moment for the same reason: it is told once.
            raise RunEndedError
        ended = ended or ends
        count(context, outcome)
        await deliver(outcome)
        if ends:
            raise RunEndedError

    def note(_: T, done: Done) -> None:
        if movable is not None and done.note is not None:
            movable.note(*done.note)
        count(context, done.receipt)

    async def tell_all(settled: Sequence[Done]) -> None:
        await deliver(*(done.receipt for done in settled))

    backlog = Backlog(planned)
    try:
        async with plain_task_group() as tasks:
            tasks.start_soon(backlog.fill)
            found = backlog.batches(BATCH_ITEMS)
            if movable is None:
                await spread(_each(found), settle, context.may_add_item_worker)
            else:
                if context.crew is not None:
                    from transfer.engine.crew.lending import lend_to_all

                    lend_to_all(context.crew, tasks, backlog, movable.item_of, movable.note, tell)
                ready = read_ahead(context, found, movable.item_of, movable.with_item)
                ways = Ways(movable.item_of, movable.with_item, settle, note, tell_all)
                with QuickPath(context, tasks, ways) as quick:
                    await spread(quick.passing(ready), settle, context.may_add_item_worker)
    finally:
        backlog.close()
    if backlog.error is not None:
        raise backlog.error
    return not has_failed


def count(context: Context, outcome: Outcome) -> None:
    """Count a settled item."""
    if isinstance(outcome, Failure):
        context.progress.items_failed += 1
    elif isinstance(outcome, Skip):
        context.progress.items_skipped += 1
    else:
        context.progress.items_done += 1


async def _each(batches: AsyncIterator[list[T]]) -> AsyncIterator[T]:
    async for batch in batches:
        for thing in batch:
            yield thing
