"""A store of small objects in memory, whose every answer a test can take over.

Owns objects, their listing in one page, and what was asked for. It checks no signature and keeps no checksum but CRCs.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from tests.support.http_server import Asked, HttpServer, Peer
from transfer.integrity.digests import encode_value, new_digest
from transfer.model.checksums import ChecksumAlgorithm

CRC = "x-amz-checksum-crc64nvme"


@dataclass(frozen=True, slots=True)
class Request:
    """One request for an object.

    Attributes:
        number: Counts those of this method for this key, from 1.
        on_connection: Counts the requests of this connection, from 1.
    """

    peer: Peer
    asked: Asked
    key: str
    number: int
    on_connection: int

    @property
    def method(self) -> str:
        """Such as PUT."""
        return self.asked.head.method

    async def refuse(self, status: bytes, code: str) -> bool:
        """Answer with an error document; for hooks."""
        await self.peer.answer(f"<Error><Code>{code}</Code></Error>".encode(), status=status)
        return True


Hook = Callable[[Request], Awaitable[bool]]
"""Answers a request in the store's place, or returns False."""


async def leave_alone(_: Request) -> bool:
    """The hook that leaves everything to the store."""
    return False


@dataclass(slots=True)
class SmallStore:
    """Any bucket, path style.

    Attributes:
        hook: Asked first.
        asked: How many requests for each method and key.
        etags: What the store says in place of an MD5.
        headers: More headers of the answers to GET.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    hook: Hook = leave_alone
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    etags: dict[str, str] = field(default_factory=dict)
    headers: dict[str, tuple[bytes, ...]] = field(default_factory=dict)

    def server(self) -> AbstractAsyncContextManager[HttpServer]:
        """A server of this store."""
        return HttpServer(self._serve)

    def etag(self, key: str) -> str:
        """What the store calls the version of an object."""
        return self.etags.get(key) or hashlib.md5(self.objects[key], usedforsecurity=False).hexdigest()

    async def _serve(self, peer: Peer) -> None:
        served = 0
        while True:
            asked = await peer.request()
            served += 1
            url = urlsplit(asked.head.target)
            key = unquote(url.path.removeprefix("/bucket").removeprefix("/"))
            if not key:
                await peer.answer(self._page(dict(parse_qsl(url.query)).get("prefix", "")))
                continue
            self.asked[asked.head.method, key] += 1
            request = Request(peer, asked, key, self.asked[asked.head.method, key], served)
            if not await self.hook(request):
                await self._answer(request)

    async def _answer(self, request: Request) -> None:
        key, peer = request.key, request.peer
        if request.method == "PUT":
            self.objects[key] = request.asked.body
            crc = request.asked.head.header(CRC)
            echoed = () if crc is None else (f"{CRC}: {crc}".encode(),)
            await peer.answer(b"", self._etag_line(key), *echoed)
        elif key not in self.objects:
            await request.refuse(b"404 Not Found", "NoSuchKey")
        else:
            content = self.objects[key]
            told = self.headers.get(key) or (f"{CRC}: {crc_of(content)}".encode(), b"x-amz-checksum-type: FULL_OBJECT")
            if request.method == "HEAD":
                lines = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(content), self._etag_line(key), *told]
                await peer.send(b"\r\n".join(lines) + b"\r\n\r\n")
            else:
                await peer.answer(content, self._etag_line(key), *told)

    def _etag_line(self, key: str) -> bytes:
        return f'ETag: "{self.etag(key)}"'.encode()

    def _page(self, prefix: str) -> bytes:
        found = "".join(
            f"<Contents><Key>{quote(key)}</Key><Size>{len(content)}</Size><ETag>&quot;{self.etag(key)}&quot;</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key, content in sorted(self.objects.items())
            if key.startswith(prefix)
        )
        return (
            "<ListBucketResult><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>"
            f"{found}</ListBucketResult>"
        ).encode()


def crc_of(content: bytes) -> str:
    """The CRC64NVME of a whole object as headers carry it."""
    digest = new_digest(ChecksumAlgorithm.CRC64NVME)
    digest.update(content)
    return encode_value(digest.value())


async def settle(turns: int = 20) -> None:
    """Let the other end act on what it has."""
    for _ in range(turns):
        await asyncio.sleep(0)
