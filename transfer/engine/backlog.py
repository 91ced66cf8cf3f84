"""Finding items ahead of moving them, so that the total is known early and a slow listing costs no time.

What is found waits in a bounded queue: a run of millions never becomes a list.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import Final, Generic, TypeVar

import anyio

from transfer.model.errors import TransferError

T = TypeVar("T")

BACKLOG_ITEMS: Final = 10_000
"""Items found but not begun: a few megabytes, and the exact total for all but the largest trees."""


class Backlog(Generic[T]):
    """The items of `source`, found ahead by `fill` and taken by one at a time who iterates.

    A queue of its own, since it is passed by each of millions: a memory stream takes thirty times as long per item.
    """

    def __init__(self, source: AsyncIterator[T]) -> None:
        self._source = source
        self._found: deque[T] = deque()
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
                self._news.set()
                while len(self._found) >= BACKLOG_ITEMS and not self._is_closed:
                    self._room = anyio.Event()
                    await self._room.wait()
        except TransferError as error:
            self.error = error
        finally:
            self._has_ended = True
            self._news.set()

    async def batches(self, most: int) -> AsyncIterator[list[T]]:
        """The items as they are found, as many together as are there, up to a number."""
        found = self._found
        while True:
            while found:
                batch = [found.popleft() for _ in range(min(most, len(found)))]
                if len(found) < BACKLOG_ITEMS // 2:
                    self._room.set()
                yield batch
            if self._has_ended or self._is_closed:
                return
            self._news = anyio.Event()
            await self._news.wait()

    def close(self) -> None:
        """Release the queue; what is still in it is dropped."""
        self._is_closed = True
        self._found.clear()
        self._news.set()
        self._room.set()
