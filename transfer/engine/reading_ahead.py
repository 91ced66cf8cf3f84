"""Small files, read together before their turn comes: one way to a thread for many, where each would take one.

What is in memory at a time is bounded by the batch. Large files are left alone: they are read as they are sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from typing import Final, TypeVar

from transfer.engine.context import Context
from transfer.engine.items import UploadItem
from transfer.engine.threads import Threads
from transfer.model.errors import TransferError
from transfer.plan.parts import SMALL_BODY_BYTES
from transfer.stores.local.source import ReadFile

T = TypeVar("T")

BATCH_ITEMS: Final = 64
BATCH_BYTES: Final = 4 * 1024 * 1024
"""What is read in one visit to a thread, at most: some milliseconds from a page cache."""


async def read_ahead(
    context: Context,
    batches: AsyncIterator[list[T]],
    item_of: Callable[[T], object],
    with_item: Callable[[T, UploadItem], T],
) -> AsyncIterator[T]:
    """Pass on what is to be done, with the small files in it read.

    Args:
        context: The run.
        batches: What is to be done, as it is found.
        item_of: The item of one thing; only uploads matter.
        with_item: The same thing with another item.
    """
    reader = _Reader(context.threads)
    async for batch in batches:
        for part in _cut([(thing, item_of(thing)) for thing in batch]):
            wanted = [
                (index, item)
                for index, (_, item) in enumerate(part)
                if isinstance(item, UploadItem) and _is_small(item)
            ]
            things = [thing for thing, _ in part]
            for (index, _), item in zip(wanted, await reader.read([item for _, item in wanted]), strict=True):
                things[index] = with_item(things[index], item)
            for thing in things:
                yield thing


class _Reader:
    """Reads files: what is in memory already on the spot, and only what is not in a thread."""

    def __init__(self, threads: Threads) -> None:
        self._threads: Final = threads
        self._reads_on_the_spot = True

    async def read(self, items: Sequence[UploadItem]) -> list[UploadItem]:
        """The items with their files, or why those could not be read."""
        read = [self._read_now(item) for item in items]
        cold = [item for item in read if item.read is None]
        if not cold:
            return read
        warmed = iter(await self._threads.run(partial(_read_all, cold)))
        return [next(warmed) if item.read is None else item for item in read]

    def _read_now(self, item: UploadItem) -> UploadItem:
        if not self._reads_on_the_spot:
            return item
        try:
            return _read(item, may_wait=False)
        except BlockingIOError:
            return item
        except NotImplementedError:
            # Such a file system may be far away, so that opening alone waits: nothing more is tried on it.
            self._reads_on_the_spot = False
            return item


def _cut(batch: Sequence[tuple[T, object]]) -> Iterator[list[tuple[T, object]]]:
    """Cut a batch so that the small files of each part take no more memory than is allowed."""
    part: list[tuple[T, object]] = []
    size = 0
    for thing, item in batch:
        added = item.size or 0 if isinstance(item, UploadItem) and _is_small(item) else 0
        if size + added > BATCH_BYTES:
            yield part
            part, size = [], 0
        part.append((thing, item))
        size += added
    if part:
        yield part


def _is_small(item: UploadItem) -> bool:
    return item.size is not None and item.size <= SMALL_BODY_BYTES


def _read_all(items: Sequence[UploadItem]) -> list[UploadItem]:
    return [_read(item) for item in items]


def _read(item: UploadItem, *, may_wait: bool = True) -> UploadItem:
    # Its size is known, so somebody has looked at it.
    read: ReadFile | TransferError
    try:
        read = ReadFile(item.path, may_wait=may_wait, is_known=True)
    except TransferError as error:
        read = error
    return UploadItem(item.path, item.destination, item.size, item.mtime_ns, read, item.earlier)
