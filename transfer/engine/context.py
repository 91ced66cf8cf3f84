"""What every strategy of a run shares. It holds, it does nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anyio.abc import TaskGroup

from transfer.engine.attempts import Attempts
from transfer.engine.hedging import HedgeBudget
from transfer.engine.landing import Landings
from transfer.engine.lanes import Lanes
from transfer.engine.memory import MemoryBudget
from transfer.engine.threads import Threads
from transfer.model.checksums import VerifiedBy
from transfer.model.errors import TransferError
from transfer.model.events import EventSink
from transfer.model.options import TransferOptions
from transfer.model.progress import Progress
from transfer.plan.parts import DEFAULT_PART_SIZE_BYTES
from transfer.plan.rate import parts_at_once
from transfer.stores.s3.store import S3Store

if TYPE_CHECKING:
    from transfer.engine.crew.crew import Crew

MORE_ITEMS_THAN_LANES = 4
"""Items beyond the lanes that are being opened, proved or made durable while the lanes move bytes."""


@dataclass(slots=True)
class Context:
    """One run's store, budgets, counters and choices.

    Attributes:
        takes_checksums: Whether the endpoint takes `x-amz-checksum-*` headers; learnt by the first upload it refuses.
        tags_told: The buckets whose objects' tags could be read: there the answer to a GET counts all that there are.
        knows_no_tags: Whether the store has said that it has no tags at all.
        memory: What bodies held in memory between two stores may take, of all runs of the process that share a store.
        landings: Small files on their way to the disk.
        second: The context of the store that objects go to, when it is another one than they come from; it shares
            everything but the store, its attempts and what is learnt of it.
        tasks: What goes on beside the run's own tasks and ends with the run, such as pages of listings fetched ahead;
            None has them fetched one after the other.
        crew: The processes that share the work; None when there is only this one.
    """

    store: S3Store
    attempts: Attempts
    lanes: Lanes
    threads: Threads
    progress: Progress
    on_event: EventSink
    options: TransferOptions
    takes_checksums: bool = True
    tags_told: set[str] = field(default_factory=set)
    knows_no_tags: bool = False
    hedges: HedgeBudget = field(default_factory=HedgeBudget)
    memory: MemoryBudget = field(default_factory=MemoryBudget)
    landings: Landings = field(init=False)
    second: Context | None = None
    tasks: TaskGroup | None = None
    crew: Crew | None = None

    def __post_init__(self) -> None:
        self.landings = Landings(self.threads)

    @property
    def destination(self) -> Context:
        """The context whose store takes the objects of a copy between buckets."""
        return self.second or self

    def ends_run(self, error: TransferError) -> bool:
        """Whether every other item would fail in the same way, at whichever of the stores."""
        contexts = [self] if self.second is None else [self, self.second]
        return any(context.attempts.ends_run(error) for context in contexts)

    def may_add_part_worker(self, workers: int) -> bool:
        """Whether one more worker for the parts of an item is useful.

        There may be one for every lane and two that hash while the others send, beside those that pause before their
        next attempt; but when requests already wait for lanes, more workers are only more memory: with many large items
        at once each then has few.
        """
        rate = self.options.limit_rate_bytes_per_second
        if rate is not None and workers >= parts_at_once(rate, self.options.part_size_bytes or DEFAULT_PART_SIZE_BYTES):
            return False
        limit = self.lanes.limit if self.crew is None else self.crew.limit
        return workers < limit + self.lanes.pausing + 2 and self.lanes.waiting <= 2

    def counts_as_finished(self, verified_by: VerifiedBy) -> bool:
        """Whether a later run of the same job may leave an item out: not one whose missing proof it has to tell."""
        return not (self.options.require_verified and verified_by is VerifiedBy.UNVERIFIED)

    def may_add_item_worker(self, workers: int) -> bool:
        """Whether one more item can be begun: some are opened, proved or made durable while others move."""
        most = self.lanes.limit + MORE_ITEMS_THAN_LANES
        return workers < most or workers < most + self.lanes.pausing
