"""Making connections: names to addresses, proxies, TLS, and the stream that suits the platform.

Every address a name resolves to is used in turn, so that load spreads over a store's front ends and a dead one costs
one failed attempt, not the run.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import anyio
import anyio.to_thread

from transfer.model.errors import ConfigurationError, ConnectError, TlsError, WireError
from transfer.wire import ktls
from transfer.wire.connection import Connection
from transfer.wire.heads import MAX_HEAD_BYTES, build_request_head, parse_response_head
from transfer.wire.ktls_stream import KernelDeclinedError, KernelTlsStream
from transfer.wire.origin import Origin
from transfer.wire.plain import PlainStream, SendfileStream
from transfer.wire.proxy import Proxy, proxy_for
from transfer.wire.stream import RECEIVE_BUFFER_BYTES, ByteStream
from transfer.wire.tls import NO_HANDSHAKE_REMEDY, TlsClient, TlsStream

CONNECT_SECONDS: Final = 10.0
"""How long one address may take to accept a connection, the next one is tried after that; and a name to resolve."""

RESOLUTION_SECONDS: Final = 30.0
"""How long the addresses of a name are used before it is asked for again: S3 moves its front ends by short-lived DNS
answers (AWS: Performance guidelines for Amazon S3)."""

_Address = tuple[int, tuple[Any, ...]]


@dataclass(slots=True)
class _Resolution:
    addresses: tuple[_Address, ...]
    expires_seconds: float
    next_index: int = 0


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a name could not be resolved, and when that was found: who waited then is told the same."""

    error: OSError | UnicodeError
    seconds: float


class Dialer:
    """Opens connections for one run; holds what TLS needs, the resolved names and the buffer they share.

    Attributes:
        is_peer_here: Whether the last connection goes to this machine itself, by an address of its own or a loopback
            one; False before there was one, and behind a proxy, whose place says nothing of the store's.
    """

    def __init__(self, *, verify_tls: bool, ca_bundle: str | None, stall_seconds: float) -> None:
        self._verify_tls: Final = verify_tls
        self._ca_bundle: Final = ca_bundle
        self._stall_seconds: Final = stall_seconds
        self._tls: TlsClient | None = None
        self._resolutions: dict[tuple[str, int], _Resolution] = {}
        self._failures: dict[tuple[str, int], _Failure] = {}
        self._resolving: defaultdict[tuple[str, int], anyio.Lock] = defaultdict(anyio.Lock)
        self._hop: Final = memoryview(bytearray(RECEIVE_BUFFER_BYTES))
        self.is_peer_here = False

    async def dial(self, origin: Origin, *, for_files: bool = False) -> Connection:
        """Open a connection to an origin, through the proxy the environment names for it.

        Args:
            origin: Whom to talk to.
            for_files: Whether files will be sent: where the kernel can encrypt them, it does.

        Raises:
            ConnectError: No address accepts, the name is unknown, or the proxy refuses.
            TlsError: The server's certificate is not trusted.
            SchemeError: The server speaks http where https is meant.
            ConfigurationError: The proxy variable or the certificate bundle is unusable.
        """
        proxy = proxy_for(origin)
        sock = await self._connect(proxy.origin if proxy else origin)
        self.is_peer_here = proxy is None and _is_peer_here(sock)
        try:
            if not origin.is_tls:
                return Connection(self._plain_stream(sock), origin, self._stall_seconds, proxy)
            if proxy is not None:
                await _tunnel(self._plain_stream(sock), origin, proxy)
            stream = await self._encrypt(sock, origin, for_files=for_files and ktls.OFFER.obstacle is None)
            return Connection(stream, origin, self._stall_seconds)
        except KernelDeclinedError as declined:
            ktls.OFFER.withdraw(declined.obstacle)
            return await self.dial(origin)
        except BaseException as error:
            sock.close()
            if isinstance(error, WireError) and error.subject is None:
                error.subject = str(origin)
            raise

    async def speaks_tls(self, origin: Origin) -> bool:
        """Whether a server that is meant to be spoken to without TLS answers its handshake; no request is sent.

        What a proxy is in front of is not asked: the proxy answers too.
        """
        encrypted = Origin("https", origin.host, origin.port)
        if origin.is_tls or proxy_for(origin) or proxy_for(encrypted):
            return False
        try:
            connection = await self.dial(encrypted)
        except TlsError:
            # A certificate that is not trusted is one.
            return True
        except (WireError, ConfigurationError):
            return False
        connection.close()
        return True

    def _plain_stream(self, sock: socket.socket) -> PlainStream:
        """The fastest plain stream the platform offers."""
        kind = SendfileStream if sys.platform == "linux" else PlainStream
        return kind(sock, asyncio.get_running_loop(), self._hop)

    async def _encrypt(self, sock: socket.socket, origin: Origin, *, for_files: bool) -> ByteStream:
        if self._tls is None:
            self._tls = TlsClient(verify=self._verify_tls, ca_bundle=self._ca_bundle)
        parts = sock, asyncio.get_running_loop(), self._hop, self._tls, origin
        stream = KernelTlsStream(*parts) if for_files else TlsStream(*parts)
        try:
            with anyio.fail_after(CONNECT_SECONDS):
                await stream.handshake()
        except TimeoutError as error:
            stream.close()
            message = f"the TLS handshake took longer than {CONNECT_SECONDS:g} s"
            raise ConnectError(message, remedy=NO_HANDSHAKE_REMEDY) from error
        except BaseException:
            stream.close()
            raise
        return stream

    async def _connect(self, origin: Origin) -> socket.socket:
        resolution = await self._resolve(origin)
        count = len(resolution.addresses)
        first = resolution.next_index
        resolution.next_index = (first + 1) % count
        failure: OSError | None = None
        for turn in range(count):
            family, address = resolution.addresses[(first + turn) % count]
            try:
                sock = await _connect_to(family, address)
            except OSError as error:
                failure = error
            else:
                return sock
        self._resolutions.pop((origin.host, origin.port), None)
        raise ConnectError(
            f"cannot connect: {reason_of(failure)}",
            subject=str(origin),
            remedy="check that the endpoint URL is right and the server is up",
        ) from failure

    async def _resolve(self, origin: Origin) -> _Resolution:
        known = self._fresh_resolution(origin)
        if known is not None:
            return known
        asked_seconds = asyncio.get_running_loop().time()
        try:
            # One asks for a name, the others share the answer: they take turns with its addresses, and a resolver
            # that never answers blocks one thread.
            with anyio.fail_after(CONNECT_SECONDS):
                async with self._resolving[origin.host, origin.port]:
                    failure = self._failures.get((origin.host, origin.port))
                    if failure is not None and failure.seconds >= asked_seconds:
                        raise failure.error
                    return self._fresh_resolution(origin) or await self._look_up(origin)
        except (OSError, UnicodeError) as error:
            late = f" within {CONNECT_SECONDS:g} s" if isinstance(error, TimeoutError) else ""
            raise ConnectError(
                f"the name {origin.host} cannot be resolved{late}",
                subject=str(origin),
                remedy="check the endpoint URL and the network",
            ) from error

    async def _look_up(self, origin: Origin) -> _Resolution:
        """Ask the system's resolver, in a thread that is left behind when nobody waits for it any more."""
        # Given text, Python loads its tables of the world's scripts first, in some ms.
        host = origin.host.encode() if origin.host.isascii() else origin.host
        ask = partial(socket.getaddrinfo, host, origin.port, type=socket.SOCK_STREAM)
        try:
            answers = await anyio.to_thread.run_sync(ask, abandon_on_cancel=True)
        except (OSError, UnicodeError) as error:
            self._failures[origin.host, origin.port] = _Failure(error, asyncio.get_running_loop().time())
            raise
        addresses = tuple(dict.fromkeys((int(family), tuple(address)) for family, _, _, _, address in answers))
        found = _Resolution(addresses, asyncio.get_running_loop().time() + RESOLUTION_SECONDS)
        self._resolutions[origin.host, origin.port] = found
        return found

    def _fresh_resolution(self, origin: Origin) -> _Resolution | None:
        known = self._resolutions.get((origin.host, origin.port))
        if known is None or asyncio.get_running_loop().time() >= known.expires_seconds:
            return None
        return known


