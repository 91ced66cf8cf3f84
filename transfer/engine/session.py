"""What is open while a run goes on: the way to the store, the lanes, the journal, the group of all its tasks."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import field, replace
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup

from transfer.engine.context import Context
from transfer.engine.hedging import HedgeBudget
from transfer.engine.lanes import Governing, Lanes
from transfer.engine.memory import MemoryBudget
from transfer.engine.second_store import open_second, second_at
from transfer.engine.stores import attempts_at, open_store
from transfer.engine.threads import Threads
from transfer.model.events import EventSink, Warned, ignore_event
from transfer.model.options import ConnectionOptions, TransferOptions
from transfer.model.progress import Progress
from transfer.model.values import dataclass
from transfer.plan.governor import DEFAULT_INITIAL, Governor
from transfer.stores.s3.access import Access
from transfer.stores.s3.static_access import region_of
from transfer.stores.s3.store import S3Store
from transfer.system.forking import Forked

if TYPE_CHECKING:
    from transfer.journal.journal import Journal
    from transfer.stores.s3.botocore_access import BotocoreAccess


@dataclass(frozen=True, slots=True)
class Session:
    """One run's open things; they are closed by the stack they were opened on."""

    context: Context
    access: Access
    journal: Journal | None
    tasks: TaskGroup


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a run was asked for.

    Attributes:
        destination: Another store, when there is one.
        workers: Processes that wait to take part.
    """

    connection: ConnectionOptions
    destination: ConnectionOptions | None
    options: TransferOptions
    progress: Progress
    on_event: EventSink
    workers: Sequence[Forked] = ()


@dataclass(frozen=True, slots=True)
class Budgets:
    """What a process has once, however many runs go on in it: threads, and memory for bodies."""

    threads: Threads = field(default_factory=Threads)
    memory: MemoryBudget = field(default_factory=MemoryBudget)
    hedges: HedgeBudget = field(default_factory=HedgeBudget)


async def open_session(stack: AsyncExitStack, wishes: Wishes, budgets: Budgets | None = None) -> Session:
    """Open what a run needs, as long as `stack` is open.

    Args:
        stack: Closes it all.
        wishes: What was asked for.
        budgets: Those of other runs in this process; None for a run that is alone.

    Raises:
        UsageError: An endpoint is no URL.
        ConfigurationError: Certificates cannot be read.
    """
    store, access = await open_store(stack, wishes.connection)
    governor = _governor(wishes.options)
    if wishes.workers:
        return await _open_shared(stack, wishes, governor, store, access)
    context = _context(wishes, store, _lanes(stack, governor, wishes.on_event), budgets or Budgets())
    journal = _journal(stack, wishes)
    if wishes.destination is not None:
        context.second = await open_second(stack, context, wishes.destination)
    return Session(context, access, journal, await _tasks(stack, context))


async def _open_shared(
    stack: AsyncExitStack, wishes: Wishes, governor: Governor, store: S3Store, access: Access
) -> Session:
    """Open a run that several processes share: those that wait are set going."""
    from transfer.engine.crew.crew import Crew, Means
    from transfer.engine.crew.once import OnceTold
    from transfer.engine.crew.shared_governor import SharedGovernor

    wishes = replace(wishes, on_event=OnceTold(wishes.on_event))
    shared = SharedGovernor(governor, wishes.on_event)
    context = _context(wishes, store, _lanes(stack, shared, ignore_event), Budgets())
    session = Session(context, access, _journal(stack, wishes), await _tasks(stack, context))
    crew = context.crew = Crew(wishes.workers, Means(shared, access, context, session.tasks), wishes.connection)
    stack.push_async_callback(crew.aclose)
    return session


async def open_beside(
    stack: AsyncExitStack, other: Session, wishes: Wishes, destination: Session | None = None
) -> Session:
    """Use the store and the lanes of another run, which stays open longer.

    A number of requests that was asked for is the run's own; its connections and its memory are shared all the same.

    Args:
        stack: Closes what is the run's own.
        other: The other run.
        wishes: What was asked for.
        destination: A run at the other store, when there is one.
    """
    base = other.context
    lanes = (
        base.lanes if wishes.options.concurrency is None else _lanes(stack, _governor(wishes.options), wishes.on_event)
    )
    context = _context(wishes, base.store, lanes, Budgets(base.threads, base.memory, base.hedges))
    if destination is not None:
        context.second = second_at(context, destination.context.store)
    journal = _journal(stack, wishes)
    return Session(context, other.access, journal, await _tasks(stack, context))


@asynccontextmanager
async def administration(session: Session, connection: ConnectionOptions) -> AsyncIterator[BotocoreAccess]:
    """The access of aiobotocore, also when the hot requests do without it."""
    from transfer.stores.s3.botocore_access import BotocoreAccess

    if isinstance(session.access, BotocoreAccess):
        yield session.access
        return
    access = BotocoreAccess(connection, region_of(connection, os.environ))
    try:
        yield access
    finally:
        await access.aclose()


def _context(wishes: Wishes, store: S3Store, lanes: Lanes, budgets: Budgets) -> Context:
    progress, on_event, options = wishes.progress, wishes.on_event, wishes.options
    attempts = attempts_at(store, lanes, progress, on_event, options, 1 + len(wishes.workers))
    return Context(
        store,
        attempts,
        lanes,
        budgets.threads,
        progress,
        on_event,
        options,
        hedges=budgets.hedges,
        memory=budgets.memory,
    )


def _lanes(stack: AsyncExitStack, governor: Governing, on_event: EventSink) -> Lanes:
    lanes = Lanes(governor, on_event)
    lanes.start()
    stack.callback(lanes.stop)
    return lanes


async def _tasks(stack: AsyncExitStack, context: Context) -> TaskGroup:
    """The group of all tasks of the run, which end with it."""
    stack.callback(context.landings.close)
    tasks = await stack.enter_async_context(anyio.create_task_group())
    stack.callback(tasks.cancel_scope.cancel)
    context.tasks = context.destination.tasks = tasks
    return tasks


def _journal(stack: AsyncExitStack, wishes: Wishes) -> Journal | None:
    """The journal, which opens nothing before there is something to remember."""
    if not wishes.options.resume:
        return None
    from transfer.engine.state import state_folder
    from transfer.journal.journal import Journal

    journal = Journal(state_folder(wishes.options.state_folder), lambda message: wishes.on_event(Warned(message)))
    stack.push_async_callback(_close, journal)
    return journal


async def _close(journal: Journal) -> None:
    with anyio.CancelScope(shield=True):
        await journal.aclose()


def _governor(options: TransferOptions) -> Governor:
    return Governor(DEFAULT_INITIAL) if options.concurrency is None else Governor.fixed(options.concurrency)
