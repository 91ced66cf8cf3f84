"""A server whose every byte a test decides: for each connection it calls a function of the test.

Owns the listening socket and the connections; they are gone when its context ends. What HTTP it speaks, or breaks, is
the test's business.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

from tests.support.http_messages import HEAD_LIMIT_BYTES, RequestHead, read_request_head, request_body


@dataclass(frozen=True, slots=True)
class Asked:
    """One whole request as it arrived."""

    head: RequestHead
    body: bytes


class HungUpError(Exception):
    """The client closed the connection where a request was awaited."""


class Peer:
    """The server's end of one connection; ``number`` counts them from 1."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader = reader
        self.writer = writer
        self.number = number
        encrypted = writer.get_extra_info("ssl_object") is not None
        # With no buffer of its own, a drained writer has handed everything to the kernel.
        writer.transport.set_write_buffer_limits(high=1 if encrypted else 0)

    async def head(self) -> RequestHead:
        """Read a request's head and leave its body where it is."""
        head = await read_request_head(self.reader)
        if head is None:
            raise HungUpError
        return head

    async def request(self) -> Asked:
        """Read a request to its end."""
        head = await self.head()
        pieces = [piece.data async for piece in request_body(self.reader, head) if piece.is_payload]
        return Asked(head, b"".join(pieces))

    async def send(self, data: bytes) -> None:
        """Send these bytes; return when the kernel has them."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes = b"", *headers: bytes, status: bytes = b"200 OK") -> None:
        """Send a whole answer with its length."""
        lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]
        await self.send(b"\r\n".join(lines) + b"\r\n\r\n" + body)

    async def wait_for_end(self) -> None:
        """Return when the client has closed; what it sends until then is dropped."""
        while await self.reader.read(65536):
            pass


Handler = Callable[[Peer], Awaitable[None]]


class HttpServer:
    """Calls ``handle`` for each connection and closes the connection when that returns.

    Args:
        handle: Speaks for the server. The client's hanging up ends it quietly.
        tls: When given, the connections are encrypted.
    """

    def __init__(self, handle: Handler, *, tls: ssl.SSLContext | None = None) -> None:
        self._handle = handle
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.connections = 0
        self.port = 0

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=HEAD_LIMIT_BYTES, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._serve(Peer(reader, writer, self.connections)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A task cancelled before its first step closes nothing by itself.
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _serve(self, peer: Peer) -> None:
        with contextlib.suppress(HungUpError, OSError, asyncio.IncompleteReadError):
            await self._handle(peer)
        peer.writer.transport.abort()
        with contextlib.suppress(OSError):
            await peer.writer.wait_closed()


def server_context(certificate: tuple[str, str]) -> ssl.SSLContext:
    """Return what a server needs to speak TLS.

    Args:
        certificate: The paths of the certificate and its key, PEM.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context
