"""One HTTP/1.1 connection: a request out, its answer in, then the next.

It owns the order of bytes on the stream and knows when the connection may serve again. It must never retry: what
failed is said in a WireError whose fields let the layer above judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

from transfer.model.errors import ProtocolError, WireError
from transfer.model.receipts import Mover
from transfer.model.values import dataclass
from transfer.wire.chunks import LONGEST_LINE_BYTES, parse_chunk_size
from transfer.wire.flow import Flow
from transfer.wire.heads import (
    MAX_HEAD_BYTES,
    BodyFraming,
    ResponseHead,
    body_framing,
    build_request_head,
    parse_response_head,
    refuse_tls_alert,
    refuse_wish_for_tls,
)
from transfer.wire.origin import Origin
from transfer.wire.proxy import Proxy
from transfer.wire.stream import ByteStream, PeerAnsweredError, Tap, closed_early, land

UNSIZED_HOP_BYTES: Final = 256 * 1024
"""One hop of a body whose head does not tell its length: rare, and its chunks are small."""

INPUT_BUFFER_BYTES: Final = 16 * 1024
"""Holds heads and small bodies; the first bytes of a large body that land here take the slow path, so it is small."""

SMALL_BODY_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""A body read into memory is a listing page or an error document: beyond this the server is broken or hostile."""


@dataclass(frozen=True, slots=True)
class FileBody:
    """A request body that is a range of an open file."""

    fd: int
    offset: int
    length: int


