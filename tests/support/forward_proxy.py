"""A forward proxy as companies run them: CONNECT tunnels, and plain requests in absolute form.

Owns nothing of the target: it passes bytes on and keeps the heads it was given.
"""

import asyncio
import contextlib
from urllib.parse import urlsplit

from tests.support.http_messages import RequestHead
from tests.support.http_server import HttpServer, Peer


class ForwardProxy(HttpServer):
    """The proxy inside the running event loop; an async context manager.

    Args:
        authorization: The Proxy-Authorization it demands; anything else is answered with 407.
    """

    def __init__(self, *, authorization: str | None = None) -> None:
        super().__init__(self._speak)
        self._authorization = authorization
        self.heads: list[RequestHead] = []

    async def _speak(self, peer: Peer) -> None:
        head = await peer.head()
        self.heads.append(head)
        if self._authorization is not None and head.header("Proxy-Authorization") != self._authorization:
            await peer.answer(b"who are you?", status=b"407 Proxy Authentication Required")
            return
        if head.method == "CONNECT":
            host, _, port = head.target.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            await peer.send(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n")
        else:
            parts = urlsplit(head.target)
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            query = f"?{parts.query}" if parts.query else ""
            kept = [(name, value) for name, value in head.headers if name != "Proxy-Authorization"]
            lines = [f"{head.method} {parts.path}{query} HTTP/1.1", *(f"{name}: {value}" for name, value in kept)]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        await _join(peer, reader, writer)


async def _join(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes both ways until either side ends."""
    ways = [asyncio.create_task(_pump(peer.reader, writer)), asyncio.create_task(_pump(reader, peer.writer))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
