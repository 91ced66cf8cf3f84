"""The seam between HTTP and the operating system: one connected byte stream, plain or encrypted.

A stream moves bytes and waits for readiness. It never retries, never interprets what it carries, and has exactly one
user at a time. Cancelling any of its coroutines leaves it in an unknown position: the owner must then close it.

The event loop must be able to watch sockets: a selector loop, which is not what Windows starts unless it is told to
(`asyncio.SelectorEventLoop`).
"""

from __future__ import annotations

import asyncio
import select
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from transfer.model.errors import ConfigurationError, SourceChangedError, StalledError, WireError
from transfer.model.receipts import Mover
from transfer.system.positional import read_at, write_at
from transfer.wire.flow import Flow

Tap = Callable[[memoryview], object]
"""Sees received bytes in order while they are hot."""


class PeerAnsweredError(Exception):
    """The peer has sent something (or closed) while we were still sending: read its answer before judging."""


RECEIVE_BUFFER_BYTES: Final = 1024 * 1024
"""One hop from a socket into a file. Measured with 1 GiB downloads from a local endpoint, checksum included, medians of
14 in turn: 1 MiB 1.12 s wall and 1.19 s CPU, 256 KiB 1.25 and 1.23; splice(2) through a pipe with the checksum read
back from the page cache in a thread 1.33 and 1.38."""

SEND_BUFFER_BYTES: Final = 256 * 1024
"""One hop from a file into a socket where the kernel cannot do it; every sending connection has such a buffer."""


MINIMUM_BYTES_PER_SECOND: Final = 1024
"""Slower than any usable line, a part of 8 MiB would take two hours: a peer that hands out single bytes is as dead as a
silent one."""


