"""Answers the requests of one connection. Owns what is said, not how it travels."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from time import sleep

from benchmarks.null_endpoint.channel import Channel
from benchmarks.null_endpoint.counters import Count, Counters
from benchmarks.null_endpoint.documents import OBJECT_ETAG, PUT_ETAG, SLOW_DOWN, bucket_document, posted_document
from benchmarks.null_endpoint.heads import Request, object_size_bytes, parse_head, parse_range

STATS_PATH = "/_stats"
_REASONS = {
    200: "OK",
    204: "No Content",
    206: "Partial Content",
    400: "Bad Request",
    405: "Method Not Allowed",
    416: "Range Not Satisfiable",
    503: "Slow Down",
}
_STARTS = {
    status: f"HTTP/1.1 {status} {reason}\r\nServer: null\r\nx-amz-request-id: 1\r\n"
    for status, reason in _REASONS.items()
}
_OBJECT_FIELDS = (
    "Accept-Ranges: bytes\r\nContent-Type: binary/octet-stream\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    f"ETag: {OBJECT_ETAG}\r\n"
)
_XML_FIELDS = "Content-Type: application/xml\r\n"
_NOTHING = range(0)


@dataclass(frozen=True, slots=True)
class Manner:
    """How an S3 is imitated.

    Attributes:
        delay_seconds: From a request's last byte to the answer's first.
        pace_bytes_per_second: Of each connection's bodies, both ways; 0 for no limit.
        in_flight_limit: More requests than this at a time are answered with SlowDown; 0 for no limit.
        default_size_bytes: Of objects whose key names no size.
    """

    delay_seconds: float
    pace_bytes_per_second: float
    in_flight_limit: int
    default_size_bytes: int


class Exchange:
    """Serves one connection until the client leaves it."""

    def __init__(self, channel: Channel, manner: Manner, counters: Counters) -> None:
        self._channel = channel
        self._manner = manner
        self._counters = counters
        self._is_in_flight = False

    async def serve(self) -> None:
        """Answer requests one after the other; returns when the connection is over."""
        # A client that leaves without a word ends TLS in an SSLError, which is no failure of anybody's.
        with contextlib.suppress(OSError):
            while True:
                head = await self._channel.read_until(b"\r\n\r\n")
                try:
                    await self._take_turn(parse_head(head))
                except ValueError:
                    await self._channel.send(_said(400, "Connection: close\r\n"))
                    return
                finally:
                    self._land()

    async def _take_turn(self, request: Request) -> None:
        if request.path == STATS_PATH:
            await self._channel.send(_said(200, "Content-Type: application/json\r\n", self._counters.as_json()))
            return
        self._counters.add(Count.IN_FLIGHT)
        self._is_in_flight = True
        limit = self._manner.in_flight_limit
        is_too_many = bool(limit) and self._counters.total(Count.IN_FLIGHT) > limit
        received_bytes = await self._drop_body(request)
        self._delay()
        if is_too_many:
            self._counters.add(Count.SLOWED)
            text, span = _said(503, _XML_FIELDS, SLOW_DOWN.encode()), _NOTHING
        else:
            text, span = self._respond(request, received_bytes)
        if not span:
            self._land()
        await self._channel.send(text, span)
        if span:
            self._counters.add(Count.BYTES_OUT, len(span))

    def _delay(self) -> None:
        # Who imitates a delay has a thread for each connection.
        if self._manner.delay_seconds:
            sleep(self._manner.delay_seconds)

    def _land(self) -> None:
        """The request is in flight no more. Before a short answer leaves: the client's next one may come at once."""
        if self._is_in_flight:
            self._is_in_flight = False
            self._counters.add(Count.IN_FLIGHT, -1)

    async def _drop_body(self, request: Request) -> int:
        if request.field("expect") == "100-continue" and self._channel.is_empty():
            await self._channel.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if request.field("transfer-encoding") != "chunked":
            length_bytes = int(request.field("content-length") or 0)
            await self._channel.drop(length_bytes)
            return length_bytes
        total_bytes = 0
        while chunk_bytes := int((await self._channel.read_until(b"\r\n")).partition(b";")[0], 16):
            await self._channel.drop(chunk_bytes + 2)
            total_bytes += chunk_bytes
        while await self._channel.read_until(b"\r\n"):
            pass
        return total_bytes

    def _respond(self, request: Request, received_bytes: int) -> tuple[bytes, range]:
        """Return what to say and the span of data that follows it."""
        bucket, _, key = request.path.removeprefix("/").partition("/")
        method = request.method
        if method in {"GET", "HEAD"} and key:
            self._counters.add(Count.GET)
            return self._object(request)
        self._counters.add(Count.PUT if method == "PUT" else Count.OTHER)
        if method == "PUT":
            self._counters.add(Count.BYTES_IN, received_bytes)
            return _PUT_ANSWER, _NOTHING
        if method == "POST":
            text = _said(200, _XML_FIELDS, posted_document(request, bucket, key).encode())
        elif method == "DELETE":
            text = _said(204)
        elif method == "GET":
            text = _said(200, _XML_FIELDS, bucket_document(request, bucket).encode())
        elif method == "HEAD":
            text = _said(200, "x-amz-bucket-region: us-east-1\r\n")
        else:
            text = _said(405)
        return text, _NOTHING

    def _object(self, request: Request) -> tuple[bytes, range]:
        size_bytes = object_size_bytes(request.path, self._manner.default_size_bytes)
        asked = parse_range(request.field("range"), size_bytes)
        if asked is not None and not asked:
            return _said(416, f"Content-Range: bytes */{size_bytes}\r\n"), _NOTHING
        fields = _OBJECT_FIELDS
        if asked is not None:
            fields += f"Content-Range: bytes {asked.start}-{asked.stop - 1}/{size_bytes}\r\n"
        span = range(size_bytes) if asked is None else asked
        head = _head(200 if asked is None else 206, fields, len(span))
        return head, span if request.method == "GET" else _NOTHING


def _said(status: int, fields: str = "", body: bytes = b"") -> bytes:
    return _head(status, fields, len(body)) + body


def _head(status: int, fields: str, length_bytes: int) -> bytes:
    length = "" if status == 204 else f"Content-Length: {length_bytes}\r\n"
    return f"{_STARTS[status]}{fields}{length}\r\n".encode("latin-1")


_PUT_ANSWER = _said(200, f"ETag: {PUT_ETAG}\r\n")
