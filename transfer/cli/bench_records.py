"""A measurement as dictionaries, for `--json` and `--output`. Field names stay stable."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from transfer.model.bench import BenchBegun, BenchCleaned, BenchOptions, Latencies, OperationResult, StepResult


def plan_record(begun: BenchBegun, options: BenchOptions, *, is_dry_run: bool) -> dict[str, Any]:
    """What is about to be done."""
    return {
        "type": "bench_plan",
        "place": begun.place,
        "dry_run": is_dry_run,
        "options": options_record(options),
        "at_most": dataclasses.asdict(begun.estimate),
    }


def options_record(options: BenchOptions) -> dict[str, Any]:
    """What was asked for."""
    return {
        "operations": [operation.value for operation in options.operations],
        "sizes": list(options.sizes_bytes),
        "objects": options.objects,
        "seconds": options.seconds if options.requests is None else None,
        "requests": options.requests,
        "concurrency": list(options.concurrency) or None,
        "mix": {operation.value: share for operation, share in options.mix.items()},
        "retries": options.retries,
        "max_step_bytes": options.max_step_bytes,
        "keep": options.keep,
    }


def step_record(result: StepResult) -> dict[str, Any]:
    """A step; latencies are in seconds."""
    return {
        "type": "bench_step",
        "operation": result.operation.value,
        "size": result.size_bytes,
        "concurrency": result.concurrency,
        "seconds": round(result.seconds, 6),
        "cpu_seconds": round(result.cpu_seconds, 6),
        **_operation_record(result.total, result.seconds),
        "operations": {part.operation.value: _operation_record(part, result.seconds) for part in result.parts},
    }


def summary_record(
    results: Sequence[StepResult], cleaned: BenchCleaned | None, seconds: float, exit_code: int
) -> dict[str, Any]:
    """The last word; `objects` tells what became of what was written."""
    totals = [result.total for result in results]
    return {
        "type": "summary",
        "command": "bench",
        "steps": len(totals),
        "requests": sum(total.requests for total in totals),
        "failed": sum(total.failed for total in totals),
        "retries": sum(total.retries for total in totals),
        "objects": None if cleaned is None else _cleaned_record(cleaned),
        "seconds": round(seconds, 6),
        "exit_code": exit_code,
    }


def _operation_record(one: OperationResult, seconds: float) -> dict[str, Any]:
    return {
        "requests": one.requests,
        "objects": one.objects,
        "bytes": one.bytes,
        "requests_per_second": _rate(one.requests, seconds),
        "objects_per_second": _rate(one.objects, seconds),
        "bytes_per_second": _rate(one.bytes, seconds),
        "latency_seconds": _latencies_record(one.latency),
        "first_byte_seconds": _latencies_record(one.first_byte),
        "errors": dict(one.errors),
        "retries": one.retries,
        "failed": one.failed,
    }


def _latencies_record(found: Latencies | None) -> dict[str, float] | None:
    if found is None:
        return None
    names = {"minimum": "min", "maximum": "max", "p999": "p99.9"}
    return {names.get(name, name): round(value, 9) for name, value in dataclasses.asdict(found).items()}


def _cleaned_record(cleaned: BenchCleaned) -> dict[str, Any]:
    return {
        "place": cleaned.place,
        "kept": cleaned.is_kept,
        "left": None if cleaned.is_kept else cleaned.left,
        "reason": cleaned.reason or None,
        "versions": cleaned.has_versions,
    }


def _rate(count: int, seconds: float) -> float:
    return round(count / seconds, 3) if seconds > 0 else 0.0
