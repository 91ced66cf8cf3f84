"""Files over TLS: sent by the kernel only with its word that it encrypts, and through this process else."""

import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import kernel_tls
from tests.support.certificates import make_certificate
from tests.support.http_server import HttpServer, Peer, server_context
from transfer.model.receipts import Mover
from transfer.wire import ktls
from transfer.wire.connection import FileBody, Request
from transfer.wire.dial import Dialer
from transfer.wire.flow import Flow
from transfer.wire.ktls import Obstacle
from transfer.wire.origin import parse_origin
from transfer.wire.pool import ConnectionPool

CONTENT = bytes(range(251)) * 12000
Certificates = tuple[Path, Path, Path]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificate(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def source(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "source").write_bytes(CONTENT)
    fd = os.open(tmp_path / "source", os.O_RDONLY)
    yield fd
    os.close(fd)


class Traffic:
    """What a server saw, and what the client thinks has carried it."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates
        self.bodies: list[bytes] = []
        self.resumed: list[bool] = []
        self.movers: list[Mover] = []
        self.connections = 0

    async def _echo(self, peer: Peer) -> None:
        self.resumed.append(peer.writer.get_extra_info("ssl_object").session_reused)
        while True:
            asked = await peer.request()
            self.bodies.append(asked.body)
            await peer.answer(b"", status=b"403 Forbidden" if asked.head.method == "POST" else b"200 OK")

    async def exchange(self, *requests: Request) -> None:
        ca, certificate, key = map(str, self._certificates)
        dialer = Dialer(verify_tls=True, ca_bundle=ca, stall_seconds=30.0)
        async with (
            HttpServer(self._echo, tls=server_context((certificate, key))) as server,
            ConnectionPool(dialer) as pool,
        ):
            for request in requests:
                async with pool.exchange(parse_origin(server.url)[0], request, Flow()) as response:
                    assert await response.read() == b""
                    self.movers.append(response.sent_by)
            self.connections = server.connections


def put(fd: int) -> Request:
    return Request("PUT", "/x", body=FileBody(fd, 0, len(CONTENT)))


GET = Request("GET", "/x")


async def test_a_kernel_that_says_no_gets_no_plain_text_to_send(
    certificates: Certificates, source: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel_tls.offer(monkeypatch, None)
    monkeypatch.setattr(ktls, "obstacle_on", lambda *_: Obstacle.DECLINED)
    monkeypatch.setattr(os, "sendfile", lambda *_: pytest.fail("sent as it is"))
    traffic = Traffic(certificates)
    await traffic.exchange(put(source), put(source))
    assert traffic.bodies == [CONTENT, CONTENT]
    assert traffic.movers == [Mover.TLS, Mover.TLS]
    # One connection for nothing, and never again.
    assert (traffic.connections, ktls.OFFER.obstacle) == (2, Obstacle.DECLINED)


async def test_without_an_offer_nothing_is_tried(
    certificates: Certificates, source: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel_tls.offer(monkeypatch, Obstacle.KERNEL)
    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", lambda *_, **__: pytest.fail("tried"))
    traffic = Traffic(certificates)
    await traffic.exchange(GET, put(source))
    assert (traffic.movers, traffic.connections) == ([Mover.TLS, Mover.TLS], 1)


async def test_files_have_connections_of_their_own_and_resume_the_session(
    certificates: Certificates, source: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel_tls.imitate(monkeypatch)
    traffic = Traffic(certificates)
    await traffic.exchange(GET, put(source), GET, put(source))
    assert traffic.movers == [Mover.TLS, Mover.KTLS, Mover.TLS, Mover.KTLS]
    assert traffic.bodies == [b"", CONTENT, b"", CONTENT]
    assert traffic.resumed == [False, True]


async def test_other_requests_follow_a_file_on_its_connection(
    certificates: Certificates, source: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel_tls.imitate(monkeypatch)
    traffic = Traffic(certificates)
    small, large = (Request("PUT", "/x", body=CONTENT[:size]) for size in (1000, len(CONTENT)))
    await traffic.exchange(put(source), GET, small, large)
    assert traffic.bodies == [CONTENT, b"", CONTENT[:1000], CONTENT]
    assert traffic.connections == 1
    assert traffic.movers == [Mover.KTLS, *[Mover.BUFFER] * 3]
