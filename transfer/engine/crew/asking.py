"""A worker's questions to the first process: credentials, endpoints, and leave to move bytes. It keeps no answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any, Final

from transfer.engine.crew.orders import (
    Answer,
    Ask,
    CredentialsWanted,
    EndpointWanted,
    LeaveWanted,
    Question,
)
from transfer.model.errors import TransferError
from transfer.stores.s3.access import Access, BucketEndpoint
from transfer.stores.s3.credentials import Credentials


class Asking:
    """Questions under way."""

    def __init__(self, send: Callable[[Ask], None]) -> None:
        self._send: Final = send
        self._tickets: Final = count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def ask(self, question: Question) -> Any:  # noqa: ANN401 - as many types as questions
        """The answer; raises the error that came instead."""
        ticket = next(self._tickets)
        waiter = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        self._send(Ask(ticket, question))
        try:
            value = await waiter
        finally:
            del self._waiting[ticket]
        if isinstance(value, TransferError):
            raise value
        return value

    def answered(self, answer: Answer) -> None:
        """Hand an answer to whoever waits for it, if he still does."""
        waiter = self._waiting.get(answer.ticket)
        if waiter is not None and not waiter.done():
            waiter.set_result(answer.value)


class AskingAccess(Access):
    """What the first process knows of the store: one chain of credentials for all, asked once."""

    def __init__(self, asking: Asking) -> None:
        self._asking: Final = asking
        self._given: Credentials | None = None

    async def credentials(self) -> Credentials | None:
        """See `Access.credentials`."""
        self._given = await self._asking.ask(CredentialsWanted())
        return self._given

    async def renew_credentials(self) -> bool:
        """See `Access.renew_credentials`."""
        return bool(await self._asking.ask(CredentialsWanted(refused=self._given)))

    async def bucket_endpoint(self, bucket: str, region: str | None) -> BucketEndpoint:
        """See `Access.bucket_endpoint`."""
        found: BucketEndpoint = await self._asking.ask(EndpointWanted(bucket, region))
        return found


class AskingLimiter:
    """The rate of all processes together. Implements `transfer.wire.flow.RateLimiter`."""

    def __init__(self, asking: Asking, step_bytes: int) -> None:
        """Ask leave for so many bytes at a time."""
        self.step_bytes: Final = step_bytes
        self._asking: Final = asking

    async def admit(self, count: int) -> None:
        """Wait until `count` bytes may move."""
        await self._asking.ask(LeaveWanted(count))
