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

    def part_width(self) -> int:
        """How many workers share the parts of one item: every lane, and two that hash while the others send."""
        return self.lanes.limit + 2
