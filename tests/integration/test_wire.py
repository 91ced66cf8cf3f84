"""The data plane against servers that do exactly what a test says, right and wrong."""

import asyncio
import contextlib
import errno
import os
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import pytest

from tests.support import kernel_tls
from tests.support.certificates import make_certificate
from tests.support.http_server import Handler, HttpServer, Peer, server_context
from transfer.model.errors import (
    ConfigurationError,
    ConnectError,
    ProtocolError,
    SchemeError,
    SourceChangedError,
    StalledError,
    TlsError,
    WireError,
)
from transfer.model.receipts import Mover
from transfer.wire import dial
from transfer.wire import pool as pool_module
from transfer.wire.connection import BytesBody, Connection, FileBody, Request
from transfer.wire.dial import Dialer
from transfer.wire.flow import Flow
from transfer.wire.heads import MAX_HEAD_BYTES
from transfer.wire.ktls import Obstacle
from transfer.wire.origin import Origin, parse_origin
from transfer.wire.plain import PlainStream
from transfer.wire.pool import ConnectionPool

KIB = 1024
MIB = 1024 * KIB
CONTENT = bytes(range(251)) * (3 * MIB // 251)
REFUSAL = b"<Error><Code>AccessDenied</Code></Error>"
STREAMS = ["kernel", "portable", "tls", "ktls"]
MOVERS = {
    "kernel": (Mover.SENDFILE, Mover.RECV),
    "portable": (Mover.BUFFER, Mover.RECV),
    "tls": (Mover.TLS, Mover.TLS),
    "ktls": (Mover.KTLS, Mover.TLS),
}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("certificates"))


class Rig:
    """A server, the pool that talks to it, and files to move."""

    def __init__(self, kind: str, certificates: tuple[Path, Path, Path], folder: Path) -> None:
        ca, certificate, key = certificates
        self._tls = server_context((str(certificate), str(key))) if kind.endswith("tls") else None
        self.ca_bundle = str(ca)
        self.sends_by, self.receives_by = MOVERS[kind]
        self._folder = folder
        self.flow = Flow()

    @asynccontextmanager
    async def serving(
        self, handle: Handler, *, stall_seconds: float = 30.0
    ) -> AsyncIterator[tuple[HttpServer, ConnectionPool, Origin]]:
        dialer = Dialer(verify_tls=True, ca_bundle=self.ca_bundle, stall_seconds=stall_seconds)
        async with HttpServer(handle, tls=self._tls) as server, ConnectionPool(dialer) as pool:
            yield server, pool, parse_origin(server.url)[0]

    def source(self, content: bytes = CONTENT) -> int:
        path = self._folder / "source"
        path.write_bytes(content)
        return os.open(path, os.O_RDONLY)

    def target(self, flags: int = os.O_RDWR) -> int:
        (self._folder / "target").touch()
        return os.open(self._folder / "target", flags)

    def landed(self) -> bytes:
        return (self._folder / "target").read_bytes()


