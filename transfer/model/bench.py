"""What is asked of a measurement of a store, and what it finds. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from typing import Final

from transfer.model.values import dataclass


class BenchOperation(Enum):
    """What is done over and over in a step; each but MIXED is one request."""

    PUT = "put"
    GET = "get"
    STAT = "stat"
    LIST = "list"
    DELETE = "delete"
    MIXED = "mixed"

    @property
    def needs_objects(self) -> bool:
        """Whether objects must be there before it can begin."""
        return self is not BenchOperation.PUT

    @property
    def depends_on_size(self) -> bool:
        """Whether it moves the bytes of objects."""
        return self in (BenchOperation.PUT, BenchOperation.GET, BenchOperation.MIXED)


DEFAULT_MIX: Final[Mapping[BenchOperation, int]] = {
    BenchOperation.GET: 45,
    BenchOperation.PUT: 15,
    BenchOperation.STAT: 30,
    BenchOperation.DELETE: 10,
}
"""The shares that MinIO's warp takes, so that figures can be laid side by side."""

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What to measure.

    Attributes:
        operations: A sweep for each, in this order.
        sizes_bytes: A sweep for each, of operations that move bytes; the others take the smallest.
        objects: How many lie there to be read, listed or deleted; None takes as many as fit into 256 MiB, 1000 at most.
        seconds: How long a step begins new requests.
        requests: End a step after so many instead.
        concurrency: How many requests at once, a step for each; empty doubles while it gains.
        mix: Shares of the operations in MIXED.
        retries: How often a request that failed in a passing way is made again; each attempt is measured for itself.
        max_step_bytes: A step ends early before it has moved more than so many.
        keep: Leave what was written.
    """

    operations: tuple[BenchOperation, ...] = (BenchOperation.PUT, BenchOperation.GET)
    sizes_bytes: tuple[int, ...] = (MIB,)
    objects: int | None = None
    seconds: float = 10.0
    requests: int | None = None
    concurrency: tuple[int, ...] = ()
    mix: Mapping[BenchOperation, int] = field(default_factory=lambda: dict(DEFAULT_MIX))
    retries: int = 3
    max_step_bytes: int = 8 * 1024 * MIB
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a measurement will cost at most.

    Attributes:
        steps: Measured steps.
        seconds: Of measuring alone; None when steps end after a number of requests.
        prepared_objects: Objects written so that there is something to read.
        written_bytes: Including those of prepared objects.
        stored_bytes: What lies there at one moment.
        read_bytes: What comes down.
        requests: All but those that open connections and clean up; None when only the time bounds them.
    """

    steps: int
    seconds: float | None
    prepared_objects: int
    prepared_bytes: int
    written_bytes: int
    stored_bytes: int
    read_bytes: int
    requests: int | None


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long requests took that ended well, in seconds; percentiles within one per cent."""

    mean: float
    minimum: float
    p50: float
    p90: float
    p99: float
    p999: float
    maximum: float


@dataclass(frozen=True, slots=True)
class OperationResult:
    """What became of one operation in a step.

    Attributes:
        requests: Those that ended well.
        objects: What they were about: one each, for a listing its entries.
        bytes: Of object bodies.
        latency: From the start of an attempt to its end; None when none ended well.
        first_byte: To the first byte of the answer; told of GET alone.
        errors: Failed attempts by the store's code, or by the kind of error.
        retries: Attempts beyond the first ones.
        failed: Operations of which every attempt failed.
    """

    operation: BenchOperation
    requests: int
    objects: int
    bytes: int
    latency: Latencies | None
    first_byte: Latencies | None = None
    errors: Mapping[str, int] = field(default_factory=dict)
    retries: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class StepResult:
    """One step: an operation at one size and one concurrency.

    Attributes:
        seconds: From the first request to the end of the last.
        cpu_seconds: What this process computed meanwhile.
        parts: The operations of a mixed step, each for itself.
    """

    operation: BenchOperation
    size_bytes: int
    concurrency: int
    seconds: float
    cpu_seconds: float
    total: OperationResult
    parts: tuple[OperationResult, ...] = ()

    @property
    def objects_per_second(self) -> float:
        """Of requests that ended well."""
        return self.total.objects / self.seconds if self.seconds > 0 else 0.0

    @property
    def bytes_per_second(self) -> float:
        """Of requests that ended well."""
        return self.total.bytes / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class BenchBegun:
    """What is about to be done, and below which fresh prefix; nothing has been written yet."""

    place: str
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class BenchTick:
    """How it goes, told several times a second.

    Attributes:
        doing: What, such as `get 1.0 MiB, 8 at once`.
        seconds: Since the step began.
        p99_seconds: None before anything ended.
    """

    doing: str
    seconds: float
    objects: int
    bytes: int
    p99_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class BenchCleaned:
    """What was written is gone again, or kept.

    Attributes:
        place: Below which it was.
        left: How many objects could not be removed; None when that is not known either.
        reason: Why not.
        has_versions: The bucket keeps versions of objects: what is removed goes on costing.
    """

    place: str
    left: int | None = 0
    reason: str = ""
    is_kept: bool = False
    has_versions: bool = False


BenchNews = BenchBegun | BenchTick | StepResult | BenchCleaned
