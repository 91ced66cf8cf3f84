"""Whose turn it is to repeat a request. Knows neither the requests nor the lanes, and never waits by a clock."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from transfer.plan.retry import RetryBudget


class RetryTurns:
    """Repetitions within the budget of a run, and beyond it one at a time.

    One that nothing pays for costs a store in trouble little, and shows whether the trouble is over. Were there none,
    the last requests of a run, all of them refused, would wait for successes that nobody else can have.
    """

    def __init__(self, budget: RetryBudget) -> None:
        self._budget: Final = budget
        self._waiting: Final[deque[asyncio.Future[AbstractContextManager[None]]]] = deque()
        self._has_unpaid = False

    async def next(self) -> AbstractContextManager[None]:
        """Wait, in turn, until a request may be repeated.

        Returns:
            What it is to be repeated in; entered at once, or nobody else has a turn until successes pay for it.
        """
        if not self._waiting and self._budget.take():
            return nullcontext()
        if not self._has_unpaid:
            self._has_unpaid = True
            return self._unpaid()
        turn: asyncio.Future[AbstractContextManager[None]] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # It came in the moment in which its owner was cancelled.
                with turn.result():
                    pass
            else:
                self._waiting.remove(turn)
            raise

    def count_success(self) -> None:
        """A request has succeeded: that pays for others."""
        self._budget.give_back()
        while self._waiting and self._budget.take():
            self._waiting.popleft().set_result(nullcontext())

    @contextmanager
    def _unpaid(self) -> Iterator[None]:
        try:
            yield
        finally:
            if self._waiting:
                self._waiting.popleft().set_result(self._unpaid())
            else:
                self._has_unpaid = False