@pytest.fixture(params=STREAMS)
def rig(
    request: pytest.FixtureRequest,
    certificates: tuple[Path, Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Rig:
    if request.param == "portable":
        choose_portable(monkeypatch)
    elif request.param == "tls":
        kernel_tls.offer(monkeypatch, Obstacle.KERNEL)
    elif request.param == "ktls":
        kernel_tls.imitate(monkeypatch)
    return Rig(request.param, certificates, tmp_path)


@pytest.fixture
def plain(certificates: tuple[Path, Path, Path], tmp_path: Path) -> Rig:
    return Rig("kernel", certificates, tmp_path)


@pytest.fixture
def quick_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "WATCHDOG_SECONDS", 0.01)


@pytest.fixture
def opened() -> Iterator[Callable[[int], int]]:
    """Remember descriptors and close them in the end."""
    held: list[int] = []

    def keep(fd: int) -> int:
        held.append(fd)
        return fd

    yield keep
    for fd in held:
        os.close(fd)


def choose_portable(patch: pytest.MonkeyPatch) -> None:
    """Let the dialer choose what platforms without sendfile get."""
    patch.setattr(dial, "SendfileStream", PlainStream)


async def ask(
    pool: ConnectionPool, origin: Origin, method: str = "GET", body: BytesBody | FileBody = b""
) -> tuple[int, bytes]:
    async with pool.exchange(origin, Request(method, "/x", body=body), Flow()) as response:
        return response.status, await response.read()


async def echo(peer: Peer) -> None:
    while True:
        asked = await peer.request()
        await peer.answer(asked.body)


async def serve_content(peer: Peer) -> None:
    while True:
        await peer.request()
        await peer.answer(CONTENT)


def held(pool: ConnectionPool) -> int:
    """Connections the pool has not let go, idle ones included."""
    return len(pool._busy) + sum(map(len, pool._idle.values()))


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_one_connection_serves_request_after_request(rig: Rig) -> None:
    async with rig.serving(echo) as (server, pool, origin):
        for number in range(5):
            body = b"%d" % number * 100
            assert await ask(pool, origin, "PUT", body) == (200, body)
        assert await ask(pool, origin, "PUT") == (200, b"")
        assert server.connections == held(pool) == 1


async def test_requests_at_the_same_time_have_connections_of_their_own(rig: Rig) -> None:
    async with rig.serving(echo) as (server, pool, origin):
        bodies = [b"%d" % number * 50_000 for number in range(4)]
        answers = await asyncio.gather(*(ask(pool, origin, "PUT", body) for body in bodies))
        assert answers == [(200, body) for body in bodies]
        assert server.connections == 4


@pytest.mark.parametrize("encode", [bytes, bytearray, memoryview])
async def test_a_body_from_memory_arrives(rig: Rig, encode: Callable[[bytes], BytesBody]) -> None:
    async with rig.serving(echo) as (_, pool, origin):
        assert await ask(pool, origin, "PUT", encode(CONTENT)) == (200, CONTENT)


async def test_a_range_of_a_file_arrives(rig: Rig, opened: Callable[[int], int]) -> None:
    fd = opened(rig.source())
    async with rig.serving(echo) as (_, pool, origin):
        moved: list[int] = []
        request = Request("PUT", "/x", body=FileBody(fd, 1000, 2 * MIB))
        async with pool.exchange(origin, request, Flow(moved.append)) as response:
            assert await response.read() == CONTENT[1000 : 1000 + 2 * MIB]
            assert response.sent_by is rig.sends_by
        assert sum(moved) == 2 * MIB


async def test_a_body_lands_in_a_file_at_its_place(rig: Rig, opened: Callable[[int], int]) -> None:
    fd = opened(rig.target())
    os.ftruncate(fd, 10)
    seen = bytearray()
    async with rig.serving(serve_content) as (server, pool, origin):
        for _ in range(2):
            seen.clear()
            flow = Flow()
            async with pool.exchange(origin, Request("GET", "/x"), flow) as response:
                mover = await response.read_into_file(fd, 10, len(CONTENT), flow, seen.extend)
            assert mover is rig.receives_by
            assert rig.landed() == bytes(10) + CONTENT
            assert flow.moved_bytes == len(CONTENT)
            assert bytes(seen) == CONTENT
        assert server.connections == 1


async def test_an_empty_body_lands_too(rig: Rig, opened: Callable[[int], int]) -> None:
    fd = opened(rig.target())
    async with rig.serving(echo) as (_, pool, origin):
        async with pool.exchange(origin, Request("GET", "/x"), rig.flow) as response:
            await response.read_into_file(fd, 0, 0, rig.flow, None)
        assert rig.landed() == b""


async def test_chunks_with_extensions_and_trailers_are_joined(rig: Rig) -> None:
    async def handle(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhel")
            await settle()
            await peer.send(b"lo\r\n10000\r\n" + b"x" * 0x10000 + b"\r")
            await settle()
            await peer.send(b"\n0\r\nX-Trailer: 1\r\n\r\n")

    async with rig.serving(handle) as (server, pool, origin):
        for _ in range(2):
            assert await ask(pool, origin) == (200, b"hello" + b"x" * 0x10000)
        assert server.connections == 1


@pytest.mark.parametrize("tail", [b"5\r\nhelloXX0\r\n\r\n", b"zz\r\n", b"-1\r\n", b"5" * 5000, b"5\r\nhel"])
async def test_broken_chunks_are_an_error(plain: Rig, tail: bytes) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + tail)

    async with plain.serving(handle) as (_, pool, origin):
        with pytest.raises(WireError) as failure:
            await ask(pool, origin)
        assert failure.value.subject == str(origin)
        assert held(pool) == 0


async def test_a_body_may_end_with_the_connection(rig: Rig) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nall that ")
        await settle()
        await peer.send(b"there is")

    async with rig.serving(handle) as (server, pool, origin):
        assert await ask(pool, origin) == (200, b"all that there is")
        assert await ask(pool, origin) == (200, b"all that there is")
        assert server.connections == 2


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunked(content: bytes, size: int = 100_000) -> bytes:
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    return CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize("content", [CONTENT, b"few", b""], ids=["large", "few", "none"])
async def test_a_chunked_body_lands_in_a_file(rig: Rig, content: bytes, opened: Callable[[int], int]) -> None:
    async def handle(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(chunked(content))

    fd = opened(rig.target())
    async with rig.serving(handle) as (server, pool, origin):
        for _ in range(2):
            seen = bytearray()
            flow = Flow()
            async with pool.exchange(origin, Request("GET", "/x"), flow) as response:
                mover = await response.read_into_file(fd, 10, len(content), flow, seen.extend)
            assert mover is rig.receives_by
            assert rig.landed()[10:] == content == bytes(seen)
            assert flow.moved_bytes == len(content)
        assert server.connections == 1


async def test_a_body_that_ends_with_the_connection_lands_in_a_file(rig: Rig, opened: Callable[[int], int]) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n" + CONTENT)

    fd = opened(rig.target())
    async with rig.serving(handle) as (_, pool, origin):
        async with pool.exchange(origin, Request("GET", "/x"), rig.flow) as response:
            await response.read_into_file(fd, 0, len(CONTENT), rig.flow, None)
        assert rig.landed() == CONTENT
        assert held(pool) == 0


@pytest.mark.parametrize("size", [4, 6])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (chunked(b"hello"), ProtocolError),
        (chunked(b"hello", 1), ProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", ProtocolError),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", WireError),
        (CHUNKED + b"5\r\nhel", WireError),
    ],
    ids=["chunked", "small chunks", "told", "until closed", "cut off"],
)
async def test_a_body_of_another_length_than_expected_is_an_error(
    plain: Rig, answer: bytes, kind: type[WireError], size: int, opened: Callable[[int], int]
) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)

    fd = opened(plain.target())
    async with plain.serving(handle) as (_, pool, origin):
        with pytest.raises(kind):
            async with pool.exchange(origin, Request("GET", "/x"), plain.flow) as response:
                await response.read_into_file(fd, 0, size, plain.flow, None)
        assert len(plain.landed()) <= size


