"""Making one tree like another: both sides are walked at once, and what differs is copied.

What only the destination has goes last of all.
Nothing is removed unless both sides were read to their ends and everything else worked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from transfer.engine.carrying import Movable, carry_out
from transfer.engine.context import Context
from transfer.engine.copying import destination_of, kept, move_item, source_of
from transfer.engine.extras import Extras
from transfer.engine.items import Item
from transfer.engine.job import Job
from transfer.engine.outcomes import Deliver
from transfer.engine.planning_copies import nothing_found, nothing_there
from transfer.engine.seen_names import SeenNames
from transfer.engine.sync_asking import ask_difference
from transfer.engine.sync_plan import Step, SyncPlan, ToCompare, ToCopy
from transfer.engine.sync_removal import remove_extras
from transfer.engine.sync_request import SyncRequest
from transfer.model.errors import DeletionRefusedError, TransferError, UnorderedListingError
from transfer.model.events import Warned
from transfer.model.locations import S3Location
from transfer.model.receipts import Failure, Intent, Outcome, Skip


async def sync_trees(context: Context, job: Job, request: SyncRequest, deliver: Deliver[Outcome]) -> None:
    """Make the destination like the source.

    Args:
        context: The run.
        job: What is remembered of it.
        request: What was asked.
        deliver: Takes an outcome for each thing that was copied, removed, left out or failed; what is equal has none.

    Raises:
        DeletionRefusedError: More than is allowed would be removed; everything was copied, nothing removed.
        HeldError: Another process does the same.
        TransferError: A side could not be read to its end, or a failure that concerns the whole run.
    """
    refusal: DeletionRefusedError | None = None
    async with kept(context, job) as ending:
        with Extras() as extras:
            sync = _Sync(context, job, request, extras)
            try:
                ending.is_clean = await sync.run(deliver)
            except DeletionRefusedError as error:
                # Everything was copied: a later run has nothing to go on with.
                refusal, ending.is_clean = error, True
            finally:
                sync.close()
    if refusal is not None:
        raise refusal


class _Sync:
    """One run."""

    def __init__(self, context: Context, job: Job, request: SyncRequest, extras: Extras) -> None:
        self._context = context
        self._job = job
        self._request = request
        self._extras = extras
        self._told = SeenNames()
        self._is_repeated = False

    async def run(self, deliver: Deliver[Outcome]) -> bool:
        """Do it all; whether nothing failed."""
        try:
            plan, is_clean = await self._copy(deliver, is_sorted_on_disk=False)
        except UnorderedListingError:
            self._context.on_event(Warned("the store lists keys out of order: they are sorted on disk first"))
            self._extras.clear()
            self._is_repeated = True
            plan, is_clean = await self._copy(deliver, is_sorted_on_disk=True)
        self._check_source(plan)
        if not self._extras.count:
            return is_clean
        if not is_clean:
            self._context.on_event(Warned(f"nothing is removed, because something failed: {self._left(plan)}"))
            return False
        if self._request.options.is_dry_run:
            await self._remove(deliver)
            self._check_limit(plan)
            return True
        self._check_limit(plan)
        return await self._remove(deliver)

    def close(self) -> None:
        """Let go of what was kept to tell nothing twice."""
        self._told.close()

    async def _copy(self, deliver: Deliver[Outcome], *, is_sorted_on_disk: bool) -> tuple[SyncPlan, bool]:
        plan = SyncPlan(self._context, self._request, self._extras)
        steps = self._counted(plan, plan.steps(is_sorted_on_disk=is_sorted_on_disk))
        self._context.progress.items_equal = 0
        movable = Movable(self._item_of, _with_item, self._job.note_finished)
        return plan, await carry_out(self._context, steps, self._act, deliver, movable)

    def _item_of(self, step: Step) -> Item | None:
        """What would be moved."""
        return step.item if isinstance(step, ToCopy) and not self._request.options.is_dry_run else None

    async def _counted(self, plan: SyncPlan, steps: AsyncIterator[Step]) -> AsyncIterator[Step]:
        progress, counted = self._context.progress, 0
        async for step in steps:
            if isinstance(step, ToCopy):
                self._plan_copy(step)
            elif not isinstance(step, ToCompare):
                progress.items_planned += 1
            progress.items_equal += plan.equal - counted
            counted = plan.equal
            yield step
        progress.items_equal += plan.equal - counted
        progress.total_is_final = True

    def _plan_copy(self, step: ToCopy) -> None:
        progress = self._context.progress
        progress.items_planned += 1
        if not self._request.options.is_dry_run:
            progress.bytes_planned += step.size

    async def _act(self, step: Step) -> Outcome | None:
        if isinstance(step, ToCompare):
            found = await self._asked(step)
            if found is None:
                return None
            step = found
        if isinstance(step, Skip | Failure):
            return self._once(step, step.source)
        if self._request.options.is_dry_run:
            source = source_of(step.item)
            return self._once(Intent(str(source), destination_of(step.item), step.size, step.change), str(source))
        return await move_item(self._context, self._job, step.item)

    def _once(self, outcome: Outcome, source: str) -> Outcome | None:
        """Tell what a first walk, before the store was sorted, has told already no second time."""
        is_new = self._told.add(source)
        return outcome if is_new or not self._is_repeated else None

    async def _asked(self, step: ToCompare) -> ToCopy | Failure | None:
        progress = self._context.progress
        try:
            change = await ask_difference(self._context, self._request.options.comparison, step)
        except TransferError as error:
            progress.items_planned += 1
            return Failure(str(source_of(step.item)), destination_of(step.item), error)
        progress.items_checked += 1
        if change is None:
            progress.items_equal += 1
            return None
        found = ToCopy(step.item, step.source.size, change)
        self._plan_copy(found)
        return found

    async def _remove(self, deliver: Deliver[Outcome]) -> bool:
        is_clean = True
        progress = self._context.progress
        progress.items_to_remove = self._extras.count

        async def count(*outcomes: Outcome) -> None:
            nonlocal is_clean
            is_clean = is_clean and not any(isinstance(outcome, Failure) for outcome in outcomes)
            progress.items_removed += len(outcomes)
            await deliver(*outcomes)

        await remove_extras(self._context.destination, self._job, self._request, self._extras, count)
        return is_clean

    def _check_source(self, plan: SyncPlan) -> None:
        """Tell of a source with nothing in it; a prefix below which there is no key at all is likely mistyped."""
        source, options = self._request.source, self._request.options
        if plan.is_source_there:
            return
        if isinstance(source, S3Location) and source.key and options.delete_limit is None:
            raise nothing_found(source, by_pattern=False)
        self._context.on_event(nothing_there(str(source), self._context.options.filters))

    def _check_limit(self, plan: SyncPlan) -> None:
        limit = self._request.options.delete_limit
        if limit is None:
            if plan.sourced == 0:
                raise DeletionRefusedError(
                    f"nothing in the source is wanted, and {self._left(plan)}: nothing is removed",
                    subject=str(self._request.source),
                    remedy="if that is meant, add --max-delete 100%",
                )
        elif not limit.allows(self._extras.count, plan.present):
            raise DeletionRefusedError(
                f"{self._left(plan)}, and --max-delete allows {limit}: nothing is removed",
                subject=str(self._request.destination),
                remedy="look with --dry-run, then allow more",
            )

    def _left(self, plan: SyncPlan) -> str:
        return f"{self._extras.count} of {plan.present} at the destination are not in the source"


def _with_item(step: Step, item: Item) -> Step:
    return replace(step, item=item) if isinstance(step, ToCopy) else step
