"""What a measurement will cost at most, from what was asked for. Arithmetic only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from transfer.model.bench import MIB, BenchOperation, BenchOptions, Estimate
from transfer.model.values import dataclass
from transfer.plan.sweep import most_steps

PREPARED_BYTES: Final = 256 * MIB
PREPARED_OBJECTS: Final = 1000
FEWEST_OBJECTS: Final = 8
"""Objects that are prepared when nobody says how many: more than a store keeps in a small cache would cost minutes."""


@dataclass(frozen=True, slots=True)
class _StepCost:
    """Bounds of one step; None means: only the time bounds it."""

    written_bytes: int
    read_bytes: int
    requests: int | None


def sweeps(options: BenchOptions) -> Iterator[tuple[BenchOperation, int]]:
    """The sweeps in order: an operation and a size in bytes."""
    for operation in options.operations:
        sizes = options.sizes_bytes if operation.depends_on_size else (min(options.sizes_bytes),)
        for size in sizes:
            yield operation, size


def prepared_objects(options: BenchOptions, size_bytes: int) -> int:
    """How many objects of a size lie there before they are read, listed or deleted."""
    if options.objects is not None:
        return options.objects
    fitting = PREPARED_BYTES // size_bytes if size_bytes else PREPARED_OBJECTS
    return max(FEWEST_OBJECTS, min(PREPARED_OBJECTS, fitting))


def estimate(options: BenchOptions) -> Estimate:
    """The bounds of a whole measurement."""
    levels = most_steps(options.concurrency)
    stocks: dict[int, int] = {}
    written = read = mixed = largest = 0
    requests: int | None = 0
    steps = 0
    for operation, size in sweeps(options):
        steps += levels
        if operation.needs_objects:
            stocks[size] = prepared_objects(options, size)
        else:
            # One write before the clock starts shows which checksums the store takes.
            written += size
            requests = None if requests is None else requests + 1
        cost = _step_cost(options, operation, size)
        refilled = levels * _removed_by_step(options, operation, cost)
        written += levels * cost.written_bytes + refilled * size
        read += levels * cost.read_bytes
        if operation is BenchOperation.MIXED:
            mixed += levels * cost.written_bytes
        else:
            largest = max(largest, cost.written_bytes)
        requests = None if requests is None or cost.requests is None else requests + levels * cost.requests + refilled
    prepared_bytes = sum(size * count for size, count in stocks.items())
    prepared = sum(stocks.values())
    return Estimate(
        steps=steps,
        seconds=None if options.requests is not None else steps * options.seconds,
        prepared_objects=prepared,
        prepared_bytes=prepared_bytes,
        written_bytes=written + prepared_bytes,
        stored_bytes=prepared_bytes + (written if options.keep else mixed + largest),
        read_bytes=read,
        requests=None if requests is None else requests + prepared,
    )


def _step_cost(options: BenchOptions, operation: BenchOperation, size: int) -> _StepCost:
    requests = options.requests
    if operation.depends_on_size and size:
        fitting = options.max_step_bytes // size
        if operation is not BenchOperation.MIXED:
            requests = fitting if requests is None else min(requests, fitting)
    if operation is BenchOperation.DELETE:
        there = prepared_objects(options, size)
        requests = there if requests is None else min(requests, there)
    moved = options.max_step_bytes if requests is None else min(requests * size, options.max_step_bytes)
    moved = moved if operation.depends_on_size and size else 0
    writes = operation is BenchOperation.PUT or (operation is BenchOperation.MIXED and _share(options, "put") > 0)
    reads = operation is BenchOperation.GET or (operation is BenchOperation.MIXED and _share(options, "get") > 0)
    return _StepCost(moved if writes else 0, moved if reads else 0, requests)


def _removed_by_step(options: BenchOptions, operation: BenchOperation, cost: _StepCost) -> int:
    """How many of the prepared objects a step may take away, so that the next one needs new ones."""
    if operation is BenchOperation.DELETE:
        return cost.requests or 0
    if operation is BenchOperation.MIXED:
        # Puts make up for deletes but in the last deck, which may end before its puts.
        return _share(options, "delete") // (math.gcd(*options.mix.values()) or 1)
    return 0


def _share(options: BenchOptions, name: str) -> int:
    return options.mix.get(BenchOperation(name), 0)