class Meter:
    """A rate limiter that only notes what it is asked for."""

    step_bytes = 50_000

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def admit(self, count: int) -> None:
        self.asked.append(count)


@pytest.mark.parametrize("size", [0, 5, 20 * KIB, len(CONTENT)])
@pytest.mark.parametrize("coding", ["length", "chunked"])
async def test_exactly_the_bytes_received_are_paid_for(
    rig: Rig, size: int, coding: str, opened: Callable[[int], int]
) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        if coding == "chunked":
            await peer.send(chunked(CONTENT[:size]))
        else:
            await peer.answer(CONTENT[:size])
        await peer.wait_for_end()

    fd = opened(rig.target())
    meter = Meter()
    flow = Flow(None, meter)
    async with rig.serving(handle) as (_, pool, origin), pool.exchange(origin, Request("GET", "/x"), flow) as response:
        await response.read_into_file(fd, 0, size, flow, None)
    assert sum(meter.asked) == size == flow.moved_bytes
    assert all(0 < count <= Meter.step_bytes for count in meter.asked)


@pytest.mark.parametrize("size", [0, 5, 20 * KIB, len(CONTENT)])
@pytest.mark.parametrize("source", ["file", "memory", "file that the kernel cannot send"])
async def test_exactly_the_bytes_sent_are_paid_for(
    rig: Rig, size: int, source: str, opened: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if source.endswith("cannot send"):
        refuse_sendfile(monkeypatch, errno.EINVAL)
    content = CONTENT[:size]
    body = content if source == "memory" else FileBody(opened(rig.source(content)), 0, size)
    meter = Meter()
    flow = Flow(None, meter)
    request = Request("PUT", "/x", body=body)
    async with rig.serving(echo) as (_, pool, origin), pool.exchange(origin, request, flow) as response:
        assert await response.read() == content
    assert sum(meter.asked) == size == flow.moved_bytes
    assert all(0 < count <= Meter.step_bytes for count in meter.asked)


def refuse_sendfile(patch: pytest.MonkeyPatch, number: int, *, after_calls: int = 0) -> None:
    """Let sendfile(2) fail, from some call on."""
    real = os.sendfile
    calls = 0

    def sendfile(out: int, source: int, offset: int, count: int) -> int:
        nonlocal calls
        calls += 1
        if calls > after_calls:
            raise OSError(number, os.strerror(number))
        return real(out, source, offset, min(count, 100_000))

    patch.setattr(os, "sendfile", sendfile)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
async def test_a_file_the_kernel_cannot_send_goes_through_memory(
    plain: Rig, number: int, opened: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    fd = opened(plain.source())
    refuse_sendfile(monkeypatch, number)
    request = Request("PUT", "/x", body=FileBody(fd, 1000, 2 * MIB))
    async with plain.serving(echo) as (_, pool, origin), pool.exchange(origin, request, plain.flow) as response:
        assert await response.read() == CONTENT[1000 : 1000 + 2 * MIB]
        assert response.sent_by is Mover.BUFFER


@pytest.mark.parametrize("after_calls", [0, 1])
@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.EBADF])
async def test_a_file_that_cannot_be_read_is_no_broken_connection(
    plain: Rig, number: int, after_calls: int, opened: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    fd = opened(plain.source())
    refuse_sendfile(monkeypatch, number, after_calls=after_calls)
    async with plain.serving(echo) as (_, pool, origin):
        with pytest.raises(OSError, match=os.strerror(number)) as failure:
            await ask(pool, origin, "PUT", FileBody(fd, 0, len(CONTENT)))
        assert failure.value.errno == number
        assert held(pool) == 0


@pytest.mark.parametrize("after_calls", [0, 1])
@pytest.mark.parametrize("number", [errno.ECONNRESET, errno.EPIPE, errno.ETIMEDOUT, errno.EHOSTUNREACH])
async def test_a_socket_that_fails_under_a_file_is_a_broken_connection(
    plain: Rig, number: int, after_calls: int, opened: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    fd = opened(plain.source())
    refuse_sendfile(monkeypatch, number, after_calls=after_calls)
    async with plain.serving(echo) as (_, pool, origin):
        with pytest.raises(WireError, match=os.strerror(number).lower()):
            await ask(pool, origin, "PUT", FileBody(fd, 0, len(CONTENT)))
        assert held(pool) == 0


@pytest.mark.parametrize("sent", [1, 20 * KIB, 2 * MIB])
async def test_a_body_that_ends_too_soon_is_an_error(rig: Rig, sent: int, opened: Callable[[int], int]) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(CONTENT) + CONTENT[:sent])

    fd = opened(rig.target())
    async with rig.serving(handle) as (_, pool, origin):
        with pytest.raises(WireError):
            async with pool.exchange(origin, Request("GET", "/x"), rig.flow) as response:
                await response.read_into_file(fd, 0, len(CONTENT), rig.flow, None)
        with pytest.raises(WireError):
            await ask(pool, origin)
        assert held(pool) == 0


async def test_interim_answers_are_skipped(rig: Rig) -> None:
    async def handle(peer: Peer) -> None:
        while True:
            asked = await peer.request()
            await peer.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
            await peer.answer(asked.body)

    async with rig.serving(handle) as (server, pool, origin):
        assert await ask(pool, origin, "PUT", b"a") == (200, b"a")
        assert await ask(pool, origin, "PUT", b"b") == (200, b"b")
        assert server.connections == 1


async def test_the_answer_to_head_has_no_body_whatever_its_length(rig: Rig) -> None:
    async def handle(peer: Peer) -> None:
        while (await peer.request()).head.method == "HEAD":
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n")
        await peer.answer(b"next")

    async with rig.serving(handle) as (server, pool, origin):
        async with pool.exchange(origin, Request("HEAD", "/x"), Flow()) as response:
            assert response.headers["content-length"] == "12345"
            assert await response.read() == b""
        assert await ask(pool, origin) == (200, b"next")
        assert server.connections == 1


async def test_a_head_may_be_split_anywhere(plain: Rig) -> None:
    answer = b'HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\nETag: "a"\r\n\r\nhello'

    async def handle(peer: Peer) -> None:
        for cut in range(1, len(answer)):
            await peer.request()
            await peer.send(answer[:cut])
            await settle()
            await peer.send(answer[cut:])

    async with plain.serving(handle) as (server, pool, origin):
        for _ in range(1, len(answer)):
            assert await ask(pool, origin) == (206, b"hello")
        assert server.connections == 1


async def test_a_head_may_come_byte_by_byte(rig: Rig) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi":
            await peer.send(bytes([byte]))
            await settle()

    async with rig.serving(handle) as (_, pool, origin):
        assert await ask(pool, origin) == (200, b"hi")


@pytest.mark.parametrize("name", [b"X-Long: ", b""])
async def test_an_endless_head_is_refused(plain: Rig, name: bytes) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n" + name)
        while True:
            await peer.send(b"x" * MAX_HEAD_BYTES)

    async with plain.serving(handle) as (_, pool, origin):
        with pytest.raises(ProtocolError, match="too long"):
            await ask(pool, origin)


async def test_what_is_no_http_says_so(plain: Rig) -> None:
    async def handle(peer: Peer) -> None:
        await peer.send(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        await peer.wait_for_end()

    async with plain.serving(handle) as (_, pool, origin):
        with pytest.raises(ProtocolError) as failure:
            await ask(pool, origin)
        assert failure.value.remedy


async def test_bytes_after_an_answer_cost_the_connection(rig: Rig) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
        )
        await peer.wait_for_end()

    async with rig.serving(handle) as (server, pool, origin):
        assert await ask(pool, origin) == (200, b"hi")
        assert await ask(pool, origin) == (200, b"hi")
        assert server.connections == 2


async def test_a_body_left_unread_costs_the_connection(rig: Rig) -> None:
    async with rig.serving(serve_content) as (server, pool, origin):
        async with pool.exchange(origin, Request("GET", "/x"), rig.flow):
            pass
        assert held(pool) == 0
        assert await ask(pool, origin) == (200, CONTENT)
        assert server.connections == 2


async def test_a_server_that_says_close_is_believed(rig: Rig) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"bye", b"Connection: close")
        await peer.wait_for_end()

    async with rig.serving(handle) as (server, pool, origin):
        assert await ask(pool, origin) == await ask(pool, origin) == (200, b"bye")
        assert server.connections == 2


