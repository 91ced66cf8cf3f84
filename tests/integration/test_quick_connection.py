"""Exchanges in callbacks of the loop, against servers that do exactly what a test says, right and wrong."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.certificates import make_certificate
from tests.support.http_server import Handler, HttpServer, Peer, server_context
from transfer.model.errors import ProtocolError, SchemeError, StalledError, UsageError, WireError
from transfer.wire.connection import Connection, ConnectionState, FileBody, Request
from transfer.wire.dial import Dialer
from transfer.wire.flow import Flow
from transfer.wire.origin import Origin, parse_origin
from transfer.wire.plain import PlainStream
from transfer.wire.quick import ANSWER_BUFFER_BYTES, Answer, QuickConnection

KIB = 1024
LIMIT_BYTES = 256 * KIB
CONTENT = bytes(range(251)) * (LIMIT_BYTES // 251)
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
STALL_SECONDS = 30.0
BIG_BODY = CONTENT * 32
"""More than the two sockets hold."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    ca, certificate, key = make_certificate(tmp_path_factory.mktemp("certificates"))
    return str(ca), str(certificate), str(key)


class Talk:
    """A quick connection, and what came of each of its exchanges."""

    def __init__(self, connection: Connection, server: HttpServer) -> None:
        self.server = server
        self.results: asyncio.Queue[Answer | WireError] = asyncio.Queue()
        self.follow_up: Request | None = None
        self.quick = QuickConnection(connection, bytearray(ANSWER_BUFFER_BYTES), LIMIT_BYTES, self._note)

    def _note(self, _: QuickConnection, result: Answer | WireError) -> None:
        request, self.follow_up = self.follow_up, None
        if request is not None and self.quick.is_open:
            self.quick.exchange(request)
        self.results.put_nowait(result)

    async def result(self) -> Answer | WireError:
        async with asyncio.timeout(10):
            return await self.results.get()

    async def ask(self, method: str = "GET", body: bytes = b"") -> tuple[int, bytes]:
        self.quick.exchange(Request(method, "/x", body=body))
        answer = await self.result()
        if isinstance(answer, WireError):
            raise answer
        return answer.head.status, bytes(answer.body)

    async def fail(self, method: str = "GET", body: bytes = b"") -> WireError:
        """What an exchange fails with; the connection is closed then, once and for all."""
        self.quick.exchange(Request(method, "/x", body=body))
        error = await self.result()
        assert isinstance(error, WireError)
        assert self.is_closed
        assert error.subject == self.server.url
        assert self.results.empty()
        return error

    @property
    def is_closed(self) -> bool:
        return not self.quick.is_open and self.quick.connection.state is ConnectionState.CLOSED

    async def until_closed(self) -> None:
        async with asyncio.timeout(10):
            while self.quick.is_open:
                await asyncio.sleep(0)
        assert self.is_closed


class Rig:
    """How a test talks: in plain text or encrypted."""

    def __init__(self, certificates: tuple[str, str, str], *, is_encrypted: bool) -> None:
        self._ca = certificates[0]
        self.context = server_context(certificates[1:]) if is_encrypted else None

    @asynccontextmanager
    async def talking(self, handle: Handler) -> AsyncIterator[Talk]:
        dialer = Dialer(verify_tls=True, ca_bundle=self._ca, stall_seconds=STALL_SECONDS)
        async with HttpServer(handle, tls=self.context) as server:
            talk = Talk(await dialer.dial(parse_origin(server.url)[0]), server)
            try:
                yield talk
            finally:
                talk.quick.leave().close()


@pytest.fixture(params=["plain", "tls"])
def rig(request: pytest.FixtureRequest, certificates: tuple[str, str, str]) -> Rig:
    return Rig(certificates, is_encrypted=request.param == "tls")


@pytest.fixture
def plain(certificates: tuple[str, str, str]) -> Rig:
    return Rig(certificates, is_encrypted=False)


async def settle() -> None:
    """Let everything happen that needs nobody else: what is on the wire is received."""
    for _ in range(5):
        await asyncio.sleep(0)


async def echo(peer: Peer) -> None:
    while True:
        asked = await peer.request()
        await peer.answer(asked.body)


