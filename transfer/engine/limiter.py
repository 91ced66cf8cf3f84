"""The bandwidth limit of a run: waits as long as the token bucket says. Shared by all bodies in both directions."""

from __future__ import annotations

import asyncio
from typing import Final

from transfer.plan.rate import TokenBucket

STEPS_PER_SECOND: Final = 20
"""A body asks so often at the full rate: smooth enough for a network, rare enough to cost nothing."""
SMALLEST_STEP_BYTES: Final = 4 * 1024
LARGEST_STEP_BYTES: Final = 1024 * 1024


class BandwidthLimiter:
    """Lets movers go on at a rate. Implements `transfer.wire.flow.RateLimiter`."""

    def __init__(self, rate_bytes_per_second: float) -> None:
        """Share `rate_bytes_per_second` among all who ask.

        Raises:
            UsageError: The rate is not above zero.
        """
        step = int(rate_bytes_per_second / STEPS_PER_SECOND)
        self.step_bytes: Final = max(SMALLEST_STEP_BYTES, min(LARGEST_STEP_BYTES, step))
        self._bucket: Final = TokenBucket(rate_bytes_per_second, self.step_bytes)

    async def admit(self, count: int) -> None:
        """Wait until `count` bytes may move."""
        delay_seconds = self._bucket.reserve(asyncio.get_running_loop().time(), count)
        if delay_seconds > 0:
            await asyncio.sleep(delay_seconds)
