"""The socket of one client: heads come in, bodies are dropped, data goes out, each at the pace that was asked for.

Without TLS on Linux no body byte is copied: what arrives is dropped in the kernel, what leaves comes by sendfile.
"""

from __future__ import annotations

import mmap
import os
import socket
import ssl
import sys
from dataclasses import dataclass
from time import perf_counter, sleep

HEAD_LIMIT_BYTES = 1 << 16
DROP_BYTES = 4 << 20
PACED_BYTES = 256 << 10
TLS_SEND_BYTES = 1 << 20
# Linux discards TCP bytes without copying them when asked for a truncated message, and WAITALL wakes the
# thread only when all have come. Elsewhere MSG_TRUNC means something else, so there the bytes are copied.
DROP_FLAGS = socket.MSG_TRUNC | socket.MSG_WAITALL if sys.platform == "linux" else 0
MORE_FLAG = socket.MSG_MORE if sys.platform == "linux" else 0


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


class Channel:
    """One connection; `pace_bytes_per_second` is 0 for as fast as it goes."""

    # Shared by all threads: nothing ever reads what lands here.
    _bin = memoryview(bytearray(DROP_BYTES))

    def __init__(self, connection: socket.socket, data: Data, pace_bytes_per_second: float) -> None:
        self._connection = connection
        self._data = data
        self._pace = pace_bytes_per_second
        self._is_tls = isinstance(connection, ssl.SSLSocket)
        self._pending = bytearray()

    def read_until(self, mark: bytes) -> bytes:
        """Return the bytes before `mark`, which is consumed too. Raises ClientGoneError."""
        while (end := self._pending.find(mark)) < 0:
            if len(self._pending) > HEAD_LIMIT_BYTES:
                raise ClientGoneError("a head or chunk line longer than the limit")
            received = self._connection.recv(HEAD_LIMIT_BYTES)
            if not received:
                raise ClientGoneError("closed by the client")
            self._pending += received
        taken = bytes(self._pending[:end])
        del self._pending[: end + len(mark)]
        return taken

    def drop(self, count_bytes: int) -> None:
        """Consume exactly `count_bytes`. Raises ClientGoneError."""
        buffered = min(count_bytes, len(self._pending))
        del self._pending[:buffered]
        left = count_bytes - buffered
        started, step = perf_counter(), PACED_BYTES if self._pace else DROP_BYTES
        flags = 0 if self._is_tls else DROP_FLAGS
        while left:
            received = self._connection.recv_into(self._bin, min(left, step), flags)
            if not received:
                raise ClientGoneError("closed by the client inside a body")
            left -= received
            self._wait(started, count_bytes - left)

    def is_empty(self) -> bool:
        """Tell whether nothing of what comes next has arrived with what was read."""
        return not self._pending

    def send(self, text: bytes, *, more: bool) -> None:
        """Send a head or a document; `more` says that a body follows at once, so that they share a packet."""
        self._connection.sendall(text, MORE_FLAG if more and not self._is_tls else 0)

    def send_data(self, span: range) -> None:
        """Send the data from `span.start` to `span.stop`, as if it were repeated for ever. Raises ClientGoneError."""
        started, position = perf_counter(), span.start
        while position < span.stop:
            offset = position % len(self._data.mapped)
            count_bytes = min(span.stop - position, len(self._data.mapped) - offset)
            position += self._send_piece(offset, min(count_bytes, PACED_BYTES) if self._pace else count_bytes)
            self._wait(started, position - span.start)

    def _send_piece(self, offset: int, count_bytes: int) -> int:
        if self._is_tls:
            count_bytes = min(count_bytes, TLS_SEND_BYTES)
            with memoryview(self._data.mapped) as view, view[offset : offset + count_bytes] as piece:
                self._connection.sendall(piece)
            return count_bytes
        sent_bytes = os.sendfile(self._connection.fileno(), self._data.descriptor, offset, count_bytes)
        if not sent_bytes:
            raise ClientGoneError("the data file became shorter")
        return sent_bytes

    def _wait(self, started: float, moved_bytes: int) -> None:
        if self._pace:
            ahead_seconds = started + moved_bytes / self._pace - perf_counter()
            if ahead_seconds > 0:
                sleep(ahead_seconds)