def saying(*pieces: bytes) -> Handler:
    """A server that answers every request so, piece by piece, and waits then."""

    async def handle(peer: Peer) -> None:
        while True:
            await peer.request()
            for piece in pieces:
                await peer.send(piece)
                await settle()

    return handle


def saying_once(answer: bytes) -> Handler:
    """A server that answers the first request so and closes."""

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)
        # All of it is to be there before the end of the connection, which is aborted.
        peer.writer.close()
        await peer.wait_for_end()

    return handle


async def test_one_connection_serves_request_after_request(rig: Rig) -> None:
    async with rig.talking(echo) as talk:
        for size in (0, 5, 16 * KIB, 16 * KIB + 1, ANSWER_BUFFER_BYTES, LIMIT_BYTES):
            assert await talk.ask("PUT", CONTENT[:size]) == (200, CONTENT[:size])
        assert await talk.ask() == (200, b"")
        assert talk.server.connections == 1
        assert talk.quick.connection.requests_served == 7


async def test_the_next_request_may_begin_where_the_last_one_ends(rig: Rig) -> None:
    async with rig.talking(echo) as talk:
        talk.follow_up = Request("PUT", "/x", body=b"second")
        assert await talk.ask("PUT", CONTENT) == (200, CONTENT)
        second = await talk.result()
        assert isinstance(second, Answer)
        assert second.body == b"second"


