"""What becomes of a key whose name another key has taken on the disk: the policy for unsafe keys, at the last moment.

Listings are streams, so nobody knows all names; the disk does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from transfer.engine.items import DownloadItem, FolderItem
from transfer.model.errors import NameClashError
from transfer.model.options import UnsafeKeyPolicy
from transfer.model.receipts import Receipt, Skip
from transfer.plan.keys import respelled

LandingItem = TypeVar("LandingItem", DownloadItem, FolderItem)


async def land_apart(
    item: LandingItem, policy: UnsafeKeyPolicy, land: Callable[[LandingItem], Awaitable[Receipt]]
) -> Receipt | Skip:
    """Land an item; when its name is taken, skip it or spell it otherwise, if that is the policy.

    Raises:
        NameClashError: The policy is to fail, or no other spelling is left.
        TransferError: What landing it raises.
    """
    while True:
        try:
            return await land(item)
        except NameClashError as error:
            error.subject = str(item.source)
            if policy is UnsafeKeyPolicy.SKIP:
                return Skip(str(item.source), error.message)
            spelled = None if policy is UnsafeKeyPolicy.ERROR else respelled(item.relative, error.depth, error.taken)
            if spelled is None:
                raise
            # Each time one more character is encoded, so this ends.
            item = replace(item, relative=spelled)
            if isinstance(item, DownloadItem):
                # The attempt that was made before has been counted.
                item = replace(item, earlier=None)
