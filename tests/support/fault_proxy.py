"""An HTTP/1.1 proxy in front of one server, which hurts chosen requests and records all of them.

Heads pass byte for byte, so signatures over Host stay valid. Every request gets an upstream connection of
its own; only the client's side is kept alive. It never retries, never caches, and never repairs what a
fault broke. Owns the sockets; the faults themselves are values of ``tests.support.faults``.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from tests.support.faults import (
    AnswerTime,
    CloseIdle,
    Cut,
    Direction,
    DropAnswer,
    Fault,
    FlipBit,
    ReplaceBody,
    Reset,
    Respond,
    Stall,
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
    read_request_head,
    read_response_head,
    request_body,
    response_body,
)

START_TIMEOUT_SECONDS = 10.0
# A peer may never answer close_notify; the orderly end is not worth more than this.
TLS_SHUTDOWN_SECONDS = 1.0
# An upload which its own answer overtook by more than this is one the server stopped reading.
UPLOAD_GRACE_SECONDS = 1.0


@dataclass(slots=True)
class SeenRequest:
    """What the proxy saw of one request, up to now; body bytes are counted without transfer-coding.

    ``fault`` is the one chosen for it, ``fault_applied`` whether it has acted already. ``connection``
    counts the client's connections from 1, so equal numbers mean the connection was used again.
    """

    method: str
    target: str
    headers: Headers
    connection: int
    fault: Fault | None = None
    fault_applied: bool = False
    body_bytes_up: int = 0
    body_bytes_down: int = 0
    status: int | None = None

    def header(self, name: str) -> str | None:
        """Return the first value of a request header, or None."""
        return find_header(self.headers, name)


class _CloseClientError(Exception):
    """The client's connection ends here, in good order."""


class _ResetClientError(Exception):
    """The client's connection ends here, by RST."""


