"""The course of a measurement: check, prepare, measure sweep after sweep, and remove everything again.

Whatever is written lies below one fresh prefix, and nothing outside it is ever touched.
"""

from __future__ import annotations

import random
import time
from functools import partial
from typing import Final

import anyio

from transfer.engine.attempts import Tally
from transfer.engine.bench.actions import Actions
from transfer.engine.bench.asking import BenchRequest
from transfer.engine.bench.clearing import remove_below, remove_keys
from transfer.engine.bench.content import Content
from transfer.engine.bench.filling import algorithm_of, fill, write_one
from transfer.engine.bench.shelf import Shelf
from transfer.engine.bench.step import Step
from transfer.engine.context import Context
from transfer.engine.outcomes import Deliver
from transfer.model.bench import (
    BenchBegun,
    BenchCleaned,
    BenchNews,
    BenchOperation,
    BenchTick,
    StepResult,
)
from transfer.model.errors import TransferError
from transfer.model.events import Warned
from transfer.model.locations import S3Location
from transfer.plan.bench_estimate import estimate, prepared_objects, sweeps
from transfer.plan.sweep import Measured, next_concurrency
from transfer.stores.s3.listing import list_page

CLEAN_UP_SECONDS: Final = 3600.0
"""Millions of objects take minutes to remove; a store that takes longer than this hangs."""
LATE_CLEAN_UP_SECONDS: Final = 60.0
"""Somebody waits who has pressed Ctrl-C."""


async def measure(context: Context, request: BenchRequest, deliver: Deliver[BenchNews], *, dry_run: bool) -> None:
    """Measure, and deliver what is found.

    Args:
        context: The run.
        request: What to measure, and where.
        deliver: Takes the news; each step when it has ended.
        dry_run: Only tell what it would cost.

    Raises:
        TransferError: The bucket cannot be used, or nothing ended well in a step.
    """
    await _check_place(context, request.place)
    await deliver(BenchBegun(str(request.place), estimate(request.options)))
    if dry_run:
        return
    course = _Course(context, request, deliver)
    try:
        await course.run()
        cleaned = await course.clean_up(CLEAN_UP_SECONDS)
    except BaseException:
        with anyio.CancelScope(shield=True):
            cleaned = await course.clean_up(LATE_CLEAN_UP_SECONDS)
        try:
            await deliver(cleaned)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            # Nobody listens any more, but what was left must be known.
            if cleaned.left != 0:
                context.on_event(Warned(left_behind(cleaned)))
        raise
    await deliver(cleaned)


def left_behind(cleaned: BenchCleaned) -> str:
    """What is still there, and how to remove it."""
    count = "objects" if cleaned.left is None else f"{cleaned.left} objects"
    reason = f" ({cleaned.reason})" if cleaned.reason else ""
    return f"{count} could not be removed{reason}; remove them with: transfer rm -r {cleaned.place}"


async def _check_place(context: Context, place: S3Location) -> None:
    """Ask for the names below the fresh prefix: fails as usual when there is no bucket or no access."""
    await context.attempts.run(place, lambda _: list_page(context.store, place.bucket, place.key, page_keys=1), Tally())


class _Course:
    def __init__(self, context: Context, request: BenchRequest, deliver: Deliver[BenchNews]) -> None:
        self._context: Final = context
        self._place: Final = request.place
        self._options: Final = request.options
        self._deliver: Final = deliver
        self._random: Final = random.Random()  # noqa: S311 - which object comes next is no secret
        self._content: Content | None = None
        self._stocks: Final[dict[int, Shelf]] = {}
        self._shelves: Final[list[Shelf]] = []

    async def run(self) -> None:
        for operation, size_bytes in sweeps(self._options):
            shelf = await self._shelf_for(operation, size_bytes)
            done: list[Measured] = []
            while (level := next_concurrency(self._options.concurrency, done)) is not None:
                result = await self._step(operation, size_bytes, level, shelf)
                done.append((level, result.objects_per_second))
                await self._deliver(result)

    async def clean_up(self, seconds: float) -> BenchCleaned:
        """Remove everything below the fresh prefix, unless it is kept."""
        has_versions = any(shelf.has_versions for shelf in self._shelves)
        cleaned = partial(BenchCleaned, str(self._place), has_versions=has_versions)
        if self._options.keep:
            return cleaned(is_kept=True)
        try:
            with anyio.fail_after(seconds):
                return cleaned(left=await remove_below(self._context, self._place))
        except TimeoutError:
            return cleaned(left=None, reason=f"it took longer than {seconds:.0f} s")
        except TransferError as error:
            return cleaned(left=None, reason=error.message)

    async def _step(self, operation: BenchOperation, size_bytes: int, level: int, shelf: Shelf) -> StepResult:
        if operation.needs_objects:
            await self._fill(shelf, prepared_objects(self._options, size_bytes))
        algorithm = algorithm_of(self._context)
        actions = Actions(self._context, shelf, operation, algorithm, self._options, self._random)
        bucket = S3Location(self._place.bucket)
        first = shelf.numbers
        step = Step(self._context, bucket, actions, self._options, operation, size_bytes, level)
        result = await step.run(self._tell)
        if operation is BenchOperation.PUT and not self._options.keep:
            # What one step wrote would only fill the store while the next ones go on.
            keys = (shelf.key(number) for number in range(first, shelf.numbers))
            await remove_keys(self._context, shelf.place, keys)
        return result

    async def _shelf_for(self, operation: BenchOperation, size_bytes: int) -> Shelf:
        """Where a sweep writes: what is read, listed and deleted shares one prefix per size."""
        if not operation.needs_objects:
            shelf = await self._new_shelf("put", size_bytes)
            # Learns which checksums the store takes, before anything is measured.
            await write_one(self._context, shelf, shelf.new_number())
            return shelf
        if size_bytes not in self._stocks:
            self._stocks[size_bytes] = await self._new_shelf("objects", size_bytes)
        return self._stocks[size_bytes]

    async def _new_shelf(self, name: str, size_bytes: int) -> Shelf:
        if self._content is None:
            self._content = await self._context.threads.run(partial(Content, max(self._options.sizes_bytes)))
        place = self._place.with_key(f"{self._place.key}{name}-{size_bytes}/")
        shelf = Shelf(place, size_bytes, self._content, self._random)
        self._shelves.append(shelf)
        return shelf

    async def _fill(self, shelf: Shelf, wanted: int) -> None:
        began_seconds = time.perf_counter()
        await fill(self._context, shelf, wanted, self._tell, lambda: time.perf_counter() - began_seconds)

    async def _tell(self, tick: BenchTick) -> None:
        await self._deliver(tick)