BytesBody = bytes | bytearray | memoryview
Body = BytesBody | FileBody


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `target` is the encoded path and query; Host and Content-Length are written by the connection.

    Attributes:
        stall_seconds: Overrides the connection's deadline, for requests whose answer may take minutes in silence or
            in single bytes that keep the connection alive (CompleteMultipartUpload and CopyObject).
    """

    method: str
    target: str
    headers: Sequence[tuple[str, str]] = ()
    body: Body = b""
    stall_seconds: float | None = None


class ConnectionState(Enum):
    """What a connection can do next."""

    IDLE = "idle"
    BUSY = "busy"
    CLOSED = "closed"


class Connection:
    """A connected stream that speaks HTTP/1.1."""

    def __init__(self, stream: ByteStream, origin: Origin, stall_seconds: float, proxy: Proxy | None = None) -> None:
        """Own `stream`. `proxy` is given when requests go to it in absolute form, not through a tunnel."""
        self.stream: Final = stream
        self.origin: Final = origin
        self.state = ConnectionState.IDLE
        self.requests_served = 0
        self.stall_seconds: Final = stall_seconds
        self._proxy: Final = proxy
        self._host_header: Final = ("Host", origin.host_header)
        self._input: Final = memoryview(bytearray(INPUT_BUFFER_BYTES))
        self._start = 0
        self._end = 0

    def __repr__(self) -> str:
        return f"<Connection {self.origin} {self.state.value} served={self.requests_served}>"

    async def exchange(self, request: Request, flow: Flow) -> Response:
        """Send a request and read the head of its answer.

        The answer's body must be read to its end before the connection can serve again.

        Raises:
            WireError: The conversation failed; the connection is closed. A success that was told before the server
                had the whole body is a failure too.
            SourceChangedError: The body's file ended early; the connection is closed.
            OSError: The body's file could not be read; the connection is closed.
        """
        self.begin()
        patience = request.stall_seconds
        self.stream.begin_exchange(patience or self.stall_seconds, patient=patience is not None)
        try:
            sent_by = await self._send(request, flow)
            head = await self._receive_final_head()
            if sent_by is None and head.status < 300:
                raise WireError("the server answered before it had the whole body", answered=True)
            framing = body_framing(request.method, head)
        except WireError as error:
            error.reused = self.requests_served > 0
            self.close()
            raise
        except BaseException:
            self.close()
            raise
        reusable = sent_by is not None and head.keep_alive and (framing.chunked or framing.length is not None)
        return Response(self, head, framing, reusable=reusable, sent_by=sent_by or Mover.NONE)

    @property
    def may_want_tls(self) -> bool:
        """Whether what listens may speak TLS alone, although it is not spoken to like that."""
        return not (self.requests_served or self.origin.is_tls or self._proxy)

    def begin(self) -> None:
        """Note that a request is under way; `finish` is called when its answer has been read to the end."""
        if self.state is not ConnectionState.IDLE:
            raise RuntimeError(f"{self!r} is not idle")
        self.state = ConnectionState.BUSY

    def close(self) -> None:
        """Close the connection; idempotent."""
        if self.state is not ConnectionState.CLOSED:
            self.state = ConnectionState.CLOSED
            self.stream.close()

    def finish(self, *, reusable: bool) -> None:
        """Called when the body of the answer has been read to its end, or given up."""
        if self.state is not ConnectionState.BUSY:
            return
        self.requests_served += 1
        if reusable and self._start == self._end:
            self.state = ConnectionState.IDLE
            self.stream.rest()
        else:
            self.close()

    async def _send(self, request: Request, flow: Flow) -> Mover | None:
        """Send head and body; what carried the body, or None when the peer answered before it had everything."""
        body = request.body
        length = body.length if isinstance(body, FileBody) else len(body)
        try:
            head = self.head_of(request, length)
            if isinstance(body, FileBody):
                await self.stream.send(memoryview(head), more=bool(length))
                return await self.stream.send_file(body.fd, body.offset, length, flow)
            if length <= INPUT_BUFFER_BYTES:
                if length:
                    await flow.admit(length)
                await self.stream.send(memoryview(head + body if length else head))
                flow.moved(length)
            else:
                await self.stream.send(memoryview(head), more=True)
                await self._send_from_memory(memoryview(body), flow)
        except PeerAnsweredError:
            return None
        return self.stream.sends_by

    async def _send_from_memory(self, view: memoryview, flow: Flow) -> None:
        while view:
            step = view[: flow.step_bytes]
            await flow.admit(len(step))
            view = view[len(step) :]
            await self.stream.send(step, more=bool(view))
            flow.moved(len(step))

    def head_of(self, request: Request, length: int) -> bytes:
        """The head of a request with a body of so many bytes. Raises UsageError for values that no header can hold."""
        headers = [self._host_header, *request.headers]
        if length or request.method in ("PUT", "POST"):
            headers.append(("Content-Length", str(length)))
        target = request.target
        if self._proxy is not None:
            target = f"{self.origin}{target}"
            headers += self._proxy.headers
        return build_request_head(request.method, target, headers)

    async def _receive_final_head(self) -> ResponseHead:
        """Read heads until one that is not interim (1xx)."""
        # A store may think about its answer up to the deadline; only from its first byte on there is a pace to judge.
        self.stream.begin_window()
        await self._fill(answered=False)
        self.stream.begin_window()
        while True:
            head = parse_response_head(await self._receive_head_block())
            if head.status >= 200:
                if self.may_want_tls:
                    refuse_wish_for_tls(head, self._input[self._start : self._end])
                return head

    async def _receive_head_block(self) -> bytes:
        collected = bytearray()
        while True:
            if self._start == self._end:
                await self._fill(answered=bool(collected))
            searched_from = max(0, len(collected) - 3)
            collected += self._input[self._start : self._end]
            position = collected.find(b"\r\n\r\n", searched_from)
            if position >= 0:
                self._start = self._end - (len(collected) - position - 4)
                return bytes(collected[:position])
            self._start = self._end
            if self.may_want_tls:
                refuse_tls_alert(collected)
            if len(collected) > MAX_HEAD_BYTES:
                raise ProtocolError("the head of the answer is too long")

    async def _fill(self, *, answered: bool) -> None:
        """Receive into the empty input buffer."""
        try:
            got = await self.stream.receive_into(self._input)
        except WireError as error:
            error.answered = answered
            raise
        if got == 0:
            raise WireError("the server closed the connection without an answer", answered=answered)
        self._start, self._end = 0, got

    def take_buffered(self, limit: int) -> memoryview:
        """Take up to `limit` bytes that arrived together with the head; valid until the next receive."""
        taken = self._input[self._start : min(self._end, self._start + limit)]
        self._start += len(taken)
        return taken

    async def receive_some(self, view: memoryview) -> int:
        """Receive body bytes into `view`: buffered ones first; 0 when the peer closed."""
        buffered = self.take_buffered(len(view))
        if buffered:
            view[: len(buffered)] = buffered
            return len(buffered)
        return await self.stream.receive_into(view)

    async def receive_line(self) -> bytes:
        """Receive one CRLF-ended line of the chunked coding, without its end."""
        line = bytearray()
        while True:
            if self._start == self._end:
                await self._fill(answered=True)
            line += self.take_buffered(1)
            if line.endswith(b"\r\n"):
                return bytes(line[:-2])
            if len(line) > LONGEST_LINE_BYTES:
                raise ProtocolError("a malformed chunk in the answer")


class Response:
    """The answer to one request: its head, and its body exactly once.

    Attributes:
        length: Bytes of the body when the head told, else None.
        sent_by: What carried the body of the request; NONE when the server did not wait for all of it.
    """

    def __init__(
        self, connection: Connection, head: ResponseHead, framing: BodyFraming, *, reusable: bool, sent_by: Mover
    ) -> None:
        self.head: Final = head
        self.length: Final = framing.length
        self.sent_by: Final = sent_by
        self.connection: Final = connection
        self._reusable: Final = reusable
        self._chunked: Final = framing.chunked
        self._left = framing.length
        self._chunk_left = 0
        self._chunk_ended = False
        if framing.length == 0:
            self._finish()

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.head.status

    @property
    def headers(self) -> dict[str, str]:
        """Header values by lower-case name."""
        return self.head.headers

    async def read(self, limit_bytes: int = SMALL_BODY_LIMIT_BYTES) -> bytes:
        """Read the whole body into memory.

        Raises:
            ProtocolError: The body is larger than `limit_bytes`.
            WireError: The connection broke before the end.
        """
        collected = bytearray()
        hop = memoryview(bytearray(min(INPUT_BUFFER_BYTES, limit_bytes) or 1))
        while got := await self.read_into(hop):
            collected += hop[:got]
            if len(collected) > limit_bytes:
                self.abandon()
                raise ProtocolError(f"the answer is larger than {limit_bytes} bytes")
        return bytes(collected)

    async def read_into(self, view: memoryview) -> int:
        """Read some of the body into `view`; 0 at its end.

        Raises:
            WireError: The connection broke before the end.
        """
        if self._chunked and self._left is None:
            await self._next_chunk()
        if self._left == 0:
            return 0
        bound = self._chunk_left if self._chunked else self._left
        try:
            got = await self.connection.receive_some(view if bound is None else view[:bound])
        except BaseException:
            self.abandon()
            raise
        if got == 0:
            if bound is not None:
                self.abandon()
                raise WireError("the server closed the connection before the end of the body", answered=True)
            self._left = 0
            self._finish()
            return 0
        if self._chunked:
            self._chunk_left -= got
        elif self._left is not None:
            self._left -= got
            if self._left == 0:
                self._finish()
        return got

    async def read_into_file(self, fd: int, offset: int, expected: int, flow: Flow, tap: Tap | None) -> Mover:
        """Move the whole body into a file at `offset`.

        Args:
            fd: Open for writing.
            offset: Where the body's first byte goes.
            expected: Bytes the body must have; no byte beyond them is written.
            flow: Counts and paces.
            tap: Sees the bytes in order.

        Returns:
            What carried it.

        Raises:
            WireError: The connection broke before the end.
            ProtocolError: The body is longer or shorter than expected.
            OSError: The file could not be written.
        """
        stream = self.connection.stream
        try:
            if self.length is None:
                await self._read_unsized_into_file(fd, offset, expected, flow, tap)
                return stream.receives_by
            if self.length != expected:
                raise ProtocolError(f"the server sends {self.length} bytes where {expected} were expected")
            buffered = self.connection.take_buffered(expected)
            received = len(buffered)
            if buffered:
                await land(fd, buffered, offset, flow, tap)
            await stream.receive_into_file(fd, offset + received, expected - received, flow, tap)
        except BaseException:
            self.abandon()
            raise
        self._left = 0
        self._finish()
        return stream.receives_by

    async def _read_unsized_into_file(self, fd: int, offset: int, expected: int, flow: Flow, tap: Tap | None) -> None:
        """Move a body into a file whose end only its coding or the connection tells."""
        hop = memoryview(bytearray(min(expected, UNSIZED_HOP_BYTES, flow.step_bytes) or 1))
        left = expected
        # Asks on after the last expected byte: the end of the coding has to be read, and more bytes are an error.
        while got := await self.read_into(hop[: max(1, min(left, len(hop)))]):
            if got > left:
                raise ProtocolError(f"the server sends more than the {expected} bytes that were expected")
            await land(fd, hop[:got], offset + expected - left, flow, tap)
            left -= got
        if left and self._chunked:
            raise ProtocolError(f"the server sent {expected - left} bytes where {expected} were expected")
        if left:
            raise closed_early(left)

    def abandon(self) -> None:
        """Give the rest of the body up; the connection closes unless the body had ended."""
        self.connection.finish(reusable=False)

    def _finish(self) -> None:
        self.connection.finish(reusable=self._reusable)

    async def _next_chunk(self) -> None:
        """Stand inside a chunk, or at the end of the body (RFC 9112, section 7.1)."""
        if self._chunk_left:
            return
        try:
            if self._chunk_ended and await self.connection.receive_line():
                raise ProtocolError("a malformed chunk in the answer")
            line = await self.connection.receive_line()
            self._chunk_ended = True
            self._chunk_left = parse_chunk_size(line)
            if self._chunk_left == 0:
                while await self.connection.receive_line():
                    pass
                self._left = 0
                self._finish()
        except BaseException:
            self.abandon()
            raise