class ByteStream(ABC):
    """One connected socket with the movers that suit it.

    Bytes are judged in windows: when the waits for the socket sum up to the stall deadline, fewer bytes than
    `MINIMUM_BYTES_PER_SECOND` times that are a stall too. Only waits count, so neither a bandwidth limit nor a slow
    disk is held against the peer, and a small answer that comes late ends before it is judged.

    Attributes:
        sends_by: What carries bytes out that pass through this process.
        receives_by: What carries bodies into files.
        stall_seconds: How long one wait may last before the watchdog fails it, and how much waiting makes a window;
            None exempts the current exchange.
        waiting_since: The loop's time at which the current wait began, or None while bytes move.
    """

    sends_by: Mover = Mover.BUFFER
    receives_by: Mover = Mover.RECV

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop, hop: memoryview) -> None:
        """Own a connected non-blocking socket.

        Args:
            sock: The socket.
            loop: The loop it is used in.
            hop: Memory that all streams of the loop share for `receive_into_file`: it is filled and emptied without
                giving way to another, so it stays in the core's cache and costs no memory per connection.
        """
        self._sock: Final = sock
        self._fd: Final = sock.fileno()
        self._loop: Final = loop
        self._hop: Final = hop
        self._send_buffer: memoryview | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._least_bytes = 0.0
        self._moved_bytes = 0
        self._waited_seconds = 0.0
        self._counted_since = 0.0
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
    def receive_now(self, view: memoryview) -> int | None:
        """Receive what has arrived, as much as `view` holds; 0 means that the peer closed, None that nothing is there.

        Raises:
            WireError: The connection broke.
        """

    @abstractmethod
    def begin_send(self, head: bytes, body: bytes | bytearray | memoryview) -> int:
        """Send a head and its body as far as the socket takes them now; how many bytes are left.

        The rest goes by `go_on_sending`, whenever the socket takes more.

        Raises:
            PeerAnsweredError: The peer answered or closed before everything was sent.
            WireError: The connection broke.
        """

    @abstractmethod
    def go_on_sending(self) -> int:
        """Send more of what `begin_send` has left; how many bytes are left then. Raises as `begin_send`."""

    async def send_file(self, fd: int, offset: int, count: int, flow: Flow) -> Mover:
        """Send `count` bytes of a file from `offset`.

        Returns:
            What carried them.

        Raises:
            PeerAnsweredError: The peer answered or closed before everything was sent.
            SourceChangedError: The file ended before `count` bytes.
            WireError: The connection broke.
            OSError: The file could not be read.
        """
        return await self._send_file_by_reading(fd, offset, count, flow, admitted=0)

    async def _send_file_by_reading(self, fd: int, offset: int, count: int, flow: Flow, admitted: int) -> Mover:
        """See `send_file`; `flow` has let the first `admitted` bytes go already."""
        if self._send_buffer is None:
            self._send_buffer = memoryview(bytearray(SEND_BUFFER_BYTES))
        view = self._send_buffer
        while count:
            got = read_at(fd, view[: min(count, flow.step_bytes)], offset)
            if got == 0:
                raise SourceChangedError("the file became shorter while it was read")
            due = max(0, got - admitted)
            admitted -= got - due
            if due:
                await flow.admit(due)
            await self.send(view[:got], more=got < count)
            offset += got
            count -= got
            flow.moved(got)
        return self.sends_by

    async def receive_into(self, view: memoryview) -> int:
        """Receive at least one byte into `view`; 0 means that the peer closed.

        Raises:
            WireError: The connection broke.
        """
        while (got := self.receive_now(view)) is None:
            await self._wait_to_receive()
        self._moved_bytes += got
        return got

    async def receive_into_file(self, fd: int, offset: int, count: int, flow: Flow, tap: Tap | None) -> None:
        """Receive exactly `count` bytes into a file at `offset`; `tap` sees them in order.

        Raises:
            WireError: The connection broke or the peer closed early.
            OSError: The file could not be written; the stream is then in an unknown position.
        """
        while count:
            view = self._hop[: min(count, flow.step_bytes)]
            while (got := self.receive_now(view)) is None:
                await self._wait_to_receive()
            if got == 0:
                raise closed_early(count)
            self._moved_bytes += got
            await land(fd, view[:got], offset, flow, tap)
            offset += got
            count -= got

    def fileno(self) -> int:
        """The descriptor of the socket, for an event loop to watch."""
        return self._fd

    def rest(self) -> None:  # noqa: B027 - most streams have nothing to do then
        """Called when an exchange has ended and the connection can serve another."""

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

    def begin_exchange(self, stall_seconds: float, *, patient: bool) -> None:
        """Judge what follows by this deadline.

        Args:
            stall_seconds: See the attribute of that name.
            patient: Bytes may move as slowly as they like as long as no single wait is longer than the deadline.
        """
        self.stall_seconds = stall_seconds
        self._least_bytes = 0.0 if patient else MINIMUM_BYTES_PER_SECOND * stall_seconds
        self.begin_window()

    def begin_window(self) -> None:
        """Forget what has moved: what comes next is no part of it, such as an answer after its request."""
        self._moved_bytes = 0
        self._waited_seconds = 0.0

    def fail_if_stalled(self, now_seconds: float) -> None:
        """Fail a wait that has lasted longer than the stall deadline, or that ends a window with too few bytes."""
        if self._waiter is None or self._waiter.done() or self.waiting_since is None or self.stall_seconds is None:
            return
        if now_seconds - self.waiting_since > self.stall_seconds:
            self.fail(StalledError(f"no byte moved for {self.stall_seconds:g} s"))
        elif self._waited_seconds + now_seconds - self._counted_since > self.stall_seconds:
            if self._moved_bytes < self._least_bytes:
                self.fail(StalledError(f"only {self._moved_bytes} bytes moved in {self.stall_seconds:g} s"))
            self.begin_window()
            self._counted_since = now_seconds

    async def _wait(self, *, readable: bool, writable: bool) -> None:
        """Wait until the socket is ready in any of the directions asked for.

        Raises:
            ConfigurationError: The event loop cannot watch sockets.
            WireError: What `fail` was given meanwhile.
        """
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiter = waiter
        self.waiting_since = self._counted_since = self._loop.time()
        try:
            try:
                if readable:
                    self._loop.add_reader(self._fd, _wake, waiter)
                if writable:
                    self._loop.add_writer(self._fd, _wake, waiter)
                await waiter
            finally:
                self._waiter = None
                self.waiting_since = None
                self._waited_seconds += self._loop.time() - self._counted_since
                if readable:
                    self._loop.remove_reader(self._fd)
                if writable:
                    self._loop.remove_writer(self._fd)
        except NotImplementedError as error:
            raise cannot_watch(self._loop) from error

    async def _wait_to_receive(self) -> None:
        """Wait until there is something to receive."""
        await self._wait(readable=True, writable=False)

    async def _wait_to_send(self) -> None:
        """Wait until more can be sent; an answer that arrives meanwhile ends the sending.

        Raises:
            PeerAnsweredError: There is something to read.
        """
        await self._wait(readable=True, writable=True)
        if self.is_stale():
            raise PeerAnsweredError


async def land(fd: int, view: memoryview, offset: int, flow: Flow, tap: Tap | None) -> None:
    """Write received bytes to their place in a file; `tap` sees them first.

    They are paid for afterwards: how many arrive is known only then, and until they are written nobody else may use
    the memory they are in.

    Raises:
        OSError: The file could not be written.
    """
    if tap is not None:
        tap(view)
    write_at(fd, view, offset)
    flow.moved(len(view))
    await flow.admit(len(view))


def cannot_watch(loop: asyncio.AbstractEventLoop) -> ConfigurationError:
    """Name an event loop that cannot watch sockets."""
    return ConfigurationError(
        f"the event loop {type(loop).__name__} cannot watch sockets",
        remedy="run in a selector loop: asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)",
    )


def broken_connection(error: OSError) -> WireError:
    """Name a connection that broke, by the system's reason."""
    return WireError(f"the connection broke: {(error.strerror or type(error).__name__).lower()}")


def closed_early(missing_bytes: int) -> WireError:
    """Name a body that ended too soon."""
    return WireError(
        f"the server closed the connection {missing_bytes} bytes before the end of the body", answered=True
    )


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
