"""Several runs in one process that reach the same store: one pool of connections and one set of lanes for all.

Whatever stores they reach, their threads and their memory for bodies are together those of one run.

What is asked for and told stays each run's own: options, counters, events, and the journal.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from contextvars import ContextVar
from typing import Final

import anyio
from anyio.abc import TaskGroup, TaskStatus

from transfer.engine.session import Budgets, Session, Wishes, open_session
from transfer.model.events import ignore_event
from transfer.model.options import ConnectionOptions, TransferOptions
from transfer.model.progress import Progress


class SharedStores:
    """The stores that the runs of a block have reached, each opened once and kept open."""

    def __init__(self, tasks: TaskGroup, options: TransferOptions) -> None:
        """Prepare; nothing is opened.

        Args:
            tasks: Keeps the stores open; cancelling it closes them.
            options: How many requests may be in flight to each.
        """
        self._tasks: Final = tasks
        self._options: Final = options
        self._budgets: Final = Budgets()
        self._opened: dict[ConnectionOptions, Session] = {}
        self._opening: Final = anyio.Lock()

    async def opened(self, connection: ConnectionOptions) -> Session:
        """The session whose store is shared with all that connect alike; raises as `open_session`."""
        async with self._opening:
            if connection not in self._opened:
                # Opened and closed by a task of its own: the one that asks first may end first.
                outcome = await self._tasks.start(self._keep, connection)
                if isinstance(outcome, Exception):
                    raise outcome
                self._opened[connection] = outcome
        return self._opened[connection]

    async def _keep(self, connection: ConnectionOptions, *, task_status: TaskStatus[Session | Exception]) -> None:
        async with AsyncExitStack() as stack:
            wishes = Wishes(connection, None, self._options, Progress(), ignore_event)
            try:
                session = await open_session(stack, wishes, self._budgets)
            except Exception as error:  # noqa: BLE001 - it belongs to whoever asked
                task_status.started(error)
                return
            task_status.started(session)
            await anyio.sleep_forever()


shared_stores: ContextVar[SharedStores | None] = ContextVar("shared_stores", default=None)
"""Where a run that begins now finds its store; None has it open one of its own."""