@pytest.mark.parametrize("tail", [b"", b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"], ids=["final", "interim"])
async def test_an_answer_may_come_in_any_two_pieces(plain: Rig, tail: bytes) -> None:
    whole = tail + HELLO
    cuts = iter(range(1, len(whole)))

    async def handle(peer: Peer) -> None:
        for cut in cuts:
            await peer.request()
            await peer.send(whole[:cut])
            await settle()
            await peer.send(whole[cut:])
        await peer.wait_for_end()

    async with plain.talking(handle) as talk:
        for _ in range(1, len(whole)):
            assert await talk.ask() == (200, b"hello")
        assert talk.server.connections == 1


async def test_an_answer_may_come_byte_by_byte(rig: Rig) -> None:
    whole = b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED + b"5;a=b\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"
    async with rig.talking(saying(*(whole[at : at + 1] for at in range(len(whole))))) as talk:
        for _ in range(2):
            assert await talk.ask() == (200, b"hello")


@pytest.mark.parametrize("split", [7, ANSWER_BUFFER_BYTES - 1, ANSWER_BUFFER_BYTES, 3 * ANSWER_BUFFER_BYTES])
@pytest.mark.parametrize("coding", ["length", "chunked"])
async def test_a_body_may_come_in_pieces_larger_and_smaller_than_the_buffer(rig: Rig, split: int, coding: str) -> None:
    content = CONTENT[: LIMIT_BYTES - 100]
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content)
    whole = head + content if coding == "length" else CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
    async with rig.talking(saying(whole[:split], whole[split:])) as talk:
        for _ in range(2):
            assert await talk.ask() == (200, content)
        assert talk.quick.is_open


async def test_only_the_body_counts_for_the_limit_and_not_its_chunks(plain: Rig) -> None:
    pieces = [CONTENT[start : start + KIB] for start in range(0, len(CONTENT), KIB)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    async with plain.talking(saying(CHUNKED + chunks + b"0\r\n\r\n")) as talk:
        assert await talk.ask() == (200, CONTENT)
        assert talk.quick.is_open


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified", b"200 OK"])
async def test_answers_without_a_body_end_with_their_head(plain: Rig, method: str, status: bytes) -> None:
    length = b"0" if method == "GET" and status.startswith(b"200") else b"5"
    async with plain.talking(saying(b"HTTP/1.1 " + status + b"\r\nContent-Length: " + length + b"\r\n\r\n")) as talk:
        for _ in range(2):
            assert (await talk.ask(method))[1] == b""


@pytest.mark.parametrize("content", [b"", b"all that there is", CONTENT], ids=["none", "little", "much"])
async def test_a_body_may_end_with_the_connection(rig: Rig, content: bytes) -> None:
    async with rig.talking(saying_once(b"HTTP/1.1 200 OK\r\n\r\n" + content)) as talk:
        assert await talk.ask() == (200, content)
        assert talk.is_closed


async def test_the_end_of_an_encrypted_connection_is_noticed_before_that_of_the_socket(
    certificates: tuple[str, str, str],
) -> None:
    context = server_context(certificates[1:])
    is_over = asyncio.Event()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say goodbye inside the encryption and keep the socket open."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)

        async def step(call: object) -> object:
            while True:
                try:
                    return call()  # type: ignore[operator]  # whatever the caller wants of it
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    incoming.write(await reader.read(65536))

        await step(tls.do_handshake)
        await step(lambda: tls.read(65536))
        tls.write(b"HTTP/1.1 200 OK\r\n\r\nhello")
        try:
            tls.unwrap()
        except ssl.SSLWantReadError:
            writer.write(outgoing.read())
        await is_over.wait()
        writer.transport.abort()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    dialer = Dialer(verify_tls=True, ca_bundle=certificates[0], stall_seconds=STALL_SECONDS)
    talk = Talk(await dialer.dial(parse_origin(f"https://127.0.0.1:{port}")[0]), HttpServer(echo))
    try:
        async with asyncio.timeout(2):
            assert await talk.ask() == (200, b"hello")
    finally:
        is_over.set()
        talk.quick.leave().close()
        server.close()
        await server.wait_closed()


async def test_a_large_body_goes_in_several_writes(rig: Rig) -> None:
    may_read = asyncio.Event()

    async def handle(peer: Peer) -> None:
        head = await peer.head()
        await may_read.wait()
        body = await peer.reader.readexactly(int(head.header("Content-Length") or 0))
        await peer.answer(b"all of it" if body == BIG_BODY else b"something else")
        await peer.wait_for_end()

    async with rig.talking(handle) as talk:
        talk.quick.exchange(Request("PUT", "/x", body=memoryview(BIG_BODY)))
        await settle()
        assert talk.results.empty()
        may_read.set()
        answer = await talk.result()
        assert isinstance(answer, Answer)
        assert answer.body == b"all of it"
        assert talk.quick.is_open


def refusing(answer: bytes, *, resets: bool) -> Handler:
    """A server that answers before it has the body, and then closes or waits."""

    async def handle(peer: Peer) -> None:
        await peer.head()
        await peer.send(answer)
        if resets:
            return
        await asyncio.Event().wait()

    return handle


DENIED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n%b\r\ndenied"


@pytest.mark.parametrize("resets", [True, False])
async def test_an_early_refusal_is_an_answer_and_costs_the_connection(rig: Rig, resets: bool) -> None:
    async with rig.talking(refusing(DENIED % b"", resets=resets)) as talk:
        assert await talk.ask("PUT", BIG_BODY) == (403, b"denied")
        assert talk.is_closed


async def test_an_early_refusal_may_come_in_pieces(rig: Rig) -> None:
    whole = DENIED % b"Connection: close\r\n"
    goes_on = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.head()
        for at in range(0, len(whole), 20):
            await peer.send(whole[at : at + 20])
            await settle()
        await goes_on.wait()

    async with rig.talking(handle) as talk:
        assert await talk.ask("PUT", BIG_BODY) == (403, b"denied")
        goes_on.set()


def over(sock: socket.socket) -> Talk:
    sock.setblocking(False)
    stream = PlainStream(sock, asyncio.get_running_loop(), memoryview(b""))
    return Talk(Connection(stream, Origin("http", "store.example", 80), STALL_SECONDS), HttpServer(echo))


@pytest.mark.parametrize("status", [200, 403])
async def test_an_answer_that_is_there_before_its_request_is_an_early_one(status: int) -> None:
    near, far = socket.socketpair()
    with far:
        far.send(HELLO.replace(b"200 OK", b"%d Told" % status))
    talk = over(near)
    # Nobody has looked at the socket yet: that nothing can be sent is the first news.
    talk.quick.exchange(Request("PUT", "/x", body=CONTENT))
    result = await talk.result()
    assert talk.is_closed
    if status == 403:
        assert isinstance(result, Answer)
        assert result.body == b"hello"
    else:
        assert type(result) is WireError
        assert result.answered


async def test_an_early_success_is_a_failure(rig: Rig) -> None:
    async with rig.talking(refusing(HELLO, resets=False)) as talk:
        error = await talk.fail("PUT", BIG_BODY)
        assert (type(error), error.answered, error.reused) == (WireError, True, False)


async def test_an_early_refusal_whose_body_is_cut_off_is_a_failure(rig: Rig) -> None:
    async with rig.talking(refusing((DENIED % b"")[:-3], resets=True)) as talk:
        error = await talk.fail("PUT", BIG_BODY)
        assert error.answered


@pytest.mark.parametrize("served", [0, 1])
@pytest.mark.parametrize("resets", [True, False])
async def test_a_connection_that_ends_without_an_answer_is_told_with_its_past(
    rig: Rig,
    served: int,
    resets: bool,
) -> None:
    async def handle(peer: Peer) -> None:
        for _ in range(served):
            await peer.request()
            await peer.answer(b"hello")
        await peer.request()
        if resets:
            reset(peer)
        else:
            peer.writer.close()
            await peer.wait_for_end()

    async with rig.talking(handle) as talk:
        for _ in range(served):
            assert await talk.ask() == (200, b"hello")
        error = await talk.fail()
        assert (type(error), error.answered, error.reused) == (WireError, False, served == 1)


def reset(peer: Peer) -> None:
    """End the connection with RST."""
    sock = peer.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.writer.transport.abort()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (HELLO[:10], WireError),
        (HELLO[:-1], WireError),
        (CHUNKED + b"5\r\nhel", WireError),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP", WireError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello", ProtocolError),
        (CHUNKED + b"zz\r\n", ProtocolError),
        (b"SSH-2.0-OpenSSH\r\n\r\n", ProtocolError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, ProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (LIMIT_BYTES + 1), ProtocolError),
        (b"HTTP/1.1 200 OK\r\n\r\n" + bytes(LIMIT_BYTES + 1), ProtocolError),
        (CHUNKED + b"%x\r\n" % (LIMIT_BYTES + 1) + bytes(LIMIT_BYTES + 1) + b"\r\n0\r\n\r\n", ProtocolError),
    ],
    ids=[
        "cut in the head",
        "cut in the body",
        "cut in a chunk",
        "cut after an interim head",
        "two framings",
        "two lengths",
        "no chunk size",
        "no HTTP",
        "head too long",
        "length too large",
        "body too large",
        "chunks too large",
    ],
)
async def test_broken_answers_are_failures(rig: Rig, answer: bytes, kind: type[WireError]) -> None:
    async with rig.talking(saying_once(answer)) as talk:
        error = await talk.fail()
        assert type(error) is kind
        assert not error.reused


