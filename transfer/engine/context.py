"""What every strategy of a run shares. It holds, it does nothing."""

from __future__ import annotations

from dataclasses import dataclass

from transfer.engine.attempts import Attempts
from transfer.engine.lanes import Lanes
from transfer.engine.threads import Threads
from transfer.model.events import EventSink
from transfer.model.options import TransferOptions
from transfer.model.progress import Progress
from transfer.stores.s3.store import S3Store

MORE_ITEMS_THAN_LANES = 4
"""Items beyond the lanes that are being opened, proved or made durable while the lanes move bytes."""


@dataclass(slots=True)
class Context:
    """One run's store, budgets, counters and choices.

    Attributes:
        takes_checksums: Whether the endpoint takes `x-amz-checksum-*` headers; learnt by the first upload it refuses.
    """

    store: S3Store
    attempts: Attempts
    lanes: Lanes
    threads: Threads
    progress: Progress
    on_event: EventSink
    options: TransferOptions
    takes_checksums: bool = True

    def may_add_part_worker(self, workers: int) -> bool:
        """Whether one more worker for the parts of an item is useful.

        There may be one for every lane and two that hash while the others send; but when requests already wait for
        lanes, more workers are only more memory: with many large items at once each then has few.
        """
        return workers < self.lanes.limit + 2 and self.lanes.waiting <= 2

    def may_add_item_worker(self, workers: int) -> bool:
        """Whether one more item can be begun: some are opened, proved or made durable while others move."""
        return workers < self.lanes.limit + MORE_ITEMS_THAN_LANES
