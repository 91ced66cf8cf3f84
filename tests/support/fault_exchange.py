"""One request through the fault proxy: moved upstream, answered downstream, hurt on the way.

Owns the upstream connection. How the client's connection ends it only says, by the exception it raises.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from tests.support.faults import (
    AnswerTime,
    CloseIdle,
    Cut,
    Direction,
    DropAnswer,
    Fault,
    FlipBit,
    RefuseConnections,
    ReplaceBody,
    Reset,
    Respond,
    Stall,
    Trickle,
    Truncate,
)
from tests.support.http_messages import (
    HEAD_LIMIT_BYTES,
    Headers,
    Piece,
    RequestHead,
    closes_connection,
    find_header,
    make_response,
    read_response_head,
    request_body,
    response_body,
)

# An upload which its own answer overtook by more than this is one the server stopped reading.
UPLOAD_GRACE_SECONDS = 1.0


@dataclass(slots=True)
class SeenRequest:
    """What the proxy saw of one request, up to now; body bytes are counted without transfer-coding.

    ``fault`` is the one chosen for it, ``fault_applied`` whether it has acted already. ``connection``
    counts the client's connections from 1, so equal numbers mean the connection was used again.
    ``body_bytes_*`` is what moved between the client and the proxy, ``upstream_bytes_*`` what really
    reached the server and came from it. Times are seconds of ``time.monotonic``: when the head had been
    read, and when the answer had been sent or the exchange was over in another way.
    """

    method: str
    target: str
    headers: Headers
    connection: int
    fault: Fault | None = None
    fault_applied: bool = False
    body_bytes_up: int = 0
    body_bytes_down: int = 0
    upstream_bytes_up: int = 0
    upstream_bytes_down: int = 0
    status: int | None = None
    began_seconds: float = field(default_factory=time.monotonic)
    ended_seconds: float | None = None

    def header(self, name: str) -> str | None:
        """Return the first value of a request header, or None."""
        return find_header(self.headers, name)


class CloseClientError(Exception):
    """The client's connection ends here, in good order."""


class ResetClientError(Exception):
    """The client's connection ends here, by RST."""