async def test_a_cut_answer_counts_as_answered(plain: Rig) -> None:
    for answer in (HELLO[:10], HELLO[:-1]):
        async with plain.talking(saying_once(answer)) as talk:
            assert (await talk.fail()).answered


async def test_no_more_is_asked_where_the_server_says_that_it_closes(rig: Rig) -> None:
    async with rig.talking(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")) as talk:
        assert await talk.ask() == (200, b"hello")
        assert talk.is_closed
        with pytest.raises(RuntimeError):
            talk.quick.exchange(Request("GET", "/x"))


@pytest.mark.parametrize("size", [5, ANSWER_BUFFER_BYTES, LIMIT_BYTES])
@pytest.mark.parametrize("coding", ["length", "chunked"])
async def test_what_comes_after_an_answer_is_never_the_next_one(rig: Rig, size: int, coding: str) -> None:
    content = bytes(size)

    async def handle(peer: Peer) -> None:
        await peer.request()
        if coding == "length":
            peer.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + content)
        else:
            peer.writer.write(CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (size, content))
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        await peer.wait_for_end()

    async with rig.talking(handle) as talk:
        talk.follow_up = Request("GET", "/y")
        # All of it is there when the first byte is looked at.
        talk.quick.exchange(Request("GET", "/x"))
        first = await talk.result()
        assert isinstance(first, Answer)
        assert first.body == content
        await settle()
        assert talk.is_closed
        while not talk.results.empty():
            assert isinstance(talk.results.get_nowait(), WireError)


