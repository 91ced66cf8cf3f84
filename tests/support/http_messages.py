"""As much HTTP/1.1 (RFC 9112) as a proxy needs: heads parsed, bodies framed, raw bytes preserved.

Owns reading from a stream; it never writes and never changes a byte.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple

HEAD_LIMIT_BYTES = 256 * 1024
PIECE_BYTES = 64 * 1024

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request's first line and headers; ``raw`` is what came over the wire, blank line included."""

    raw: bytes
    method: str
    target: str
    headers: Headers

    def header(self, name: str) -> str | None:
        """Return the first value of a header, or None."""
        return find_header(self.headers, name)


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """An answer's status and headers; ``raw`` is what came over the wire, blank line included."""

    raw: bytes
    status: int
    headers: Headers

    @property
    def is_interim(self) -> bool:
        """Whether another head follows this one (1xx)."""
        return self.status < 200


class Piece(NamedTuple):
    """Some bytes of a body: payload, or the framing of chunks around it."""

    data: bytes
    is_payload: bool


def find_header(headers: Headers, name: str) -> str | None:
    """Return the first value of a header whatever its case, or None."""
    return next((value for key, value in headers if key.lower() == name.lower()), None)


def closes_connection(headers: Headers) -> bool:
    """Tell whether the headers announce the end of the connection."""
    return "close" in (find_header(headers, "Connection") or "").lower()


async def read_request_head(reader: asyncio.StreamReader) -> RequestHead | None:
    """Return the next request's head, or None when the peer ended the connection between requests."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as end:
        if end.partial:
            raise
        return None
    line, headers = _parse(raw)
    method, target, _version = line.split(" ", 2)
    return RequestHead(raw, method, target, headers)


async def read_response_head(reader: asyncio.StreamReader) -> ResponseHead:
    """Return the next answer's head; ``asyncio.IncompleteReadError`` when there is none."""
    raw = await reader.readuntil(b"\r\n\r\n")
    line, headers = _parse(raw)
    return ResponseHead(raw, int(line.split(" ", 2)[1]), headers)


def request_body(reader: asyncio.StreamReader, head: RequestHead) -> AsyncGenerator[Piece, None]:
    """Return the body that follows the request's head, piece by piece."""
    return _body(reader, head.headers, unframed_bytes=0)


def response_body(reader: asyncio.StreamReader, head: ResponseHead, method: str) -> AsyncGenerator[Piece, None]:
    """Return the body that follows the answer's head, piece by piece; ``method`` is the request's."""
    if method == "HEAD" or head.status in (204, 304):
        return _counted(reader, 0)
    return _body(reader, head.headers, unframed_bytes=None)


def make_response(status: int, body: bytes, headers: Headers, *, method: str) -> bytes:
    """Return a whole answer; Content-Length is added unless ``headers`` tell one, true or not."""
    phrase = HTTPStatus(status).phrase if status in HTTPStatus.__members__.values() else "Unknown"
    if find_header(headers, "Content-Length") is None and status not in (204, 304):
        headers = (*headers, ("Content-Length", str(len(body))))
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1") + (b"" if method == "HEAD" else body)


def _parse(raw: bytes) -> tuple[str, Headers]:
    first, *rest = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    pairs = (line.partition(":") for line in rest)
    return first, tuple((name, value.strip()) for name, _, value in pairs)


def _body(reader: asyncio.StreamReader, headers: Headers, *, unframed_bytes: int | None) -> AsyncGenerator[Piece, None]:
    if "chunked" in (find_header(headers, "Transfer-Encoding") or "").lower():
        return _chunked(reader)
    length = find_header(headers, "Content-Length")
    count = unframed_bytes if length is None else int(length)
    return _until_close(reader) if count is None else _counted(reader, count)


async def _counted(reader: asyncio.StreamReader, count: int) -> AsyncGenerator[Piece, None]:
    while count:
        data = await reader.read(min(count, PIECE_BYTES))
        if not data:
            raise asyncio.IncompleteReadError(b"", count)
        count -= len(data)
        yield Piece(data, is_payload=True)


async def _until_close(reader: asyncio.StreamReader) -> AsyncGenerator[Piece, None]:
    while data := await reader.read(PIECE_BYTES):
        yield Piece(data, is_payload=True)


async def _chunked(reader: asyncio.StreamReader) -> AsyncGenerator[Piece, None]:
    while True:
        line = await reader.readuntil(b"\r\n")
        yield Piece(line, is_payload=False)
        size = int(line.split(b";")[0], 16)
        if not size:
            break
        async for piece in _counted(reader, size):
            yield piece
        yield Piece(await reader.readexactly(2), is_payload=False)
    trailer = b""
    while trailer != b"\r\n":
        trailer = await reader.readuntil(b"\r\n")
        yield Piece(trailer, is_payload=False)