async def test_an_idle_connection_that_was_closed_is_replaced_unnoticed(rig: Rig) -> None:
    closed = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"once")
        peer.writer.transport.abort()
        await peer.writer.wait_closed()
        closed.set()

    async with rig.serving(handle) as (server, pool, origin):
        for number in range(3):
            assert await ask(pool, origin) == (200, b"once")
            await closed.wait()
            closed.clear()
            assert server.connections == number + 1


async def test_a_reused_connection_closed_under_a_request_is_told_as_such(rig: Rig) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"first")
        await peer.request()

    async with rig.serving(handle) as (_, pool, origin):
        await ask(pool, origin)
        with pytest.raises(WireError) as failure:
            await ask(pool, origin)
        assert (failure.value.reused, failure.value.answered) == (True, False)


async def test_a_fresh_connection_closed_under_a_request_is_told_as_such(rig: Rig) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()

    async with rig.serving(handle) as (_, pool, origin):
        with pytest.raises(WireError) as failure:
            await ask(pool, origin)
        assert (failure.value.reused, failure.value.answered) == (False, False)


@pytest.mark.parametrize("drains", [False, True], ids=["closes", "drains"])
@pytest.mark.parametrize("source", ["file", "memory"])
async def test_an_answer_before_the_body_was_read_is_not_lost(
    rig: Rig, source: str, drains: bool, opened: Callable[[int], int]
) -> None:
    async def handle(peer: Peer) -> None:
        await peer.head()
        await peer.answer(REFUSAL, b"Connection: close", status=b"403 Forbidden")
        if drains:
            await peer.wait_for_end()

    content = CONTENT * 4
    body = FileBody(opened(rig.source(content)), 0, len(content)) if source == "file" else content
    async with rig.serving(handle) as (server, pool, origin):
        assert await ask(pool, origin, "PUT", body) == (403, REFUSAL)
        assert held(pool) == 0
        assert await ask(pool, origin, "PUT", body) == (403, REFUSAL)
        assert server.connections == 2


