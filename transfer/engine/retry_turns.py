"""Whose turn it is to repeat a request. Knows neither the requests nor the lanes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from http import HTTPStatus
from typing import Final

import anyio

from transfer.model.errors import StoreError, TransferError, WireError
from transfer.plan.retry import BACKOFF_CAP_SECONDS, RetryBudget, Verdict, verdict_of


class _Waiter:
    """Who waits, and what has come: a turn, or nothing as long as `news` is not set."""

    __slots__ = ("news", "turn")

    def __init__(self) -> None:
        self.news: Final = anyio.Event()
        self.turn: AbstractContextManager[None] | None = None


class RetryTurns:
    """Repetitions within the budget of a run; beyond it one at a time, for as long as none of them breaks.

    One that nothing pays for costs a store in trouble little, and shows whether the trouble is over. Were there none,
    the last requests of a run, all of them refused, would wait for successes that nobody else can have. After one that
    breaks the others wait as long as a pause can be: an outage must not use up all their attempts at once. A refusal is
    no outage: a store that asks for fewer requests gets them one at a time.
    """

    def __init__(self, budget: RetryBudget) -> None:
        self._budget: Final = budget
        self._waiting: Final[deque[_Waiter]] = deque()
        self._has_unpaid = False
        self._is_in_trouble = False

    async def next(self) -> AbstractContextManager[None]:
        """Wait until a request may be repeated: in turn, but never longer than `BACKOFF_CAP_SECONDS`.

        Returns:
            What it is to be repeated in; to be entered before anything else is waited for.
        """
        if not self._waiting and self._budget.take():
            return nullcontext()
        if not (self._has_unpaid or self._is_in_trouble):
            self._has_unpaid = True
            return self._unpaid()
        waiter = _Waiter()
        self._waiting.append(waiter)
        try:
            with anyio.move_on_after(BACKOFF_CAP_SECONDS):
                await waiter.news.wait()
        except BaseException:
            if waiter.turn is None:
                self._waiting.remove(waiter)
            else:
                # It came in the moment in which its owner was cancelled.
                with waiter.turn:
                    pass
            raise
        if waiter.turn is None:
            self._waiting.remove(waiter)
            return nullcontext()
        return waiter.turn

    def count_success(self) -> None:
        """A request has succeeded: that pays for others."""
        self._is_in_trouble = False
        self._budget.give_back()
        while self._waiting and self._budget.take():
            self._give(nullcontext())
        if self._waiting and not self._has_unpaid:
            self._has_unpaid = True
            self._give(self._unpaid())

    def _give(self, turn: AbstractContextManager[None]) -> None:
        waiter = self._waiting.popleft()
        waiter.turn = turn
        waiter.news.set()

    @contextmanager
    def _unpaid(self) -> Iterator[None]:
        try:
            yield
        except TransferError as error:
            self._is_in_trouble = self._is_in_trouble or _is_outage(error)
            raise
        finally:
            if self._waiting and not self._is_in_trouble:
                self._give(self._unpaid())
            else:
                self._has_unpaid = False


def _is_outage(error: TransferError) -> bool:
    """Whether a repetition got no answer, or one that says that the store is broken; it is repeated once more.

    A connection that was closed while it was idle says nothing of the store, nor do bytes that were wrong.
    """
    if verdict_of(error) is not Verdict.RETRY:
        return False
    if isinstance(error, StoreError):
        # What S3 finds out after its answer has begun comes with a success (AWS: CompleteMultipartUpload).
        return error.status >= 500 or error.status == HTTPStatus.OK
    return isinstance(error, WireError)
