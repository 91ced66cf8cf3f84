"""Requests through a forward proxy: what it is told, and what it must never learn."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.certificates import make_certificate
from tests.support.forward_proxy import ForwardProxy
from tests.support.http_server import Asked, HttpServer, Peer, server_context
from transfer.model.errors import ConnectError, TlsError
from transfer.wire.connection import Request
from transfer.wire.dial import Dialer
from transfer.wire.flow import Flow
from transfer.wire.origin import parse_origin
from transfer.wire.pool import ConnectionPool

AUTHORIZATION = "Basic " + base64.b64encode(b"user:hunter2").decode()
BODY = b"secret bytes" * 20_000


class Target:
    """Keeps what reached it and sends it back."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    async def speak(self, peer: Peer) -> None:
        while True:
            self.asked.append(await peer.request())
            await peer.answer(self.asked[-1].body)


@asynccontextmanager
async def pooled(*, ca_bundle: str | None = None) -> AsyncIterator[ConnectionPool]:
    async with ConnectionPool(Dialer(verify_tls=True, ca_bundle=ca_bundle, stall_seconds=5.0)) as pool:
        yield pool


async def ask(pool: ConnectionPool, url: str) -> tuple[int, bytes]:
    request = Request("PUT", "/bucket/key?x=1", body=BODY)
    async with pool.exchange(parse_origin(url)[0], request, Flow()) as response:
        return response.status, await response.read()


@pytest.fixture
def target() -> Target:
    return Target()


async def test_plain_requests_go_in_absolute_form(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    async with HttpServer(target.speak) as server, ForwardProxy(authorization=AUTHORIZATION) as proxy, pooled() as pool:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:hunter2@127.0.0.1:{proxy.port}")
        assert await ask(pool, server.url) == (200, BODY)
        (head,) = proxy.heads
        assert (head.method, head.target) == ("PUT", f"{server.url}/bucket/key?x=1")
        assert head.header("Host") == server.url.removeprefix("http://")
        assert head.header("Proxy-Authorization") == AUTHORIZATION
        assert target.asked[0].head.header("Proxy-Authorization") is None


async def test_encrypted_requests_go_through_a_tunnel(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca, certificate, key = make_certificate(tmp_path)
    tls = server_context((str(certificate), str(key)))
    async with (
        HttpServer(target.speak, tls=tls) as server,
        ForwardProxy(authorization=AUTHORIZATION) as proxy,
        pooled(ca_bundle=str(ca)) as pool,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:hunter2@127.0.0.1:{proxy.port}")
        for _ in range(2):
            assert await ask(pool, server.url) == (200, BODY)
        (head,) = proxy.heads
        authority = server.url.removeprefix("https://")
        assert (head.method, head.target, head.header("Host")) == ("CONNECT", authority, authority)
        assert head.header("Proxy-Authorization") == AUTHORIZATION
        assert [asked.head.target for asked in target.asked] == ["/bucket/key?x=1"] * 2
        assert [asked.head.header("Proxy-Authorization") for asked in target.asked] == [None, None]
        assert server.connections == 1


async def test_the_certificate_is_verified_behind_a_proxy_too(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, certificate, key = make_certificate(tmp_path)
    tls = server_context((str(certificate), str(key)))
    async with HttpServer(target.speak, tls=tls) as server, ForwardProxy() as proxy, pooled() as pool:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(TlsError):
            await ask(pool, server.url)
    assert target.asked == []


async def test_exceptions_go_straight(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    async with HttpServer(target.speak) as server, ForwardProxy() as proxy, pooled() as pool:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert await ask(pool, server.url) == (200, BODY)
        assert proxy.connections == 0


async def test_a_proxy_that_refuses_a_tunnel_is_named_without_the_password(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with HttpServer(target.speak) as server, ForwardProxy(authorization=AUTHORIZATION) as proxy, pooled() as pool:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:wrong-password@127.0.0.1:{proxy.port}")
        with pytest.raises(ConnectError, match="407") as refusal:
            await ask(pool, server.url.replace("http:", "https:"))
        error = refusal.value
        assert error.subject == f"http://127.0.0.1:{proxy.port}"
        assert "HTTPS_PROXY" in (error.remedy or "")
        assert "wrong-password" not in f"{error!s}{error!r}{error.__cause__!r}"
    assert target.asked == []


async def test_a_proxy_that_refuses_a_plain_request_answers_it(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    async with HttpServer(target.speak) as server, ForwardProxy(authorization=AUTHORIZATION) as proxy, pooled() as pool:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert await ask(pool, server.url) == (407, b"who are you?")
    assert target.asked == []


async def test_a_proxy_that_hangs_up_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang_up(peer: Peer) -> None:
        await peer.head()

    async with HttpServer(hang_up) as proxy, pooled() as pool:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(ConnectError) as failure:
            await ask(pool, "https://store.example")
        assert failure.value.subject == proxy.url


async def test_a_proxy_that_is_not_there_is_named(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    async with HttpServer(target.speak) as gone:
        url = gone.url
    async with pooled() as pool:
        monkeypatch.setenv("HTTPS_PROXY", url)
        with pytest.raises(ConnectError) as failure:
            await ask(pool, "https://store.example")
        assert failure.value.subject == url
