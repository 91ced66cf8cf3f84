"""The bandwidth limit of a run as a token bucket. Never waits and never reads a clock: callers do both."""

from __future__ import annotations

from transfer.model.errors import UsageError


def parts_at_once(rate_bytes_per_second: float, part_size_bytes: int) -> int:
    """How many parts of one object may move side by side at a rate that all share.

    So few that each takes about two seconds: what is not finished when a run is interrupted has to move again. Never
    fewer than two, since one connection may be slower than the rate.
    """
    return max(2, int(2 * rate_bytes_per_second / part_size_bytes))


class TokenBucket:
    """Says how long bytes must wait so that a rate is kept.

    A reservation is never refused: it may take the bucket into debt, and those who come later wait until the
    debt is paid. So a part larger than the burst still goes, and waiters go in the order in which they
    asked. Over the first t seconds no more than `burst_bytes + rate * t` bytes are let go.
    """

    def __init__(self, rate_bytes_per_second: float, burst_bytes: float) -> None:
        """Start with a full bucket.

        Args:
            rate_bytes_per_second: What may go in the long run.
            burst_bytes: What may go at once after a pause; 0 spaces everything evenly.

        Raises:
            UsageError: The rate is not above zero.
        """
        if not rate_bytes_per_second > 0:
            raise UsageError("the rate must be above zero", subject="--limit-rate", remedy="write a rate such as 50M")
        self._rate = rate_bytes_per_second
        self._burst = max(burst_bytes, 0.0)
        self._tokens = self._burst
        self._updated_seconds: float | None = None

    def reserve(self, now_seconds: float, count: int) -> float:
        """Reserve `count` bytes.

        Args:
            now_seconds: A monotonic clock; a step back counts as no time.
            count: Bytes.

        Returns:
            Seconds to wait from now until the bytes may go; 0.0 when they may go at once.
        """
        before = now_seconds if self._updated_seconds is None else self._updated_seconds
        elapsed = max(0.0, now_seconds - before)
        self._updated_seconds = max(before, now_seconds)
        self._tokens = min(self._burst, self._tokens + elapsed * self._rate) - count
        return max(0.0, -self._tokens / self._rate)
