"""The socket of one client: heads come in, bodies are dropped, data goes out, each at the pace that was asked for.

Without TLS on Linux no body byte is copied: what arrives is dropped in the kernel, what leaves comes by sendfile.
The socket blocks or it does not: where it may have to wait, a channel says for what by yielding READABLE or WRITABLE,
and whoever runs it resumes it then (`loop`), or at once where the socket itself waits.
"""

from __future__ import annotations

import mmap
import os
import select
import socket
import ssl
import sys
import types
from collections.abc import Generator
from dataclasses import dataclass
from time import perf_counter, sleep

HEAD_LIMIT_BYTES = 1 << 16
DROP_BYTES = 4 << 20
PACED_BYTES = 256 << 10
TLS_SEND_BYTES = 1 << 20
# Linux discards TCP bytes without copying them when asked for a truncated message, and WAITALL wakes a thread only
# when all have come (a socket that does not block gives what there is). Elsewhere MSG_TRUNC means something else, so
# there the bytes are copied.
DROP_FLAGS = socket.MSG_TRUNC | socket.MSG_WAITALL if sys.platform == "linux" else 0
MORE_FLAG = socket.MSG_MORE if sys.platform == "linux" else 0
READABLE = select.POLLIN
WRITABLE = select.POLLOUT


class ClientGoneError(ConnectionError):
    """The client closed the connection, between two requests or inside one."""


@dataclass(frozen=True, slots=True)
class Data:
    """The open file that bodies of GET answers repeat; it is mapped too, for TLS."""

    descriptor: int
    mapped: mmap.mmap

    @classmethod
    def open(cls, path: str) -> Data:
        """Open a file. Raises ValueError when it is empty, OSError when it cannot be read."""
        descriptor = os.open(path, os.O_RDONLY)
        return cls(descriptor, mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))


@types.coroutine
def ready(event: int) -> Generator[int, None, None]:
    """Wait until the socket is READABLE or WRITABLE."""
    yield event


class Channel:
    """One connection; `pace_bytes_per_second` is 0 for as fast as it goes."""

    # Shared by all connections: nothing ever reads what lands here.
    _bin = memoryview(bytearray(DROP_BYTES))

    def __init__(self, connection: socket.socket, data: Data, pace_bytes_per_second: float) -> None:
        self._connection = connection
        self._data = data
        self._pace = pace_bytes_per_second
        self._is_tls = isinstance(connection, ssl.SSLSocket)
        self._pending = b""

    async def read_until(self, mark: bytes) -> bytes:
        """Return the bytes before `mark`, which is consumed too. Raises ClientGoneError."""
        while (end := self._pending.find(mark)) < 0:
            if len(self._pending) > HEAD_LIMIT_BYTES:
                raise ClientGoneError("a head or chunk line longer than the limit")
            await ready(READABLE)
            received = self._connection.recv(HEAD_LIMIT_BYTES)
            if not received:
                raise ClientGoneError("closed by the client")
            self._pending += received
        taken = self._pending[:end]
        self._pending = self._pending[end + len(mark) :]
        return taken

    async def drop(self, count_bytes: int) -> None:
        """Consume exactly `count_bytes`. Raises ClientGoneError."""
        left = count_bytes - len(self._pending)
        self._pending = self._pending[count_bytes:]
        started, step = perf_counter(), PACED_BYTES if self._pace else DROP_BYTES
        flags = 0 if self._is_tls else DROP_FLAGS
        while left > 0:
            await ready(READABLE)
            received = self._connection.recv_into(self._bin, min(left, step), flags)
            if not received:
                raise ClientGoneError("closed by the client inside a body")
            left -= received
            self._wait(started, count_bytes - left)

    def is_empty(self) -> bool:
        """Tell whether nothing of what comes next has arrived with what was read."""
        return not self._pending

    async def send(self, text: bytes, span: range = range(0)) -> None:
        """Send `text`, then the data of `span` as if it were repeated for ever. Raises ClientGoneError."""
        started, position = perf_counter(), span.start
        # For 1 to 64 KiB both calls together cost what one of head and data joined does (measured).
        await self._send_text(text, MORE_FLAG if span and not self._is_tls else 0)
        while position < span.stop:
            offset = position % len(self._data.mapped)
            count_bytes = min(span.stop - position, len(self._data.mapped) - offset)
            sent_bytes = self._send_piece(offset, min(count_bytes, PACED_BYTES) if self._pace else count_bytes)
            position += sent_bytes
            self._wait(started, position - span.start)
            if sent_bytes < count_bytes:
                await ready(WRITABLE)

    async def _send_text(self, text: bytes, flags: int) -> None:
        sent_bytes = self._send_some(text, flags)
        while sent_bytes < len(text):
            await ready(WRITABLE)
            sent_bytes += self._send_some(memoryview(text)[sent_bytes:], flags)

    def _send_some(self, text: bytes | memoryview, flags: int) -> int:
        try:
            return self._connection.send(text, flags)
        except BlockingIOError:
            return 0

    def _send_piece(self, offset: int, count_bytes: int) -> int:
        if self._is_tls:
            count_bytes = min(count_bytes, TLS_SEND_BYTES)
            with memoryview(self._data.mapped) as view, view[offset : offset + count_bytes] as piece:
                self._connection.sendall(piece)
            return count_bytes
        try:
            sent_bytes = os.sendfile(self._connection.fileno(), self._data.descriptor, offset, count_bytes)
        except BlockingIOError:
            return 0
        if not sent_bytes:
            raise ClientGoneError("the data file became shorter")
        return sent_bytes

    def _wait(self, started: float, moved_bytes: int) -> None:
        if self._pace:
            ahead_seconds = started + moved_bytes / self._pace - perf_counter()
            if ahead_seconds > 0:
                sleep(ahead_seconds)
