"""The two sides of a comparison of trees: entries in the order of the bytes of their names, a batch at a time.

Never more than a batch of each side is held here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from itertools import islice
from typing import Final, TypeVar

from transfer.engine.context import Context
from transfer.engine.ordered_listing import list_keys
from transfer.model.entries import Entry
from transfer.model.locations import S3Location
from transfer.model.objects import ListedObject
from transfer.plan.filters import Wants
from transfer.plan.joining import join_batches
from transfer.plan.naming import folder_prefix
from transfer.stores.local.walk import WalkedFile, WalkWarning, walk_files
from transfer.system.paths import is_there

L = TypeVar("L")
R = TypeVar("R")

Pairs = list[tuple[Entry[L] | None, Entry[R] | None]]
LocalEntry = Entry[WalkedFile | WalkWarning]
RemoteEntry = Entry[ListedObject]

_BATCH_FILES: Final = 1000
"""As many as a page of a listing brings: the sides advance together, and a thread is asked as seldom as the store."""


async def local_side(
    context: Context, root: str, wants: Wants, *, is_destination: bool = False
) -> AsyncGenerator[list[LocalEntry]]:
    """What is below a folder; what cannot be moved is an entry too, so that it is not taken for missing.

    Args:
        context: The run.
        root: The folder.
        wants: What is looked at; folders below which it can want nothing are not entered.
        is_destination: A folder that does not exist is an empty one, and no link is followed: what it leads to is
            elsewhere, and not to be changed.

    Raises:
        LocalFileError: The folder cannot be read.
    """
    if is_destination and not await context.threads.run(lambda: is_there(root)):
        return
    follow = context.options.follow_symlinks and not is_destination
    walk = walk_files(root, follow_symlinks=follow, wants=wants)
    while batch := await context.threads.run(lambda: [_local_entry(found) for found in islice(walk, _BATCH_FILES)]):
        yield batch


async def remote_side(
    context: Context, location: S3Location, *, is_sorted_on_disk: bool
) -> AsyncGenerator[list[RemoteEntry]]:
    """What is below a prefix, taken as a folder; the folder's own marker has the name "".

    Args:
        context: The run at the store that is listed.
        location: The prefix.
        is_sorted_on_disk: The store lists out of order.

    Raises:
        UnorderedListingError: It does, and `is_sorted_on_disk` is not set.
        StoreError: The store refused.
        WireError: The conversation failed.
    """
    prefix = folder_prefix(location.key)
    cut = len(prefix)
    async with aclosing(list_keys(context, location.bucket, prefix, is_sorted_on_disk=is_sorted_on_disk)) as pages:
        async for page in pages:
            yield [Entry(found.key[cut:], found.size, found.modified_seconds, found) for found in page]


async def join_sides(
    left: AsyncIterator[list[Entry[L]]], right: AsyncIterator[list[Entry[R]]]
) -> AsyncGenerator[Pairs[L, R]]:
    """Join two sides by name; pairs come in batches.

    Raises:
        TransferError: What either side raises.
    """
    one: list[Entry[L]] = []
    two: list[Entry[R]] = []
    left_ended = right_ended = False
    while True:
        if not one and not left_ended:
            one = await anext(left, [])
            left_ended = not one
        if not two and not right_ended:
            two = await anext(right, [])
            right_ended = not two
        joined = join_batches(one, two, left_ended=left_ended, right_ended=right_ended)
        if joined.pairs:
            yield joined.pairs
        elif left_ended and right_ended:
            return
        one, two = one[joined.left_used :], two[joined.right_used :]


def _local_entry(found: WalkedFile | WalkWarning) -> LocalEntry:
    if isinstance(found, WalkWarning):
        return Entry(found.relative, 0, 0.0, found)
    return Entry(found.relative, found.size, found.mtime_ns / 1_000_000_000, found)
