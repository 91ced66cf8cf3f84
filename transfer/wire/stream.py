"""The seam between HTTP and the operating system: one connected byte stream, plain or encrypted.

A stream moves bytes and waits for readiness. It never retries, never interprets what it carries, and has exactly one
user at a time. Cancelling any of its coroutines leaves it in an unknown position: the owner must then close it.
"""

from __future__ import annotations

import asyncio
import select
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from transfer.model.errors import StalledError, WireError
from transfer.model.receipts import Mover
from transfer.wire.flow import Flow

Tap = Callable[[memoryview], object]
"""Sees received bytes while they are hot, when the stream has them in memory at all."""


class PeerAnsweredError(Exception):
    """The peer has sent something (or closed) while we were still sending: read its answer before judging."""


class ByteStream(ABC):
    """One connected socket with the movers that suit it.

    Attributes:
        sends_by: What carries file ranges out.
        receives_by: What carries bodies into files.
        sees_received_bytes: Whether `receive_into_file` has the bytes in memory and so calls the tap.
        stall_seconds: How long one wait may last before the watchdog fails it; None exempts the current exchange.
        waiting_since: The loop's time at which the current wait began, or None while bytes move.
    """

    sends_by: Mover
    receives_by: Mover
    sees_received_bytes: bool

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self._sock: Final = sock
        self._fd: Final = sock.fileno()
        self._loop: Final = loop
        self._waiter: asyncio.Future[None] | None = None
        self.stall_seconds: float | None = None
        self.waiting_since: float | None = None

    @abstractmethod
    async def send(self, data: memoryview, *, more: bool = False) -> None:
        """Send all of `data`; `more` says that a body follows at once.

        Raises:
            PeerAnsweredError: The peer answered or closed before everything was sent.
            WireError: The connection broke.
        """

    @abstractmethod
    async def send_file(self, fd: int, offset: int, count: int, flow: Flow) -> None:
        """Send `count` bytes of a file from `offset`.

        Raises:
            PeerAnsweredError: The peer answered or closed before everything was sent.
            SourceChangedError: The file ended before `count` bytes.
            WireError: The connection broke.
        """

    @abstractmethod
    async def receive_into(self, view: memoryview) -> int:
        """Receive at least one byte into `view`; 0 means that the peer closed.

        Raises:
            WireError: The connection broke.
        """

    @abstractmethod
    async def receive_into_file(self, fd: int, offset: int, count: int, flow: Flow, tap: Tap | None) -> None:
        """Receive exactly `count` bytes into a file at `offset`.

        Raises:
            WireError: The connection broke or the peer closed early.
            OSError: The file could not be written; the stream is then in an unknown position.
        """

    def close(self) -> None:
        """Close the socket; idempotent. A coroutine waiting on it fails with WireError."""
        self.fail(WireError("the connection was closed"))
        self._sock.close()

    def is_stale(self) -> bool:
        """Whether an idle stream has become readable: the peer closed it or broke the protocol."""
        if hasattr(select, "poll"):
            poller = select.poll()
            poller.register(self._fd, select.POLLIN)
            return bool(poller.poll(0))
        return bool(select.select([self._fd], [], [], 0)[0])

    def fail(self, error: WireError) -> None:
        """Make the coroutine that waits on this stream fail with `error`."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def fail_if_stalled(self, now_seconds: float) -> None:
        """Fail a wait that has lasted longer than the stall deadline."""
        if self.waiting_since is None or self.stall_seconds is None:
            return
        if now_seconds - self.waiting_since > self.stall_seconds:
            self.fail(StalledError(f"no byte moved for {self.stall_seconds:g} s"))

    async def _wait(self, *, readable: bool, writable: bool) -> None:
        """Wait until the socket is ready in any of the directions asked for."""
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiter = waiter
        self.waiting_since = self._loop.time()
        try:
            if readable:
                self._loop.add_reader(self._fd, _wake, waiter)
            if writable:
                self._loop.add_writer(self._fd, _wake, waiter)
            await waiter
        finally:
            if readable:
                self._loop.remove_reader(self._fd)
            if writable:
                self._loop.remove_writer(self._fd)
            self._waiter = None
            self.waiting_since = None

    async def _wait_to_send(self) -> None:
        """Wait until more can be sent; an answer that arrives meanwhile ends the sending.

        Raises:
            PeerAnsweredError: There is something to read.
        """
        await self._wait(readable=True, writable=True)
        if self.is_stale():
            raise PeerAnsweredError


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
