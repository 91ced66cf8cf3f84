"""The governor of a worker's lanes: it tells what they achieve, and does what the run's governor says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from transfer.plan.governor import Window


class Follower:
    """Stands where a governor does.

    Attributes:
        limit: How many requests the worker may have in flight.
        cuts: How often the limit of all was lowered because the store objected.
    """

    def __init__(self, tell: Callable[[Window], None]) -> None:
        """Tell every window that is not like the one before it."""
        self.limit = 0
        self.cuts = 0
        self._tell: Final = tell
        self._was_idle = True

    def expect(self, answer_seconds: float) -> int:  # noqa: ARG002 - as a governor's
        """See `Governor.expect`; the first process, which begins large objects, has asked."""
        return self.limit

    def observe(self, window: Window) -> int:
        """See `Governor.observe`."""
        is_idle = not (window.in_use or window.requests or window.is_objected)
        if not (is_idle and self._was_idle):
            self._tell(window)
        self._was_idle = is_idle
        return self.limit