class FaultProxy:
    """The proxy inside the running event loop; an async context manager.

    Args:
        upstream_url: The server behind, ``http://host:port``.
        faults: Armed from the start. The first one which matches and covers a request hits it; each
            counts its own matching requests.
        tls: When given, clients speak TLS to the proxy; the server behind is spoken to in plain text.
    """

    def __init__(self, upstream_url: str, *faults: Fault, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(upstream_url)
        assert parts.hostname is not None
        self._upstream = (parts.hostname, parts.port or 80)
        self._tls = tls
        self._faults: list[Fault] = list(faults)
        self._occurrences: Counter[int] = Counter()
        self._applied: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._port = 0
        self.requests: list[SeenRequest] = []
        self.connections = 0

    @property
    def endpoint_url(self) -> str:
        """Where clients find the proxy."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def arm(self, *faults: Fault) -> None:
        """Add faults; each counts the matching requests from now on."""
        self._faults.extend(faults)

    def seen(self, method: str | None = None, target: str = "") -> list[SeenRequest]:
        """Return the requests of this method whose target has a match for this regular expression."""
        asked = Fault(method=method, target=target)
        return [
            request
            for request in list(self.requests)
            if asked.matches(RequestHead(b"", request.method, request.target, request.headers))
        ]

    def unspent(self) -> list[Fault]:
        """Return the armed faults which never acted: a test that hurt nothing proves nothing."""
        return [fault for index, fault in enumerate(self._faults) if index not in self._applied]

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` is true, looking again whenever the record of requests changes."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept,
            "127.0.0.1",
            0,
            limit=HEAD_LIMIT_BYTES,
            ssl=self._tls,
            ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS if self._tls else None,
        )
        self._port = self._server.sockets[0].getsockname()[1]
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
        task = asyncio.create_task(self._serve(reader, writer, self.connections))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A task cancelled before its first step closes nothing by itself.
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int
    ) -> None:
        # With no buffer of its own, a drained writer has handed everything to the kernel. asyncio's TLS
        # pauses at the limit, not beyond it, so that zero would pause it for good.
        writer.transport.set_write_buffer_limits(high=1 if self._tls else 0)
        try:
            while head := await read_request_head(reader):
                seen = SeenRequest(head.method, head.target, head.headers, connection)
                index, seen.fault = self._choose(head)
                self.requests.append(seen)
                self._changed.set()
                await _Exchange(self, reader, writer, head, seen, index).run(self._upstream)
            await _close(writer)
        except _CloseClientError:
            await _close(writer)
        except (_ResetClientError, OSError, asyncio.IncompleteReadError):
            await _reset(writer)
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _choose(self, head: RequestHead) -> tuple[int, Fault | None]:
        chosen: tuple[int, Fault | None] = (-1, None)
        for index, fault in enumerate(self._faults):
            if fault.matches(head):
                self._occurrences[index] += 1
                if chosen[1] is None and fault.covers(self._occurrences[index]):
                    chosen = (index, fault)
        return chosen

    def _note(self, seen: SeenRequest, applied_index: int | None = None) -> None:
        if applied_index is not None:
            seen.fault_applied = True
            self._applied.add(applied_index)
        self._changed.set()


class _Exchange:
    """One request and its answer."""

    def __init__(
        self,
        proxy: FaultProxy,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        head: RequestHead,
        seen: SeenRequest,
        fault_index: int,
    ) -> None:
        self._proxy = proxy
        self._reader = reader
        self._writer = writer
        self._head = head
        self._seen = seen
        self._fault = seen.fault
        self._fault_index = fault_index

    async def run(self, upstream: tuple[str, int]) -> None:
        """Move the request and its answer; return when the connection may carry another."""
        if isinstance(self._fault, Respond):
            await self._respond(self._fault)
            return
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
                raise _CloseClientError
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
            raise _CloseClientError

    async def _respond(self, fault: Respond) -> None:
        answer = make_response(fault.status, fault.body, fault.headers, method=self._head.method)
        if fault.answer_time is AnswerTime.AFTER_BODY:
            if "100-continue" in (self._head.header("Expect") or "").lower():
                await self._to_client(b"HTTP/1.1 100 Continue\r\n\r\n")
            async with aclosing(request_body(self._reader, self._head)) as pieces:
                async for piece in pieces:
                    self._seen.body_bytes_up += len(piece.data) if piece.is_payload else 0
        self._seen.status = fault.status
        await self._to_client(answer)
        self._seen.body_bytes_down = 0 if self._head.method == "HEAD" else len(fault.body)
        self._mark_applied(Respond)
        if fault.answer_time is AnswerTime.BEFORE_BODY_NEVER_READ:
            await _forever()
        if fault.answer_time is AnswerTime.BEFORE_BODY_THEN_CLOSE or closes_connection(fault.headers):
            raise _CloseClientError

    async def _send_up(self, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=0)
        try:
            writer.write(self._head.raw)
            async with aclosing(self._hurt(request_body(self._reader, self._head), Direction.UP)) as pieces:
                async for piece in pieces:
                    self._seen.body_bytes_up += len(piece.data) if piece.is_payload else 0
                    writer.write(piece.data)
                    await writer.drain()
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
        body = response_body(reader, head, self._head.method)
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
                self._proxy._note(self._seen)
        return not closes_connection(head.headers)

    async def _instead_of_answer(self, fault: DropAnswer | ReplaceBody) -> None:
        self._mark_applied(DropAnswer, ReplaceBody)
        if isinstance(fault, DropAnswer):
            raise _CloseClientError
        self._seen.status = fault.status
        self._seen.body_bytes_down = len(fault.body)
        await self._to_client(
            make_response(fault.status, fault.body, fault.headers, method=self._head.method)
        )

    async def _hurt(
        self, body: AsyncGenerator[Piece, None], direction: Direction
    ) -> AsyncGenerator[Piece, None]:
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
                position += len(data)
                yield Piece(data, is_payload=True)

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
                raise _CloseClientError
            case Reset():
                raise _ResetClientError
            case Stall():
                await _forever()
        raise AssertionError(fault)

    def _mark_applied(self, *kinds: type[Fault]) -> None:
        if isinstance(self._fault, kinds):
            self._proxy._note(self._seen, self._fault_index)

    async def _to_client(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


class ThreadedFaultProxy:
    """The proxy in a thread with an event loop of its own, for tests of processes and blocking clients.

    Takes the arguments of :class:`FaultProxy`; a plain context manager.
    """

    def __init__(self, upstream_url: str, *faults: Fault, tls: ssl.SSLContext | None = None) -> None:
        self._proxy = FaultProxy(upstream_url, *faults, tls=tls)
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    @property
    def endpoint_url(self) -> str:
        """Where clients find the proxy."""
        return self._proxy.endpoint_url

    @property
    def requests(self) -> list[SeenRequest]:
        """The requests seen up to now."""
        return list(self._proxy.requests)

    @property
    def connections(self) -> int:
        """How many connections clients have made."""
        return self._proxy.connections

    def arm(self, *faults: Fault) -> None:
        """Add faults; each counts the matching requests from now on."""
        self._call(lambda: self._proxy.arm(*faults))

    def seen(self, method: str | None = None, target: str = "") -> list[SeenRequest]:
        """Return the requests of this method whose target has a match for this regular expression."""
        return self._proxy.seen(method, target)

    def unspent(self) -> list[Fault]:
        """Return the armed faults which never acted."""
        return self._proxy.unspent()

    def wait_until(self, condition: Callable[[], bool], timeout_seconds: float = 30.0) -> None:
        """Wait until ``condition`` is true; ``TimeoutError`` when that takes too long."""
        assert self._loop is not None
        waiting = asyncio.wait_for(self._proxy.wait_until(condition), timeout_seconds)
        asyncio.run_coroutine_threadsafe(waiting, self._loop).result()

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._started.wait(START_TIMEOUT_SECONDS):
            raise TimeoutError("the proxy's thread did not start")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._stop is not None
        self._call(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with self._proxy:
            self._started.set()
            await self._stop.wait()

    def _call(self, action: Callable[[], None]) -> None:
        assert self._loop is not None

        async def act() -> None:
            action()

        asyncio.run_coroutine_threadsafe(act(), self._loop).result()


async def _forever() -> None:
    await asyncio.Event().wait()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    # Lingering for zero seconds turns the close into a reset.
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
