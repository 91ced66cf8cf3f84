"""An S3-shaped endpoint that costs little, so that what is measured is the client.

Runs as `python -m benchmarks.null_endpoint`. Owns the sockets and the counters. PUT bodies are dropped, in
the kernel where Linux allows it; GET bodies come by sendfile from a data file that repeats. The size of an
object is the number after the last `@` of its key, else that of the data file. It keeps nothing and checks
nothing, neither signatures nor bodies: it must never be taken as proof that a transfer is right. POSIX only,
on 127.0.0.1 alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

from benchmarks.request_heads import Request, object_size_bytes, parse_head, parse_range

STATS_PATH = "/_stats"
HEAD_LIMIT_BYTES = 1 << 16
DROP_BYTES = 4 << 20
THREAD_STACK_BYTES = 512 << 10
# Linux discards TCP bytes without copying them when asked for a truncated message, and WAITALL wakes the
# thread only when all have come. Elsewhere MSG_TRUNC means something else, so there the bytes are copied.
DROP_FLAGS = socket.MSG_TRUNC | socket.MSG_WAITALL if sys.platform == "linux" else 0
MORE_FLAG = socket.MSG_MORE if sys.platform == "linux" else 0

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_PUT_ETAG = '"d41d8cd98f00b204e9800998ecf8427e"'
_OBJECT_ETAG = '"d41d8cd98f00b204e9800998ecf8427e-9"'
_REASONS = {
    200: "OK",
    204: "No Content",
    206: "Partial Content",
    400: "Bad Request",
    405: "Method Not Allowed",
    416: "Range Not Satisfiable",
}


class ClientGoneError(ConnectionError):
    """The client closed the connection, between two requests or inside one."""


@dataclass(slots=True)
class Counters:
    """What clients did since the start; a body counts once it has arrived or left completely."""

    put: int = 0
    get: int = 0
    other: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    connections: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, amount: int = 1) -> None:
        """Raise one counter; safe from any thread."""
        with self._lock:
            setattr(self, name, getattr(self, name) + amount)

    def as_json(self) -> bytes:
        """Return all counters as one JSON object."""
        with self._lock:
            names = ("put", "get", "other", "bytes_in", "bytes_out", "connections")
            return json.dumps({name: getattr(self, name) for name in names}).encode()


@dataclass(frozen=True, slots=True)
class Data:
    """The open file that bodies of GET answers repeat; `size_bytes` is above 0."""

    descriptor: int
    size_bytes: int


class Inbox:
    """The receiving half of one connection: heads are read, bodies are dropped."""

    # Shared by all threads: nothing ever reads what lands here.
    _bin = memoryview(bytearray(DROP_BYTES))

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
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
        while left:
            received = self._connection.recv_into(self._bin, min(left, DROP_BYTES), DROP_FLAGS)
            if not received:
                raise ClientGoneError("closed by the client inside a body")
            left -= received

    def is_empty(self) -> bool:
        """Tell whether nothing of what comes next has arrived with what was read."""
        return not self._pending


class Exchange:
    """Serves one connection until the client leaves it."""

    def __init__(self, connection: socket.socket, data: Data, counters: Counters) -> None:
        self._connection = connection
        self._inbox = Inbox(connection)
        self._data = data
        self._counters = counters

    def serve(self) -> None:
        """Answer requests one after the other; returns when the connection is over."""
        with self._connection, contextlib.suppress(ConnectionError):
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                head = self._inbox.read_until(b"\r\n\r\n")
                try:
                    request = parse_head(head)
                except ValueError:
                    self._answer(400, {"Connection": "close"})
                    return
                received_bytes = self._drop_body(request)
                self._respond(request, received_bytes)

    def _drop_body(self, request: Request) -> int:
        if request.headers.get("expect", "").lower() == "100-continue" and self._inbox.is_empty():
            self._connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if request.headers.get("transfer-encoding", "").lower() != "chunked":
            length_bytes = int(request.headers.get("content-length", "0"))
            self._inbox.drop(length_bytes)
            return length_bytes
        total_bytes = 0
        while chunk_bytes := int(self._inbox.read_until(b"\r\n").partition(b";")[0], 16):
            self._inbox.drop(chunk_bytes + 2)
            total_bytes += chunk_bytes
        while self._inbox.read_until(b"\r\n"):
            pass
        return total_bytes

    def _respond(self, request: Request, received_bytes: int) -> None:
        if request.path == STATS_PATH:
            self._answer(200, {"Content-Type": "application/json"}, self._counters.as_json())
            return
        bucket, _, key = request.path.removeprefix("/").partition("/")
        if request.method in {"GET", "HEAD"} and key:
            self._counters.add("get")
            self._send_object(request)
            return
        self._counters.add("put" if request.method == "PUT" else "other")
        if request.method == "PUT":
            self._counters.add("bytes_in", received_bytes)
            self._answer(200, {"ETag": _PUT_ETAG})
        elif request.method == "POST":
            self._answer_xml(_posted(request, bucket, key))
        elif request.method == "DELETE":
            self._answer(204)
        elif request.method == "GET":
            self._answer_xml(_bucket_document(request, bucket))
        elif request.method == "HEAD":
            self._answer(200, {"x-amz-bucket-region": "us-east-1"})
        else:
            self._answer(405)

    def _send_object(self, request: Request) -> None:
        size_bytes = object_size_bytes(request.path, self._data.size_bytes)
        asked = parse_range(request.headers.get("range"), size_bytes)
        if asked is not None and not asked:
            self._answer(416, {"Content-Range": f"bytes */{size_bytes}"})
            return
        fields = {
            "Accept-Ranges": "bytes",
            "Content-Type": "binary/octet-stream",
            "ETag": _OBJECT_ETAG,
            "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
        }
        if asked is not None:
            fields["Content-Range"] = f"bytes {asked.start}-{asked.stop - 1}/{size_bytes}"
        span = range(size_bytes) if asked is None else asked
        self._send_head(200 if asked is None else 206, fields, len(span), has_body=request.method == "GET")
        if request.method == "GET":
            self._send_data(span)

    def _send_data(self, span: range) -> None:
        position = span.start
        while position < span.stop:
            offset = position % self._data.size_bytes
            count_bytes = min(span.stop - position, self._data.size_bytes - offset)
            sent_bytes = os.sendfile(self._connection.fileno(), self._data.descriptor, offset, count_bytes)
            if not sent_bytes:
                raise ClientGoneError("the data file became shorter")
            position += sent_bytes
        self._counters.add("bytes_out", len(span))

    def _answer_xml(self, document: str) -> None:
        self._answer(200, {"Content-Type": "application/xml"}, document.encode())

    def _answer(self, status: int, fields: dict[str, str] | None = None, body: bytes = b"") -> None:
        self._send_head(status, fields or {}, len(body), has_body=bool(body))
        if body:
            self._connection.sendall(body)

    def _send_head(self, status: int, fields: dict[str, str], length_bytes: int, *, has_body: bool) -> None:
        lines = [f"HTTP/1.1 {status} {_REASONS[status]}", "Server: null", "x-amz-request-id: 1"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        if status != 204:
            lines.append(f"Content-Length: {length_bytes}")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        self._connection.sendall(head, MORE_FLAG if has_body and length_bytes else 0)


def _document(root: str, content: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><{root} xmlns="{_NAMESPACE}">{content}</{root}>'


def _posted(request: Request, bucket: str, key: str) -> str:
    names = f"<Bucket>{escape(bucket)}</Bucket><Key>{escape(key)}</Key>"
    if "uploadId" in request.query:
        location = f"<Location>{escape(request.path)}</Location>"
        return _document("CompleteMultipartUploadResult", f"{location}{names}<ETag>{escape(_OBJECT_ETAG)}</ETag>")
    if "uploads" in request.query:
        return _document("InitiateMultipartUploadResult", f"{names}<UploadId>upload</UploadId>")
    return _document("DeleteResult", "")


def _bucket_document(request: Request, bucket: str) -> str:
    if "location" in request.query:
        return _document("LocationConstraint", "us-east-1")
    prefix = escape(request.query.get("prefix", [""])[0])
    return _document(
        "ListBucketResult",
        f"<Name>{escape(bucket)}</Name><Prefix>{prefix}</Prefix><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys>"
        "<IsTruncated>false</IsTruncated>",
    )


def serve(listener: socket.socket, data: Data) -> None:
    """Accept connections for ever, one thread each."""
    counters = Counters()
    threading.stack_size(THREAD_STACK_BYTES)
    while True:
        connection, _ = listener.accept()
        counters.add("connections")
        threading.Thread(target=Exchange(connection, data, counters).serve, daemon=True).start()


def main() -> None:
    """Listen, print the port as the only line, and serve until a signal ends the process."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.null_endpoint", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--data", type=Path, required=True, help="file whose bytes the objects repeat")
    arguments = parser.parse_args()
    descriptor = os.open(arguments.data, os.O_RDONLY)
    data = Data(descriptor, os.fstat(descriptor).st_size)
    if not data.size_bytes:
        parser.error(f"{arguments.data} is empty; the data file needs at least one byte")
    with socket.create_server(("127.0.0.1", arguments.port), backlog=1024) as listener:
        print(listener.getsockname()[1], flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            serve(listener, data)


if __name__ == "__main__":
    main()