class Exchange:
    """One request and its answer, on a client's connection and an upstream connection of its own.

    ``note`` is called whenever the record changed, with True when that is because the fault acted.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        head: RequestHead,
        seen: SeenRequest,
        note: Callable[[bool], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._head = head
        self._seen = seen
        self._fault = seen.fault
        self._note = note

    async def run(self, upstream: tuple[str, int]) -> None:
        """Move the request and its answer; return when the connection may carry another."""
        if isinstance(self._fault, Respond):
            await self._respond(self._fault)
            return
        if isinstance(self._fault, RefuseConnections):
            self._mark_applied(RefuseConnections)
            raise ResetClientError
        await self._cut_before(Direction.UP)
        reader, writer = await asyncio.open_connection(*upstream, limit=HEAD_LIMIT_BYTES)
        up = asyncio.create_task(self._send_up(writer))
        down = asyncio.create_task(self._send_down(reader))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            if up.done():
                up.result()
            keep_alive = await down
            await asyncio.wait({up}, timeout=UPLOAD_GRACE_SECONDS)
            if not (keep_alive and up.done()):
                raise CloseClientError
            up.result()
        finally:
            # First what cannot be interrupted: the proxy may close while this waits.
            writer.transport.abort()
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        if closes_connection(self._head.headers) or isinstance(self._fault, CloseIdle):
            self._mark_applied(CloseIdle)
            raise CloseClientError

    async def _respond(self, fault: Respond) -> None:
        if fault.answer_time is AnswerTime.AFTER_BODY:
            if "100-continue" in (self._head.header("Expect") or "").lower():
                await self._to_client(b"HTTP/1.1 100 Continue\r\n\r\n")
            async with aclosing(request_body(self._reader, self._head)) as pieces:
                async for piece in pieces:
                    self._seen.body_bytes_up += len(piece.data) if piece.is_payload else 0
        self._seen.status = fault.status
        headers = fault.answer_headers()
        await self._to_client(make_response(fault.status, fault.body, headers, method=self._head.method))
        self._seen.ended_seconds = time.monotonic()
        self._seen.body_bytes_down = 0 if self._head.method == "HEAD" else len(fault.body)
        self._mark_applied(Respond)
        if fault.answer_time is AnswerTime.BEFORE_BODY_NEVER_READ:
            await _forever()
        if fault.answer_time is AnswerTime.BEFORE_BODY_THEN_CLOSE or closes_connection(fault.headers):
            raise CloseClientError

    async def _send_up(self, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=0)
        try:
            writer.write(self._head.raw)
            async with aclosing(self._hurt(request_body(self._reader, self._head), Direction.UP)) as pieces:
                async for piece in pieces:
                    self._seen.body_bytes_up += len(piece.data) if piece.is_payload else 0
                    writer.write(piece.data)
                    await writer.drain()
                    self._seen.upstream_bytes_up += len(piece.data) if piece.is_payload else 0
            await writer.drain()
        except BaseException:
            # Without its request the server has nothing to answer; this wakes whoever waits for it.
            writer.transport.abort()
            raise

    async def _send_down(self, reader: asyncio.StreamReader) -> bool:
        """Move the answer, and tell whether the connection survives it."""
        head = await read_response_head(reader)
        while head.is_interim:
            await self._to_client(head.raw)
            head = await read_response_head(reader)
        body = self._counted_down(response_body(reader, head, self._head.method))
        if isinstance(self._fault, DropAnswer | ReplaceBody):
            async with aclosing(body):
                async for _ in body:
                    pass
            await self._instead_of_answer(self._fault)
            return True
        await self._cut_before(Direction.DOWN)
        self._seen.status = head.status
        await self._to_client(head.raw)
        async with aclosing(self._hurt(body, Direction.DOWN)) as pieces:
            async for piece in pieces:
                await self._to_client(piece.data)
                self._seen.body_bytes_down += len(piece.data) if piece.is_payload else 0
                self._note(False)
        self._seen.ended_seconds = time.monotonic()
        return not closes_connection(head.headers)

    async def _counted_down(self, body: AsyncGenerator[Piece, None]) -> AsyncGenerator[Piece, None]:
        """Count what comes from the server, whatever becomes of it."""
        async with aclosing(body):
            async for piece in body:
                self._seen.upstream_bytes_down += len(piece.data) if piece.is_payload else 0
                yield piece

    async def _instead_of_answer(self, fault: DropAnswer | ReplaceBody) -> None:
        self._mark_applied(DropAnswer, ReplaceBody)
        if isinstance(fault, DropAnswer):
            raise ResetClientError if fault.reset else CloseClientError
        self._seen.status = fault.status
        self._seen.body_bytes_down = len(fault.body)
        await self._to_client(make_response(fault.status, fault.body, fault.headers, method=self._head.method))

    async def _hurt(self, body: AsyncGenerator[Piece, None], direction: Direction) -> AsyncGenerator[Piece, None]:
        """Pass a body on with this request's fault worked into it."""
        fault = self._fault
        position = 0
        async with aclosing(body):
            async for piece in body:
                if not piece.is_payload:
                    yield piece
                    continue
                data = piece.data
                if isinstance(fault, FlipBit) and fault.direction is direction:
                    data = self._flip(data, fault, position)
                if isinstance(fault, Cut) and fault.direction is direction and fault.at_byte is not None:
                    allowed = fault.at_byte - position
                    if allowed < len(data):
                        if allowed:
                            yield Piece(data[:allowed], is_payload=True)
                        await self._cut(fault)
                if isinstance(fault, Trickle) and fault.direction is direction:
                    async for single in self._trickled(data, fault, position):
                        yield single
                else:
                    yield Piece(data, is_payload=True)
                position += len(data)

    async def _trickled(self, data: bytes, fault: Trickle, position: int) -> AsyncGenerator[Piece, None]:
        whole = max(0, fault.at_byte - position)
        if whole:
            yield Piece(data[:whole], is_payload=True)
        for single in data[whole:]:
            self._mark_applied(Trickle)
            await asyncio.sleep(fault.pause_seconds)
            yield Piece(bytes([single]), is_payload=True)

    def _flip(self, data: bytes, fault: FlipBit, position: int) -> bytes:
        offset = fault.at_byte - position
        if not 0 <= offset < len(data):
            return data
        self._mark_applied(FlipBit)
        flipped = bytearray(data)
        flipped[offset] ^= 1 << fault.bit
        return bytes(flipped)

    async def _cut_before(self, direction: Direction) -> None:
        fault = self._fault
        if isinstance(fault, Cut) and fault.direction is direction and fault.at_byte is None:
            await self._cut(fault)

    async def _cut(self, fault: Cut) -> None:
        self._mark_applied(Cut)
        match fault:
            case Truncate():
                raise CloseClientError
            case Reset():
                raise ResetClientError
            case Stall():
                await _forever()
        raise AssertionError(fault)

    def _mark_applied(self, *kinds: type[Fault]) -> None:
        if isinstance(self._fault, kinds) and not self._seen.fault_applied:
            self._seen.fault_applied = True
            self._note(True)

    async def _to_client(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


async def _forever() -> None:
    await asyncio.Event().wait()
