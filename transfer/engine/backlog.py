"""Finding items ahead of moving them, so that the total is known early and a slow listing costs no time.

What is found waits in a bounded queue: a run of millions never becomes a list.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, Generic, TypeVar

import anyio

from transfer.model.errors import TransferError

T = TypeVar("T")

BACKLOG_ITEMS: Final = 10_000
"""Items found but not begun: a few megabytes, and the exact total for all but the largest trees."""


LENT_FROM: Final = 128
"""As long as so many wait, some are lent out: fewer are moved here before another process has begun with them."""


class Backlog(Generic[T]):
    """The items of `source`, found ahead by `fill` and taken by one at a time who iterates; others may be lent some.

    A queue of its own, since it is passed by each of millions: a memory stream takes thirty times as long per item.

    Attributes:
        listeners: Told when there may be something to lend, and when there never will be any more.
    """

    def __init__(self, source: AsyncIterator[T]) -> None:
        self._source = source
        self._found: deque[T] = deque()
        self._kept: deque[T] = deque()
        self._lent = 0
        self.listeners: list[Callable[[], None]] = []
        self._news = anyio.Event()
        self._room = anyio.Event()
        self._has_ended = self._is_closed = False
        self.error: TransferError | None = None

    async def fill(self) -> None:
        """Find items until there are no more, or finding them fails, or nobody takes them any more.

        A failure is kept in `error` for after the items found before it have been moved.
        """
        try:
            async for item in self._source:
                if self._is_closed:
                    return
                self._found.append(item)
                if len(self._found) == 1:
                    # Nobody waits while there is more.
                    self._news.set()
                if len(self._found) == LENT_FROM:
                    self._tell_listeners()
                while len(self._found) >= BACKLOG_ITEMS and not self._is_closed:
                    self._room = anyio.Event()
                    await self._room.wait()
        except TransferError as error:
            self.error = error
        finally:
            self._has_ended = True
            self._news.set()
            self._tell_listeners()

    async def batches(self, most: int) -> AsyncIterator[list[T]]:
        """The items as they are found, as many together as are there, up to a number."""
        while True:
            while batch := self._taken(most):
                yield batch
            if self._is_closed or (self._has_ended and not self._lent):
                return
            self._news = anyio.Event()
            await self._news.wait()

    @property
    def is_exhausted(self) -> bool:
        """Whether there will never be anything to lend any more."""
        return self._is_closed or (self._has_ended and len(self._found) < LENT_FROM)

    @property
    def has_enough_to_lend(self) -> bool:
        """Whether so many wait that some may be given away."""
        return len(self._found) >= LENT_FROM

    def lend(self, most: int, may_go: Callable[[T], bool]) -> list[T]:
        """Give some away, up to a number, when enough of them wait; none while there are few.

        Args:
            most: How many to look at at a time; until one of them can be given away.
            may_go: Whether one can be given away; others are kept for whoever iterates.

        Returns:
            Those that `return_` must be told of when they are done.
        """
        lent: list[T] = []
        while most and not lent and self.has_enough_to_lend and len(self._kept) < BACKLOG_ITEMS:
            for item in self._popped(self._found, most):
                (lent if may_go(item) else self._kept).append(item)
        self._lent += len(lent)
        if self._kept:
            self._news.set()
        return lent

    def return_(self, count: int, undone: Sequence[T] = ()) -> None:
        """Take note that so many lent ones are settled; those that are not done are done here."""
        self._lent -= count
        self._kept.extend(undone)
        self._news.set()

    def _taken(self, most: int) -> list[T]:
        was_full = len(self._kept) >= BACKLOG_ITEMS
        kept = self._popped(self._kept, most)
        if was_full:
            self._tell_listeners()
        return kept + self._popped(self._found, most - len(kept))

    def _popped(self, queue: deque[T], most: int) -> list[T]:
        popped = [queue.popleft() for _ in range(min(most, len(queue)))]
        if len(self._found) < BACKLOG_ITEMS // 2:
            self._room.set()
        if self.is_exhausted:
            self._tell_listeners()
        return popped

    def _tell_listeners(self) -> None:
        for told in self.listeners:
            told()

    def close(self) -> None:
        """Release the queue; what is still in it is dropped."""
        self._is_closed = True
        self._found.clear()
        self._kept.clear()
        self._news.set()
        self._room.set()
        self._tell_listeners()