@pytest.mark.parametrize("source", ["file", "memory"])
async def test_a_success_told_before_the_body_was_read_is_none(
    rig: Rig, source: str, opened: Callable[[int], int]
) -> None:
    never = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.head()
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a read transport too
        await peer.answer(b"", b'ETag: "e"')
        await never.wait()

    content = CONTENT * 8
    body = FileBody(opened(rig.source(content)), 0, len(content)) if source == "file" else content
    async with rig.serving(handle) as (_, pool, origin):
        with pytest.raises(WireError, match="before it had the whole body") as failure:
            await ask(pool, origin, "PUT", body)
        assert (failure.value.answered, failure.value.reused) == (True, False)
        assert held(pool) == 0


async def test_a_connection_answered_early_is_never_used_again(rig: Rig, opened: Callable[[int], int]) -> None:
    async def handle(peer: Peer) -> None:
        await peer.head()
        await peer.answer(REFUSAL, status=b"503 Slow Down")
        await peer.wait_for_end()

    body = FileBody(opened(rig.source(CONTENT * 4)), 0, len(CONTENT) * 4)
    async with rig.serving(handle) as (_, pool, origin):
        assert await ask(pool, origin, "PUT", body) == (503, REFUSAL)
        assert held(pool) == 0


async def test_a_file_that_becomes_shorter_while_it_is_sent_is_told(rig: Rig, opened: Callable[[int], int]) -> None:
    content = CONTENT * 8
    fd = opened(rig.source(content))

    def shrink(_: int) -> None:
        os.truncate(f"/proc/self/fd/{fd}", 1000)

    async def handle(peer: Peer) -> None:
        await peer.head()
        await peer.wait_for_end()

    async with rig.serving(handle) as (_, pool, origin):
        with pytest.raises(SourceChangedError):
            async with pool.exchange(origin, Request("PUT", "/x", body=FileBody(fd, 0, len(content))), Flow(shrink)):
                pass
        assert held(pool) == 0


@pytest.mark.usefixtures("quick_watchdog")
@pytest.mark.parametrize(
    "sent", [b"", b"HTTP/1.1 200 OK\r\nConte", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"]
)
async def test_silence_in_an_answer_is_a_stall(rig: Rig, sent: bytes) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(sent)
        await peer.wait_for_end()

    async with rig.serving(handle, stall_seconds=0.1) as (_, pool, origin):
        with pytest.raises(StalledError):
            await ask(pool, origin)
        assert held(pool) == 0


@pytest.mark.usefixtures("quick_watchdog")
async def test_a_body_that_stops_on_its_way_into_a_file_is_a_stall(rig: Rig, opened: Callable[[int], int]) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(CONTENT) + CONTENT[:MIB])
        await peer.wait_for_end()

    fd = opened(rig.target())
    async with rig.serving(handle, stall_seconds=0.1) as (_, pool, origin):
        with pytest.raises(StalledError):
            async with pool.exchange(origin, Request("GET", "/x"), rig.flow) as response:
                await response.read_into_file(fd, 0, len(CONTENT), rig.flow, None)


@pytest.mark.usefixtures("quick_watchdog")
@pytest.mark.parametrize("source", ["file", "memory"])
async def test_a_server_that_stops_reading_is_a_stall(rig: Rig, source: str, opened: Callable[[int], int]) -> None:
    never = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.head()
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a read transport too
        await never.wait()

    content = CONTENT * 8
    body = FileBody(opened(rig.source(content)), 0, len(content)) if source == "file" else content
    async with rig.serving(handle, stall_seconds=0.1) as (_, pool, origin):
        with pytest.raises(StalledError):
            await ask(pool, origin, "PUT", body)


async def trickle(peer: Peer, content: bytes) -> None:
    """Send bytes one by one, each well within the deadline of the tests below."""
    for value in content:
        await peer.send(bytes([value]))
        await asyncio.sleep(0.01)


@pytest.mark.usefixtures("quick_watchdog")
@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"], ids=["head", "body"])
async def test_an_answer_that_trickles_is_a_stall(rig: Rig, head: bytes) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(head or b"HTTP/1.1 200 OK\r\nX: ")
        await trickle(peer, b"x" * 5000)

    async with rig.serving(handle, stall_seconds=0.3) as (_, pool, origin):
        with pytest.raises(StalledError, match=r"only \d+ bytes moved in 0\.3 s"):
            await ask(pool, origin)
        assert held(pool) == 0


@pytest.mark.usefixtures("quick_watchdog")
async def test_a_body_that_trickles_into_a_file_is_a_stall(rig: Rig, opened: Callable[[int], int]) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(CONTENT) + CONTENT[:MIB])
        await trickle(peer, CONTENT[MIB:])

    fd = opened(rig.target())
    async with rig.serving(handle, stall_seconds=0.3) as (_, pool, origin):
        with pytest.raises(StalledError, match="only"):
            async with pool.exchange(origin, Request("GET", "/x"), rig.flow) as response:
                await response.read_into_file(fd, 0, len(CONTENT), rig.flow, None)


