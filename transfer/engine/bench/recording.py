"""What is noted of the requests of a step, in memory that does not grow with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from transfer.model.bench import BenchOperation, Latencies, OperationResult
from transfer.model.errors import StoreError, TransferError
from transfer.plan.histogram import Histogram


class Recorder:
    """One operation of a step."""

    def __init__(self, operation: BenchOperation) -> None:
        self.operation = operation
        self.latency = Histogram()
        self.first_byte = Histogram()
        self.errors: Counter[str] = Counter()
        self.objects = 0
        self.bytes = 0
        self.retries = 0
        self.failed = 0

    def add(self, seconds: float, objects: int, size_bytes: int, first_byte_seconds: float | None) -> None:
        """Count a request that ended well."""
        self.latency.add(seconds)
        if first_byte_seconds is not None:
            self.first_byte.add(first_byte_seconds)
        self.objects += objects
        self.bytes += size_bytes

    def add_error(self, error: TransferError) -> None:
        """Count a failed attempt by what the store called it."""
        self.errors[error.code if isinstance(error, StoreError) else error.kind] += 1

    def merge(self, other: Recorder) -> None:
        """Count all that another has counted."""
        self.latency.merge(other.latency)
        self.first_byte.merge(other.first_byte)
        self.errors.update(other.errors)
        self.objects += other.objects
        self.bytes += other.bytes
        self.retries += other.retries
        self.failed += other.failed

    def result(self) -> OperationResult:
        """All of it as a value."""
        return OperationResult(
            operation=self.operation,
            requests=self.latency.count,
            objects=self.objects,
            bytes=self.bytes,
            latency=_latencies(self.latency),
            first_byte=_latencies(self.first_byte),
            errors=dict(sorted(self.errors.items())),
            retries=self.retries,
            failed=self.failed,
        )


def joined(operation: BenchOperation, recorders: Iterable[Recorder]) -> Recorder:
    """What several counted, as one."""
    whole = Recorder(operation)
    for one in recorders:
        whole.merge(one)
    return whole


def _latencies(found: Histogram) -> Latencies | None:
    if not found.count:
        return None
    p50, p90, p99, p999 = (found.percentile(percent) for percent in (50, 90, 99, 99.9))
    return Latencies(found.mean, found.minimum, p50, p90, p99, p999, found.maximum)
