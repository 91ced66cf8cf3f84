"""Several runs in one process that reach the same store: one pool of connections and one set of lanes for all.

What is asked for and told stays each run's own: options, counters, events, and the journal.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

import anyio
from anyio.abc import TaskGroup, TaskStatus

from transfer.model.options import ConnectionOptions, TransferOptions

if TYPE_CHECKING:
    from transfer.engine.transfer import Transfer


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
        self._opened: dict[ConnectionOptions, Transfer] = {}
        self._opening: Final = anyio.Lock()

    async def opened(self, connection: ConnectionOptions) -> Transfer:
        """The run whose store is shared with all that connect alike; raises as `Transfer` when it is entered."""
        async with self._opening:
            if connection not in self._opened:
                # Opened and closed by a task of its own: the one that asks first may end first.
                outcome = await self._tasks.start(self._keep, connection)
                if isinstance(outcome, Exception):
                    raise outcome
                self._opened[connection] = outcome
        return self._opened[connection]

    async def _keep(self, connection: ConnectionOptions, *, task_status: TaskStatus[Transfer | Exception]) -> None:
        from transfer.engine.transfer import Transfer

        shared_stores.set(None)
        try:
            transfer = Transfer(connection=connection, options=self._options)
            await transfer.__aenter__()
        except Exception as error:  # noqa: BLE001 - it belongs to whoever asked
            task_status.started(error)
            return
        try:
            task_status.started(transfer)
            await anyio.sleep_forever()
        finally:
            await transfer.__aexit__(None, None, None)


shared_stores: ContextVar[SharedStores | None] = ContextVar("shared_stores", default=None)
"""Where a run that begins now finds its store; None has it open one of its own."""