class ManualSocket:
    """A pair of sockets of which the test holds the far end, and a clock that stands still unless it is moved."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.loop = asyncio.get_running_loop()
        self.seconds = 100.0
        near, self.far = socket.socketpair()
        near.setblocking(False)
        patch.setattr(self.loop, "time", lambda: self.seconds)
        self.stream = PlainStream(near, self.loop, memoryview(bytearray(MIB)))

    async def receive(self, count: int, *, after_seconds: float, view: memoryview) -> None:
        """Let the stream wait so long for so many bytes; the watchdog looks shortly before they come."""
        receiving = asyncio.create_task(self.stream.receive_into(view))
        while self.stream.waiting_since is None:
            await asyncio.sleep(0)
        self.seconds += after_seconds
        self.stream.fail_if_stalled(self.seconds)
        self.far.sendall(bytes(count))
        assert await receiving == count

    def close(self) -> None:
        self.stream.close()
        self.far.close()


@pytest.fixture
async def manual(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ManualSocket]:
    with monkeypatch.context() as patch:
        made = ManualSocket(patch)
        yield made
        made.close()


@pytest.mark.parametrize(
    ("waits", "stalls"),
    [
        pytest.param([(29.0, 1), (29.0, 30 * 1024), (1.5, 1)], True, id="second wait ends a window with one byte"),
        pytest.param([(20.0, 30 * 1024), (11.0, 1), (29.0, 1)], False, id="a window with enough, the next not over"),
        pytest.param([(20.0, 30 * 1024), (11.0, 1), (29.0, 1), (2.0, 1)], True, id="what moved before counts no more"),
        pytest.param([(29.9, 1)], False, id="not judged before a whole window"),
        pytest.param([(30.5, 1)], True, id="silence"),
        pytest.param([(10.0, 10 * 1024)] * 9, False, id="slow and steady at the minimum"),
        pytest.param([(10.0, 9 * 1024)] * 9, True, id="slow and steady below the minimum"),
    ],
)
async def test_bytes_are_judged_by_windows_of_waiting(
    manual: ManualSocket, waits: list[tuple[float, int]], stalls: bool
) -> None:
    view = memoryview(bytearray(MIB))
    manual.stream.begin_exchange(30.0, patient=False)
    with pytest.raises(StalledError) if stalls else nullcontext():
        for seconds, count in waits:
            await manual.receive(count, after_seconds=seconds, view=view)


async def test_time_outside_the_socket_is_not_held_against_the_peer(manual: ManualSocket) -> None:
    view = memoryview(bytearray(10))
    manual.stream.begin_exchange(30.0, patient=False)
    for _ in range(9):
        await manual.receive(10, after_seconds=3.0, view=view)
        # A bandwidth limit, a disk, or whatever else keeps the user of the stream away from it.
        manual.seconds += 3600.0
        manual.stream.fail_if_stalled(manual.seconds)


async def test_every_exchange_and_every_answer_begins_a_window_of_its_own(manual: ManualSocket) -> None:
    view = memoryview(bytearray(10))
    for _ in range(3):
        manual.stream.begin_exchange(30.0, patient=False)
        await manual.receive(1, after_seconds=29.0, view=view)
    for _ in range(3):
        manual.stream.begin_window()
        await manual.receive(1, after_seconds=29.0, view=view)


async def test_a_patient_exchange_may_trickle_but_not_be_silent(manual: ManualSocket) -> None:
    view = memoryview(bytearray(10))
    manual.stream.begin_exchange(30.0, patient=True)
    for _ in range(5):
        await manual.receive(1, after_seconds=29.0, view=view)
    with pytest.raises(StalledError, match="no byte moved"):
        await manual.receive(1, after_seconds=31.0, view=view)


@pytest.mark.usefixtures("quick_watchdog")
async def test_a_server_that_reads_slowly_but_steadily_is_no_stall(rig: Rig, opened: Callable[[int], int]) -> None:
    content = CONTENT * 16

    async def handle(peer: Peer) -> None:
        head = await peer.head()
        left = int(head.header("Content-Length") or 0)
        while left:
            left -= len(await peer.reader.readexactly(min(left, 512 * KIB)))
            await asyncio.sleep(0.02)
        await peer.answer(b"taken")

    body = FileBody(opened(rig.source(content)), 0, len(content))
    # Several windows of sending; what the kernel still holds in the end drains well within the deadline.
    async with (
        rig.serving(handle, stall_seconds=0.8) as (_, pool, origin),
        pool.exchange(origin, Request("PUT", "/x", body=body), Flow()) as response,
    ):
        assert await response.read() == b"taken"


@pytest.mark.usefixtures("quick_watchdog")
async def test_a_server_may_think_before_its_answer_and_before_its_body(plain: Rig) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await asyncio.sleep(0.7)
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        await asyncio.sleep(0.7)
        await peer.send(b"done")

    async with plain.serving(handle, stall_seconds=1.0) as (_, pool, origin):
        assert await ask(pool, origin) == (200, b"done")


async def test_a_patient_request_never_stalls(plain: Rig) -> None:
    asked = asyncio.Event()
    go_on = asyncio.Event()

    async def handle(peer: Peer) -> None:
        while True:
            await peer.request()
            asked.set()
            await go_on.wait()
            await peer.answer(b"at last")

    async with plain.serving(handle) as (_, _pool, origin):
        dialer = Dialer(verify_tls=True, ca_bundle=None, stall_seconds=5.0)
        connection = await dialer.dial(origin)
        later = asyncio.get_running_loop().time() + 1e6

        async def read(stall_seconds: float | None) -> bytes:
            response = await connection.exchange(Request("POST", "/x", stall_seconds=stall_seconds), Flow())
            return await response.read()

        reading = asyncio.create_task(read(float("inf")))
        await asked.wait()
        connection.stream.fail_if_stalled(later)
        go_on.set()
        assert await reading == b"at last"
        asked.clear()
        go_on.clear()
        reading = asyncio.create_task(read(None))
        await asked.wait()
        connection.stream.fail_if_stalled(later)
        with pytest.raises(StalledError):
            await reading


async def test_cancelling_an_exchange_closes_its_connection(rig: Rig) -> None:
    asked = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.wait_for_end()

    async with rig.serving(handle) as (_, pool, origin):
        task = asyncio.create_task(ask(pool, origin))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert held(pool) == 0


async def test_a_disk_that_fails_leaves_nothing_behind_for_the_next_body(
    plain: Rig, opened: Callable[[int], int]
) -> None:
    readonly = opened(plain.target(os.O_RDONLY))
    writable = opened(plain.target())
    head_was_read = asyncio.Event()
    bodies = [b"A" * MIB, CONTENT]

    async def handle(peer: Peer) -> None:
        body = bodies.pop(0)
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        # Bytes that arrive with the head take another way than the later ones.
        await head_was_read.wait()
        head_was_read.clear()
        await peer.send(body)
        await peer.wait_for_end()

    async with plain.serving(handle) as (_, pool, origin):
        with pytest.raises(OSError, match="Bad file descriptor"):
            async with pool.exchange(origin, Request("GET", "/x"), plain.flow) as response:
                head_was_read.set()
                await response.read_into_file(readonly, 0, MIB, plain.flow, None)
        async with pool.exchange(origin, Request("GET", "/x"), plain.flow) as response:
            head_was_read.set()
            await response.read_into_file(writable, 0, len(CONTENT), plain.flow, None)
        assert plain.landed() == CONTENT


async def test_a_full_disk_is_the_systems_own_error(plain: Rig, opened: Callable[[int], int]) -> None:
    full = opened(os.open("/dev/full", os.O_WRONLY))
    async with plain.serving(serve_content) as (_, pool, origin):
        with pytest.raises(OSError, match="No space left"):
            async with pool.exchange(origin, Request("GET", "/x"), plain.flow) as response:
                await response.read_into_file(full, 0, len(CONTENT), plain.flow, None)
        assert await ask(pool, origin) == (200, CONTENT)


def resolve_to(patch: pytest.MonkeyPatch, *ports: int) -> list[bytes]:
    """Let every name stand for these ports of 127.0.0.1; returns the names asked for."""
    asked: list[bytes] = []

    def resolve(host: bytes, *_: object, **__: object) -> list[object]:
        asked.append(host)
        kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*kind, ("127.0.0.1", port)) for port in ports]

    patch.setattr(socket, "getaddrinfo", resolve)
    return asked


def dead_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port: int = held.getsockname()[1]
        return port


async def test_an_address_that_refuses_is_passed_over(plain: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async with plain.serving(echo) as (server, pool, _):
        asked = resolve_to(monkeypatch, dead_port(), server.port)
        origin = Origin("http", "store.example", 9000)
        for _ in range(3):
            answers = await asyncio.gather(*(ask(pool, origin, "PUT", b"x") for _ in range(3)))
            assert answers == [(200, b"x")] * 3
        assert set(asked) == {b"store.example"}


async def test_all_addresses_are_used_in_turn(plain: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async with plain.serving(echo) as (first, pool, origin), plain.serving(echo) as (second, _, _):
        resolve_to(monkeypatch, first.port, second.port)
        await asyncio.gather(*(ask(pool, origin, "PUT", b"x") for _ in range(6)))
        assert (first.connections, second.connections) == (3, 3)


async def test_no_address_at_all_is_told_with_a_remedy(plain: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async with plain.serving(echo) as (server, pool, _):
        resolve_to(monkeypatch, dead_port(), dead_port())
        with pytest.raises(ConnectError) as failure:
            await ask(pool, Origin("http", "store.example", 9000))
        assert failure.value.subject == "http://store.example:9000"
        assert failure.value.remedy
        assert server.connections == 0


async def test_a_name_that_does_not_exist_is_told(plain: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with plain.serving(echo) as (_, pool, _):
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        with pytest.raises(ConnectError, match=r"the name store\.example cannot be resolved"):
            await ask(pool, Origin("http", "store.example", 9000))


async def test_who_waits_while_a_name_is_not_found_does_not_ask_again(
    plain: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def resolve(host: bytes, *_: object, **__: object) -> list[object]:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with plain.serving(echo) as (_, pool, _):
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        origin = Origin("http", "store.example", 9000)
        for times in (1, 2):
            failures = await asyncio.gather(*(ask(pool, origin) for _ in range(9)), return_exceptions=True)
            assert [type(failure) for failure in failures] == [ConnectError] * 9
            assert len(asked) == times


@pytest.fixture
def deaf_resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[threading.Thread]]:
    """A resolver that answers only when the test is over; tells the threads that wait for it."""
    released = threading.Event()
    waiting: list[threading.Thread] = []

    def resolve(*_: object, **__: object) -> list[object]:
        waiting.append(threading.current_thread())
        released.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    yield waiting
    released.set()
    for thread in waiting:
        thread.join()


def test_a_resolver_that_never_answers_is_told_and_holds_nobody_up(
    deaf_resolver: list[threading.Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "CONNECT_SECONDS", 0.05)

    async def dial_many() -> list[object]:
        dialer = Dialer(verify_tls=True, ca_bundle=None, stall_seconds=5.0)
        origin = Origin("http", "store.example", 9000)
        return await asyncio.gather(*(dialer.dial(origin) for _ in range(5)), return_exceptions=True)

    for failure in asyncio.run(dial_many()):
        assert isinstance(failure, ConnectError)
        assert "store.example cannot be resolved within" in failure.message
        assert failure.subject == "http://store.example:9000"
    assert len(deaf_resolver) == 1
    assert deaf_resolver[0].is_alive()


def test_a_run_can_be_stopped_while_a_name_is_looked_up(deaf_resolver: list[threading.Thread]) -> None:
    async def stop() -> None:
        dialer = Dialer(verify_tls=True, ca_bundle=None, stall_seconds=5.0)
        dialling = asyncio.create_task(dialer.dial(Origin("http", "store.example", 9000)))
        while not deaf_resolver:
            await asyncio.sleep(0)
        dialling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialling

    asyncio.run(stop())
    assert deaf_resolver[0].is_alive()


@asynccontextmanager
async def dialled(url: str, *, verify_tls: bool = True, ca_bundle: str | None = None) -> AsyncIterator[Connection]:
    dialer = Dialer(verify_tls=verify_tls, ca_bundle=ca_bundle, stall_seconds=5.0)
    connection = await dialer.dial(parse_origin(url)[0])
    try:
        yield connection
    finally:
        connection.close()


async def fetch(connection: Connection) -> bytes:
    response = await connection.exchange(Request("PUT", "/x", body=b"hello"), Flow())
    return await response.read()


def encrypted(certificates: tuple[Path, Path, Path]) -> HttpServer:
    return HttpServer(echo, tls=server_context((str(certificates[1]), str(certificates[2]))))


async def test_a_certificate_of_a_named_authority_is_trusted(certificates: tuple[Path, Path, Path]) -> None:
    async with encrypted(certificates) as server, dialled(server.url, ca_bundle=str(certificates[0])) as connection:
        assert await fetch(connection) == b"hello"


async def test_a_certificate_of_an_unknown_authority_is_refused(certificates: tuple[Path, Path, Path]) -> None:
    async with encrypted(certificates) as server:
        with pytest.raises(TlsError) as failure:
            async with dialled(server.url):
                pass
    assert "--ca-bundle" in (failure.value.remedy or "")
    assert failure.value.subject == server.url


async def test_a_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    foreign = make_certificate(tmp_path, ["store.example"])
    async with encrypted(foreign) as server:
        with pytest.raises(TlsError):
            async with dialled(server.url, ca_bundle=str(foreign[0])):
                pass


async def test_any_certificate_is_taken_when_the_user_says_so(tmp_path: Path) -> None:
    foreign = make_certificate(tmp_path, ["store.example"])
    async with encrypted(foreign) as server, dialled(server.url, verify_tls=False) as connection:
        assert await fetch(connection) == b"hello"


async def test_plain_http_where_tls_was_expected_is_told(certificates: tuple[Path, Path, Path]) -> None:
    async def handle(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.wait_for_end()

    async with HttpServer(handle) as server:
        with pytest.raises(SchemeError) as failure:
            async with dialled(server.url.replace("http:", "https:"), ca_bundle=str(certificates[0])):
                pass
    assert "use http://" in (failure.value.remedy or "")


class BlindLoop(asyncio.BaseEventLoop):
    """A loop without readiness, as the proactor loop of Windows is."""


async def test_a_loop_that_cannot_watch_sockets_is_told_with_a_remedy() -> None:
    near, far = socket.socketpair()
    with near, far, contextlib.closing(BlindLoop()) as blind:
        near.setblocking(False)
        stream = PlainStream(near, blind, memoryview(bytearray(10)))
        with pytest.raises(ConfigurationError, match="BlindLoop") as failure:
            await stream.receive_into(memoryview(bytearray(1)))
    assert "SelectorEventLoop" in (failure.value.remedy or "")
    assert stream.waiting_since is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere 127.0.0.2 has to be set up first")
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
async def test_a_store_on_the_same_machine_is_known_by_its_address(host: str) -> None:
    dialer = Dialer(verify_tls=True, ca_bundle=None, stall_seconds=30.0)
    with socket.create_server((host, 0)) as server:
        assert not dialer.is_peer_here
        connection = await dialer.dial(Origin("http", host, server.getsockname()[1]))
        connection.close()
    assert dialer.is_peer_here


class FarSocket(socket.socket):
    """One whose other end says that it is on another machine."""

    def getpeername(self) -> tuple[str, int]:
        return "198.51.100.7", 80


class GoneSocket(socket.socket):
    """One whose other end is gone."""

    def getpeername(self) -> tuple[str, int]:
        raise OSError(errno.ENOTCONN, "not connected")


@pytest.mark.parametrize("kind", [FarSocket, GoneSocket])
async def test_a_store_elsewhere_is_not_taken_to_be_here(
    kind: type[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transfer.wire.dial.socket.socket", kind)
    dialer = Dialer(verify_tls=True, ca_bundle=None, stall_seconds=30.0)
    with contextlib.closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        dialer.is_peer_here = True
        connection = await dialer.dial(Origin("http", "127.0.0.1", server.getsockname()[1]))
        connection.close()
    assert not dialer.is_peer_here


async def test_behind_a_proxy_nobody_knows_where_the_store_is(monkeypatch: pytest.MonkeyPatch) -> None:
    dialer = Dialer(verify_tls=True, ca_bundle=None, stall_seconds=30.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.getsockname()[1]}")
        connection = await dialer.dial(Origin("http", "store.example", 80))
        connection.close()
    assert not dialer.is_peer_here