async def test_surplus_that_fills_the_buffer_to_its_last_byte_is_noticed(plain: Rig) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    size = ANSWER_BUFFER_BYTES - len(head % 10_000)
    whole = head % size + bytes(size)
    assert len(whole) == ANSWER_BUFFER_BYTES
    is_sent = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(whole + HELLO)
        is_sent.set()
        await peer.wait_for_end()

    async with plain.talking(handle) as talk:
        assert await talk.ask() == (200, bytes(size))
        await is_sent.wait()
        assert not talk.quick.is_open


@pytest.mark.parametrize("message", [b"HTTP/1.1 408 Request Timeout\r\n\r\n", b""], ids=["a message", "the end"])
async def test_what_comes_while_nothing_is_asked_costs_the_connection(rig: Rig, message: bytes) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"hello")
        await settle()
        if message:
            await peer.send(message)
            await peer.wait_for_end()
        else:
            peer.writer.close()
            await peer.wait_for_end()

    async with rig.talking(handle) as talk:
        assert await talk.ask() == (200, b"hello")
        await talk.until_closed()
        assert talk.results.empty()
        with pytest.raises(RuntimeError):
            talk.quick.exchange(Request("GET", "/x"))


class Clock:
    """The loop's time, put forward by hand."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._loop = asyncio.get_running_loop()
        self._ahead = 0.0
        real = self._loop.time
        patch.setattr(self._loop, "time", lambda: real() + self._ahead)

    def advance(self, talk: Talk, seconds: float) -> None:
        """Some time has passed, and the watchdog looks."""
        self._ahead += seconds
        talk.quick.fail_if_stalled(self._loop.time())


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def gate() -> asyncio.Semaphore:
    """What a server waits for before each of its steps."""
    return asyncio.Semaphore(0)


async def test_a_silent_server_fails_the_exchange_after_the_deadline(rig: Rig, clock: Clock) -> None:
    async with rig.talking(saying()) as talk:
        clock.advance(talk, 100)
        assert talk.quick.is_open
        talk.quick.exchange(Request("GET", "/x"))
        clock.advance(talk, STALL_SECONDS - 1)
        assert talk.results.empty()
        clock.advance(talk, 2)
        error = await talk.result()
        assert isinstance(error, StalledError)
        assert not error.answered
        assert talk.is_closed
        clock.advance(talk, 100)
        assert talk.results.empty()


async def test_a_server_that_reads_nothing_fails_the_exchange_after_the_deadline(rig: Rig, clock: Clock) -> None:
    async def handle(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket transport
        await asyncio.Event().wait()

    async with rig.talking(handle) as talk:
        talk.quick.exchange(Request("PUT", "/x", body=BIG_BODY))
        await settle()
        clock.advance(talk, STALL_SECONDS + 1)
        assert isinstance(await talk.result(), StalledError)


async def step(talk: Talk, gate: asyncio.Semaphore) -> None:
    """Let the server take its next step, and see what it does."""
    gate.release()
    before = talk.quick._moved_at_seconds
    async with asyncio.timeout(10):
        while talk.results.empty() and talk.quick._moved_at_seconds == before:
            await asyncio.sleep(0)


async def test_a_server_that_hands_out_single_bytes_fails_the_exchange(
    plain: Rig, clock: Clock, gate: asyncio.Semaphore
) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        for at in range(len(HELLO)):
            await gate.acquire()
            await peer.send(HELLO[at : at + 1])

    async with plain.talking(handle) as talk:
        talk.quick.exchange(Request("GET", "/x"))
        for _ in range(5):
            await step(talk, gate)
            clock.advance(talk, STALL_SECONDS / 4)
        error = await talk.result()
        assert isinstance(error, StalledError)
        assert error.answered


async def test_the_pace_of_an_answer_is_judged_from_its_first_byte_on(
    plain: Rig, clock: Clock, gate: asyncio.Semaphore
) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        for at in range(0, len(HELLO), 20):
            await gate.acquire()
            await peer.send(HELLO[at : at + 20])
        await peer.wait_for_end()

    async with plain.talking(handle) as talk:
        talk.quick.exchange(Request("GET", "/x"))
        clock.advance(talk, STALL_SECONDS - 1)
        await step(talk, gate)
        # The store has thought for as long as it may: its answer, once begun, comes at a good pace.
        clock.advance(talk, 2)
        while talk.results.empty():
            await step(talk, gate)
        assert isinstance(await talk.result(), Answer)


async def test_a_slow_line_may_take_its_time_for_a_body(clock: Clock) -> None:
    near, far = socket.socketpair()
    far.setblocking(False)
    with far:
        talk = over(near)
        talk.quick.exchange(Request("PUT", "/x", body=BIG_BODY))
        received = 0
        while received < len(BIG_BODY):
            # 100 KiB in 10 s.
            target = received + 100 * KIB
            while received < min(target, len(BIG_BODY)):
                with contextlib.suppress(BlockingIOError):
                    received += len(far.recv(100 * KIB))
                await asyncio.sleep(0)
            clock.advance(talk, 10)
            assert talk.results.empty()
        far.send(HELLO)
        answer = await talk.result()
        assert isinstance(answer, Answer)
        assert answer.body == b"hello"
        talk.quick.leave().close()


async def test_a_connection_that_is_left_idle_serves_on_as_any_other(rig: Rig) -> None:
    async with rig.talking(echo) as talk:
        assert await talk.ask("PUT", CONTENT) == (200, CONTENT)
        connection = talk.quick.leave()
        assert connection.state is ConnectionState.IDLE
        assert not connection.stream.is_stale()
        response = await connection.exchange(Request("PUT", "/x", body=CONTENT), Flow())
        assert await response.read() == CONTENT
        again = Talk(connection, talk.server)
        assert await again.ask("PUT", b"once more") == (200, b"once more")
        again.quick.leave()
        assert talk.server.connections == 1


async def test_a_connection_that_is_left_in_the_middle_is_closed_and_nothing_is_told(rig: Rig) -> None:
    async with rig.talking(saying()) as talk:
        talk.quick.exchange(Request("PUT", "/x", body=BIG_BODY))
        await settle()
        assert talk.quick.leave().state is ConnectionState.CLOSED
        await settle()
        assert talk.results.empty()


async def test_what_cannot_be_sent_leaves_the_connection_as_it_was(plain: Rig) -> None:
    async with plain.talking(echo) as talk:
        with pytest.raises(UsageError):
            talk.quick.exchange(Request("PUT", "/x", [("x-a", "one\r\nx-b: two")]))
        with pytest.raises(TypeError):
            talk.quick.exchange(Request("PUT", "/x", body=FileBody(0, 0, 5)))
        assert await talk.ask("PUT", b"hello") == (200, b"hello")


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("body", [b"", BIG_BODY], ids=["idle", "sending"])
async def test_session_tickets_cost_nothing_whenever_they_come(
    certificates: tuple[str, str, str], newest: ssl.TLSVersion, body: bytes
) -> None:
    encrypted = Rig(certificates, is_encrypted=True)
    assert encrypted.context is not None
    encrypted.context.maximum_version = newest
    encrypted.context.num_tickets = 8
    async with encrypted.talking(echo_length) as talk:
        await settle()
        for _ in range(3):
            assert await talk.ask("PUT", body) == (200, b"%d" % len(body))
            await settle()
        assert talk.quick.is_open
        assert talk.server.connections == 1


async def echo_length(peer: Peer) -> None:
    while True:
        asked = await peer.request()
        await peer.answer(b"%d" % len(asked.body))


@pytest.mark.parametrize(
    "pieces",
    [
        (b"\x15", b"\x03\x01\x00\x02\x02\x28"),
        (b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",),
    ],
)
async def test_a_server_that_speaks_tls_alone_is_named(plain: Rig, pieces: tuple[bytes, ...]) -> None:
    async with plain.talking(saying(*pieces)) as talk:
        assert isinstance(await talk.fail("PUT", b"body"), SchemeError)


async def test_a_server_that_has_answered_does_not_speak_tls(plain: Rig) -> None:
    answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 47\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
    pieces = iter((HELLO, answer))

    async def handle(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(next(pieces))

    async with plain.talking(handle) as talk:
        await talk.ask()
        assert (await talk.ask())[0] == 400
