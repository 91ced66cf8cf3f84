"""A measurement as a person reads it. Values in, lines out, already harmless for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from transfer.cli.escape import printable
from transfer.engine.bench.course import left_behind
from transfer.model.bench import (
    BenchBegun,
    BenchCleaned,
    BenchOperation,
    BenchOptions,
    BenchTick,
    Latencies,
    StepResult,
)
from transfer.plan.bench_estimate import sweeps
from transfer.plan.sizes import format_rate, format_size
from transfer.plan.sweep import GAIN, HIGHEST, enough

BUSY: Final = 0.9
"""From this share of one core on the processor of this machine, not the store, may be what is measured."""
HEADS: Final = ("at once", "objects/s", "MiB/s", "p50", "p90", "p99", "p99.9", "max", "1st byte", "errors", "retries")
_WIDTHS: Final = (7, 9, 7, 7, 7, 7, 7, 7, 8, 6, 7)
_NAME_WIDTH: Final = 13


def plan_lines(begun: BenchBegun, options: BenchOptions) -> str:
    """What will be done, and what it costs at most."""
    estimate = begun.estimate
    end = "which stays" if options.keep else "which is removed at the end"
    what = ", ".join(_title(operation, size) for operation, size in sweeps(options))
    levels = ", ".join(map(str, options.concurrency)) or f"1, 2, 4 up to {HIGHEST} while that gains"
    each = f"{options.seconds:g} s each" if options.requests is None else f"{options.requests} requests each"
    counted = "as many requests as fit into the time"
    requests = counted if estimate.requests is None else f"{estimate.requests:,} requests"
    steps = "1 step" if estimate.steps == 1 else f"{estimate.steps} steps"
    written = f"{format_size(estimate.written_bytes)} written ({format_size(estimate.stored_bytes)} there at one time)"
    lines = [
        f"below {begun.place}, {end}",
        f"{what}; requests at once: {levels}; {steps} at most, {each}",
        f"at most: {requests}, {written}, {format_size(estimate.read_bytes)} read",
    ]
    return "".join(printable(f"transfer: bench: {line}") + "\n" for line in lines)


def row_lines(result: StepResult, *, is_first: bool) -> str:
    """A step as a row, the first one below the heads of the columns; a mixture has a row for each operation, too."""
    lines = [_heads()] if is_first else []
    title = _title(result.operation, result.size_bytes)
    lines.append(_row(title, result, str(result.concurrency)))
    for part in result.parts:
        share = StepResult(part.operation, result.size_bytes, result.concurrency, result.seconds, 0.0, part)
        lines.append(_row(f"  {part.operation.value}", share, ""))
    return "".join(line.rstrip() + "\n" for line in lines)


def cleaning_line(place: str) -> str:
    """Why the end of a run that was stopped takes some time."""
    return printable(f"transfer: bench: removing what is below {place}") + "\n"


def ending(begun: BenchBegun | None, cleaned: BenchCleaned | None) -> str:
    """What became of the objects of a run that was stopped.

    Args:
        begun: Below which prefix it wrote; None when it wrote nothing.
        cleaned: What is known of them; None when nothing is.
    """
    if begun is None:
        return "nothing was written"
    if cleaned is None:
        return f"what was written below {begun.place} may be there still; remove it with: transfer rm -r {begun.place}"
    if cleaned.is_kept:
        return _kept(cleaned)
    return f"what was written below {cleaned.place} has been removed" if cleaned.left == 0 else left_behind(cleaned)


def summary_lines(results: Sequence[StepResult], cleaned: BenchCleaned | None) -> str:
    """What was enough for each sweep, what the figures may suffer from, and what was left."""
    lines = [line for sweep in _sweeps(results) if (line := _verdict(sweep)) is not None]
    busy = [result for result in results if cpu_share(result) >= BUSY]
    if busy:
        count = f"{len(busy)} of {len(results)} steps"
        lines.append(f"in {count} this program kept a core busy: there the store may be faster than the figures say")
    errors: dict[str, int] = {}
    for result in results:
        for code, count_of_code in result.total.errors.items():
            errors[code] = errors.get(code, 0) + count_of_code
    if errors:
        lines.append("errors: " + ", ".join(f"{count} {code}" for code, count in sorted(errors.items())))
    if cleaned is not None:
        lines += _cleaned(cleaned)
    return "".join(printable(f"transfer: bench: {line}") + "\n" for line in lines)


def tick_line(tick: BenchTick) -> str:
    """How it goes, for the line that is redrawn."""
    facts = [tick.doing, f"{tick.seconds:.0f} s"]
    if tick.seconds > 0:
        facts.append(f"{tick.objects / tick.seconds:,.0f} objects/s")
        if tick.bytes:
            facts.append(format_rate(tick.bytes / tick.seconds))
    if tick.p99_seconds is not None:
        facts.append(f"p99 {format_latency(tick.p99_seconds)}")
    return ", ".join(facts)


def format_latency(seconds: float) -> str:
    """Three digits and a unit: `0.45 ms`, `12.3 ms`, `1.20 s`."""
    if seconds >= 0.9995:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    milliseconds = seconds * 1000
    digits = 2 if milliseconds < 9.995 else 1 if milliseconds < 99.95 else 0
    return f"{milliseconds:.{digits}f} ms"


def cpu_share(result: StepResult) -> float:
    """How much of one core this process used during a step."""
    return result.cpu_seconds / result.seconds if result.seconds > 0 else 0.0


def _heads() -> str:
    columns = (f"{head:>{width}}" for head, width in zip(HEADS, _WIDTHS, strict=True))
    return f"{'':<{_NAME_WIDTH}} {' '.join(columns)}"


def _row(name: str, result: StepResult, level: str) -> str:
    total = result.total
    rate = f"{result.bytes_per_second / 1024**2:,.1f}" if total.bytes else ""
    first = total.first_byte
    cells = [level, f"{result.objects_per_second:,.1f}", rate, *_latency_cells(total.latency)]
    cells += [format_latency(first.p50) if first else ""]
    cells += [str(sum(total.errors.values()) or ""), str(total.retries or "")]
    columns = (f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=True))
    return f"{name:<{_NAME_WIDTH}} {' '.join(columns)}"


def _latency_cells(latency: Latencies | None) -> list[str]:
    if latency is None:
        return [""] * 5
    return list(map(format_latency, (latency.p50, latency.p90, latency.p99, latency.p999, latency.maximum)))


def _title(operation: BenchOperation, size_bytes: int) -> str:
    return f"{operation.value} {format_size(size_bytes)}" if operation.depends_on_size else operation.value


def _sweeps(results: Sequence[StepResult]) -> list[list[StepResult]]:
    return [list(sweep) for _, sweep in groupby(results, lambda result: (result.operation, result.size_bytes))]


def _verdict(sweep: Sequence[StepResult]) -> str | None:
    """`get 1.0 MiB: 8 at once are enough: 512.0 objects/s, 512.0 MiB/s, p99 31.0 ms`."""
    level = enough([(result.concurrency, result.objects_per_second) for result in sweep])
    found = next((result for result in sweep if result.concurrency == level), None)
    if found is None or found.total.latency is None:
        return None
    facts = [f"{found.objects_per_second:,.1f} objects/s"]
    if found.total.bytes:
        facts.append(format_rate(found.bytes_per_second))
    facts.append(f"p99 {format_latency(found.total.latency.p99)}")
    name = _title(found.operation, found.size_bytes)
    within = f" (within {round(100 * (GAIN - 1))} % of the best)" if len(sweep) > 1 else ""
    return f"{name}: {', '.join(facts)} with {level} at once{within}"


def _cleaned(cleaned: BenchCleaned) -> list[str]:
    lines = []
    if cleaned.is_kept:
        lines.append(_kept(cleaned))
    elif cleaned.left != 0:
        lines.append(left_behind(cleaned))
    if cleaned.has_versions:
        lines.append("the bucket keeps versions: what was removed goes on costing until its rules let it go")
    return lines


def _kept(cleaned: BenchCleaned) -> str:
    return f"kept what is below {cleaned.place}; remove it with: transfer rm -r {cleaned.place}"
