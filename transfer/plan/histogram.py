"""Percentiles of durations in constant memory. Numbers in, numbers out.

Durations fall into buckets whose bounds grow by a constant factor, and a percentile is the middle of the bucket it
falls into: its relative error is bounded, whatever the distribution. The idea is that of HdrHistogram and of DDSketch
(Masson, Rim and Lee, VLDB 2019).
"""

from __future__ import annotations

import math
from typing import Final

RELATIVE_ERROR: Final = 0.01
"""A percentile is at most one per cent off; less than measurements repeat."""
SMALLEST_SECONDS: Final = 1e-6
LARGEST_SECONDS: Final = 86400.0
"""What is outside counts as the nearest of the two, but extremes and the mean are exact."""

_FACTOR: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_FACTOR: Final = math.log(_FACTOR)
_BUCKETS: Final = math.ceil(math.log(LARGEST_SECONDS / SMALLEST_SECONDS) / _LOG_FACTOR) + 1
_MIDDLE: Final = 2 / (1 + _FACTOR)
"""The middle of a bucket relative to its upper bound: as far from both bounds, by ratio of the error to the value."""


class Histogram:
    """Durations, as counts per bucket."""

    __slots__ = ("_counts", "_sum", "count", "maximum", "minimum")

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self._sum = 0.0
        self.count = 0
        self.minimum = math.inf
        self.maximum = 0.0

    def add(self, seconds: float) -> None:
        """Count a duration; a negative one, which no monotonic clock tells, counts as none."""
        seconds = max(seconds, 0.0)
        self._counts[_bucket_of(seconds)] += 1
        self._sum += seconds
        self.count += 1
        self.minimum = min(self.minimum, seconds)
        self.maximum = max(self.maximum, seconds)

    def merge(self, other: Histogram) -> None:
        """Count all that another has counted."""
        self._counts = [mine + theirs for mine, theirs in zip(self._counts, other._counts, strict=True)]
        self._sum += other._sum
        self.count += other.count
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)

    @property
    def mean(self) -> float:
        """The average, exactly; 0 of nothing."""
        return self._sum / self.count if self.count else 0.0

    def percentile(self, percent: float) -> float:
        """The smallest duration that at least so many per cent do not exceed (nearest rank).

        Args:
            percent: Above 0, to 100.

        Returns:
            Seconds, within `RELATIVE_ERROR` of the exact value where that is between the bounds of the module.

        Raises:
            ValueError: Nothing was counted, or there is no such percentile.
        """
        if not self.count or not 0 < percent <= 100:
            raise ValueError(f"no percentile {percent} of {self.count} durations")
        rank = nearest_rank(percent, self.count)
        seen = 0
        for bucket, count in enumerate(self._counts):
            seen += count
            if seen >= rank:
                return min(max(_value_of(bucket), self.minimum), self.maximum)
        return self.maximum


def nearest_rank(percent: float, count: int) -> int:
    """Which of `count` sorted values, counted from 1, is a percentile."""
    # 99.9 is no binary fraction: without rounding, 99.9 % of 1000 would be the 1000th.
    return max(1, math.ceil(round(percent * count / 100, 9)))


def _bucket_of(seconds: float) -> int:
    if seconds <= SMALLEST_SECONDS:
        return 0
    return min(math.ceil(math.log(seconds / SMALLEST_SECONDS) / _LOG_FACTOR), _BUCKETS - 1)


def _value_of(bucket: int) -> float:
    return SMALLEST_SECONDS * math.exp(bucket * _LOG_FACTOR) * _MIDDLE if bucket else SMALLEST_SECONDS
