"""Keys to be removed that wait until there are enough of their bucket for a request, neither long nor in any number.

It sends no request; where the keys go on to is somebody else's to read.
"""

from __future__ import annotations

from typing import Final

import anyio
from anyio.abc import ObjectSendStream

from transfer.engine.removal import Batch
from transfer.model.locations import S3Location
from transfer.model.receipts import Failure
from transfer.stores.s3.listing import DELETE_BATCH_KEYS

MOST_WAITING_KEYS: Final = 10_000
"""Keys that may wait together, of however many buckets: ten megabytes at most."""
LONGEST_WAIT_SECONDS: Final = 3.0
"""A list may come from a program that has a line now and then: what it has named is removed soon."""

Removable = Batch | S3Location | Failure


class Gathering:
    """Keys that wait, by bucket."""

    def __init__(self, sender: ObjectSendStream[Removable]) -> None:
        """Begin with none.

        Args:
            sender: Takes what need not wait any longer.
        """
        self._sender: Final = sender
        self._sending: Final = anyio.Lock()
        self._waiting: dict[str, list[str]] = {}
        self._count = 0

    async def take(self, found: Removable) -> None:
        """Have a key wait for others of its bucket; all else goes on at once."""
        if not isinstance(found, S3Location):
            await self._sender.send(found)
            return
        keys = self._waiting.setdefault(found.bucket, [])
        keys.append(found.key)
        self._count += 1
        if len(keys) == DELETE_BATCH_KEYS:
            del self._waiting[found.bucket]
            self._count -= len(keys)
            await self._sender.send(Batch(found.bucket, tuple(keys)))
        elif self._count >= MOST_WAITING_KEYS:
            await self.send_all()

    async def send_all(self) -> None:
        """Hand on all that waits; when it returns, nothing is on its way either."""
        async with self._sending:
            waiting, self._waiting, self._count = self._waiting, {}, 0
            for bucket, keys in waiting.items():
                await self._sender.send(Batch(bucket, tuple(keys)))

    async def keep_sending(self) -> None:
        """Hand on what waits every few seconds, until cancelled: the next key may be long in coming."""
        while True:
            await anyio.sleep(LONGEST_WAIT_SECONDS)
            await self.send_all()
