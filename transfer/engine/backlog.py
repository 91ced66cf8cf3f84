"""Finding items ahead of moving them, so that the total is known early and a slow listing costs no time.

What is found waits in a bounded queue: a run of millions never becomes a list.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, Generic, TypeVar

import anyio

from transfer.model.errors import TransferError

T = TypeVar("T")

BACKLOG_ITEMS: Final = 10_000
"""Items found but not begun: a few megabytes, and the exact total for all but the largest trees."""


class Backlog(Generic[T]):
    """The items of `source`, found ahead by `fill` and taken by iterating."""

    def __init__(self, source: AsyncIterator[T]) -> None:
        self._source = source
        self._sender, self._receiver = anyio.create_memory_object_stream[T](BACKLOG_ITEMS)
        self.error: TransferError | None = None

    async def fill(self) -> None:
        """Find items until there are no more, or finding them fails.

        A failure is kept in `error` for after the items found before it have been moved.
        """
        with self._sender:
            try:
                async for item in self._source:
                    await self._sender.send(item)
            except TransferError as error:
                self.error = error
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                # Those who take the items have ended the run: theirs is the error to tell.
                return

    async def items(self) -> AsyncIterator[T]:
        """The items as they are found."""
        with self._receiver:
            async for item in self._receiver:
                yield item

    def close(self) -> None:
        """Release the queue; what is still in it is dropped."""
        self._sender.close()
        self._receiver.close()
