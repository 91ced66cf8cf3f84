"""Reading what a user wants measured, and refusing what makes no sense. Asks nobody."""

from __future__ import annotations

import math
import time
import uuid
from typing import Final

from transfer.model.bench import MIB, BenchOperation, BenchOptions
from transfer.model.errors import UsageError
from transfer.model.locations import S3Location, parse_s3_location
from transfer.model.values import dataclass
from transfer.plan.naming import folder_prefix
from transfer.plan.sizes import format_size

LARGEST_BYTES: Final = 256 * MIB
"""An object is one request here and its bytes lie in memory; transfers send larger ones in parts of a few MiB."""
MOST_AT_ONCE: Final = 4096
FOLDER_START: Final = "transfer-bench-"


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """A checked wish.

    Attributes:
        place: A prefix that nobody else uses, ending in a slash.
    """

    place: S3Location
    options: BenchOptions


def check_bench(url: str, options: BenchOptions) -> BenchRequest:
    """Check a wish and choose the fresh prefix.

    Args:
        url: A bucket, or a prefix in it.
        options: What to measure.

    Raises:
        UsageError: It names the option.
    """
    location = parse_s3_location(url)
    _check_numbers(options)
    _check_mix(options)
    name = f"{FOLDER_START}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{uuid.uuid4().hex[:8]}/"
    return BenchRequest(location.with_key(folder_prefix(location.key) + name), options)


def _check_numbers(options: BenchOptions) -> None:
    if not options.operations:
        raise UsageError("nothing is to be measured", subject="--op", remedy="write such as put,get")
    if not options.sizes_bytes:
        raise UsageError("no size is given", subject="--size", remedy="write such as 1MiB")
    largest = max(options.sizes_bytes)
    if largest > LARGEST_BYTES or min(options.sizes_bytes) < 0:
        raise UsageError(
            f"{format_size(largest)} is too large: each object is one request, sent from memory",
            subject="--size",
            remedy=f"write at most {format_size(LARGEST_BYTES)}",
        )
    if largest > options.max_step_bytes:
        raise UsageError(
            "not one object fits into a step", subject="--max-bytes", remedy=f"write at least {format_size(largest)}"
        )
    if not (math.isfinite(options.seconds) and options.seconds > 0):
        raise UsageError("it must be above zero", subject="--duration", remedy="write seconds, such as 10")
    counts = (("--objects", options.objects), ("--requests", options.requests))
    for option, count in counts:
        if count is not None and count < 1:
            raise UsageError("it must be at least one", subject=option, remedy="write 1 or more")
    if options.retries < 0:
        raise UsageError("it cannot be negative", subject="--retries", remedy="write 0 or more")
    if any(not 1 <= level <= MOST_AT_ONCE for level in options.concurrency):
        raise UsageError(
            f"between 1 and {MOST_AT_ONCE} requests can be in flight",
            subject="--concurrency",
            remedy="write such as 1,2,4,8",
        )


def _check_mix(options: BenchOptions) -> None:
    mix = options.mix
    if BenchOperation.MIXED not in options.operations:
        return
    if not set(mix) <= {BenchOperation.GET, BenchOperation.PUT, BenchOperation.STAT, BenchOperation.DELETE}:
        raise UsageError("it mixes get, put, stat and delete", subject="--mix", remedy="write such as get=70,put=30")
    if any(share < 0 for share in mix.values()) or not any(mix.values()):
        raise UsageError("no share is above zero", subject="--mix", remedy="write such as get=70,put=30")
    if mix.get(BenchOperation.DELETE, 0) > mix.get(BenchOperation.PUT, 0):
        raise UsageError(
            "more would be deleted than written, until nothing is left",
            subject="--mix",
            remedy="give put at least the share of delete",
        )
