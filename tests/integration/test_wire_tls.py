"""What only encrypted connections do: resume sessions, and keep records that nobody has asked for yet."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.certificates import make_certificate
from tests.support.http_server import Handler, HttpServer, Peer, server_context
from transfer.model.receipts import Mover
from transfer.wire.connection import Request
from transfer.wire.dial import Dialer
from transfer.wire.flow import Flow
from transfer.wire.origin import Origin, parse_origin
from transfer.wire.pool import ConnectionPool

CONTENT = bytes(range(251)) * 4000


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    ca, certificate, key = make_certificate(tmp_path_factory.mktemp("certificates"))
    return str(ca), str(certificate), str(key)


class Rig:
    """A server, the pool that talks to it, and what the server saw of the handshakes."""

    def __init__(self, server: HttpServer, pool: ConnectionPool, resumed: list[bool]) -> None:
        self.server = server
        self.pool = pool
        self.resumed = resumed

    def origin(self, host: str = "127.0.0.1") -> Origin:
        return parse_origin(f"https://{host}:{self.server.port}")[0]

    async def ask(self, host: str = "127.0.0.1") -> bytes:
        async with self.pool.exchange(self.origin(host), Request("GET", "/x"), Flow()) as response:
            return await response.read()


@asynccontextmanager
async def serving(
    handle: Handler, certificates: tuple[str, str, str], newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> AsyncIterator[Rig]:
    resumed: list[bool] = []

    async def note_and_handle(peer: Peer) -> None:
        resumed.append(peer.writer.get_extra_info("ssl_object").session_reused)
        await handle(peer)

    context = server_context(certificates[1:])
    context.maximum_version = newest
    dialer = Dialer(verify_tls=True, ca_bundle=certificates[0], stall_seconds=30.0)
    async with HttpServer(note_and_handle, tls=context) as server, ConnectionPool(dialer) as pool:
        yield Rig(server, pool, resumed)


async def answer_always(peer: Peer) -> None:
    while True:
        await peer.request()
        await peer.answer(b"hello")


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_later_connections_resume_the_session_of_the_first(
    certificates: tuple[str, str, str], newest: ssl.TLSVersion
) -> None:
    async with serving(answer_always, certificates, newest) as rig:
        assert await rig.ask() == b"hello"
        assert await asyncio.gather(*(rig.ask() for _ in range(4))) == [b"hello"] * 4
        assert rig.resumed == [False, True, True, True]


async def test_a_session_is_never_resumed_with_another_host(certificates: tuple[str, str, str]) -> None:
    async with serving(answer_always, certificates) as rig:
        for host in ("127.0.0.1", "localhost"):
            assert await rig.ask(host) == b"hello"
        assert rig.resumed == [False, False]


async def test_records_nobody_asked_for_cost_the_connection(certificates: tuple[str, str, str], tmp_path: Path) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        # In one write to the network, in a record of its own: it is here already when the body has been read.
        peer.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(CONTENT) + CONTENT)
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        await peer.wait_for_end()

    target = tmp_path / "target"
    fd = os.open(target, os.O_RDWR | os.O_CREAT)
    try:
        async with serving(handle, certificates) as rig:
            for _ in range(2):
                async with rig.pool.exchange(rig.origin(), Request("GET", "/x"), Flow()) as response:
                    await response.read_into_file(fd, 0, len(CONTENT), Flow(), None)
                assert target.read_bytes() == CONTENT
            assert len(rig.resumed) == 2
    finally:
        os.close(fd)


async def test_who_speaks_tls_is_found_out_without_a_request(certificates: tuple[str, str, str]) -> None:
    requests: list[bytes] = []

    async def handle(peer: Peer) -> None:
        requests.append(await peer.reader.read(1))

    async def refuse(peer: Peer) -> None:
        await peer.reader.read(1)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    tls = server_context(certificates[1:])
    trusting, distrusting = (
        Dialer(verify_tls=True, ca_bundle=ca, stall_seconds=30.0) for ca in (certificates[0], None)
    )
    async with HttpServer(handle, tls=tls) as encrypted, HttpServer(refuse) as plain:
        for dialer in (trusting, distrusting):
            assert await dialer.speaks_tls(Origin("http", "127.0.0.1", encrypted.port))
            assert not await dialer.speaks_tls(Origin("http", "127.0.0.1", plain.port))
        assert not await trusting.speaks_tls(Origin("https", "127.0.0.1", encrypted.port))
    assert b"".join(requests) == b""


async def test_an_early_answer_is_read_whole_although_its_body_comes_later(certificates: tuple[str, str, str]) -> None:
    is_reading, is_over = asyncio.Event(), asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\n")
        await is_reading.wait()
        await peer.send(b"denied")
        await is_over.wait()

    async with serving(handle, certificates) as rig:
        request = Request("PUT", "/x", body=bytes(8 * 1024 * 1024))
        # Far below the deadline for a stall: the answer is there.
        async with asyncio.timeout(5), rig.pool.exchange(rig.origin(), request, Flow()) as response:
            assert (response.status, response.sent_by) == (403, Mover.NONE)
            body = asyncio.create_task(response.read())
            # Its turn comes before the server's.
            is_reading.set()
            assert await body == b"denied"
        is_over.set()