async def _connect_to(family: int, address: tuple[Any, ...]) -> socket.socket:
    """Connect one socket. Raises OSError (TimeoutError among them)."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with anyio.fail_after(CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


def _is_peer_here(sock: socket.socket) -> bool:
    try:
        near, far = sock.getsockname()[0], sock.getpeername()[0]
    except OSError:
        # It is gone already, which the first request will tell.
        return False
    return bool(near == far) or str(far).startswith("127.")


async def _tunnel(stream: PlainStream, origin: Origin, proxy: Proxy) -> None:
    """Ask the proxy for a tunnel to the origin (RFC 9110, section 9.3.6).

    Reads byte by byte up to the end of the head: what follows belongs to the TLS handshake.
    """
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    authority = f"{host}:{origin.port}"
    head = build_request_head("CONNECT", authority, [("Host", authority), *proxy.headers])
    answer = bytearray()
    byte = memoryview(bytearray(1))
    try:
        with anyio.fail_after(CONNECT_SECONDS):
            await stream.send(memoryview(head))
            while not answer.endswith(b"\r\n\r\n"):
                if not await stream.receive_into(byte) or len(answer) > MAX_HEAD_BYTES:
                    raise ConnectError("the proxy closed the connection", subject=str(proxy.origin))
                answer += byte
    except TimeoutError as error:
        raise ConnectError("the proxy does not answer", subject=str(proxy.origin)) from error
    status = parse_response_head(bytes(answer[:-4])).status
    if not 200 <= status < 300:
        remedy = "check the user and password in HTTPS_PROXY" if status == 407 else "check HTTPS_PROXY and NO_PROXY"
        raise ConnectError(
            f"the proxy refuses to connect to {authority} (HTTP {status})",
            subject=str(proxy.origin),
            remedy=remedy,
        )


def reason_of(failure: OSError | None) -> str:
    """Why no connection could be made, in the system's words; None for a host without addresses."""
    if isinstance(failure, TimeoutError):
        return f"no answer within {CONNECT_SECONDS:g} s"
    if failure is not None and failure.errno:
        # asyncio puts the address into the text; the system's own words are enough.
        return os.strerror(failure.errno).lower()
    if failure is None or not failure.strerror:
        return "no address accepts"
    return failure.strerror.lower()
