"""TLS whose sending side is in the kernel: file ranges leave by sendfile(2) and are encrypted on their way.

OpenSSL makes the handshake on the socket itself and goes on decrypting what arrives there, record by record: answers to
uploads are short. It must never send before the kernel has said that it encrypts.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Final, cast

from transfer.model.receipts import Mover
from transfer.wire import ktls
from transfer.wire.origin import Origin
from transfer.wire.plain import SendfileStream
from transfer.wire.stream import PeerAnsweredError, broken_connection
from transfer.wire.tls import (
    HELD_BYTES,
    PLAIN_TEXT_BYTES,
    RECORD_BYTES,
    TlsClient,
    handshake_failures,
    refuse_plain_text,
)


class KernelDeclinedError(Exception):
    """The kernel does not encrypt what this connection sends: it is closed, another kind of stream must be used."""

    def __init__(self, obstacle: ktls.Obstacle) -> None:
        """Say why."""
        super().__init__(obstacle)
        self.obstacle: Final = obstacle


class KernelTlsStream(SendfileStream):
    """An encrypted TCP socket: what is written to it is encrypted by the kernel, once `handshake` has returned."""

    sends_files_by = Mover.KTLS
    receives_by = Mover.TLS

    def __init__(
        self, sock: socket.socket, loop: asyncio.AbstractEventLoop, hop: memoryview, client: TlsClient, origin: Origin
    ) -> None:
        """Own a connected socket on which nothing has been said; `origin` is whom its certificate must name.

        Raises:
            ConnectError: The connection is broken already.
        """
        super().__init__(sock, loop, hop)
        self._client: Final = client
        self._origin: Final = origin
        self._early = b""
        client.context.options |= ktls.OP_ENABLE_KTLS
        # A descriptor of its own: an SSLSocket takes over the one it is given, and sends nothing but by OpenSSL.
        own = sock.dup()
        try:
            with handshake_failures():
                self._tls: Final = client.context.wrap_socket(
                    own,
                    server_hostname=origin.host,
                    session=client.sessions.get(origin),
                    do_handshake_on_connect=False,
                )
        except BaseException:
            own.close()
            raise

    async def handshake(self) -> None:
        """Agree on keys, verify the certificate and have the kernel's word that it sends with these keys.

        Raises:
            TlsError: The certificate is not trusted or not for this host.
            SchemeError: The server speaks http.
            ConnectError: The handshake failed for another reason.
            KernelDeclinedError: The kernel does not encrypt; the connection is closed.
        """
        is_first = True
        with handshake_failures():
            while (is_readable := self._shake_hands()) is not None:
                await self._wait(readable=is_readable, writable=not is_readable)
                if is_readable and is_first:
                    is_first = False
                    refuse_plain_text(self._sock.recv(PLAIN_TEXT_BYTES, socket.MSG_PEEK))
        obstacle = ktls.obstacle_on(self._sock, self._tls.version())
        if obstacle is not None:
            self.close()
            raise KernelDeclinedError(obstacle)

    async def send(self, data: memoryview, *, more: bool = False) -> None:
        """See `ByteStream.send`; the kernel would keep what more follows for as long as it takes."""
        await super().send(data, more=more and len(data) <= HELD_BYTES)

    def receive_now(self, view: memoryview) -> int | None:
        """See `ByteStream.receive_now`."""
        if self._early:
            taken, self._early = self._early[: len(view)], self._early[len(view) :]
            view[: len(taken)] = taken
            return len(taken)
        got = 0
        while got < len(view):
            try:
                # With a buffer it answers how much it put there; the stubs know only the other form.
                count = cast("int", self._tls.read(len(view) - got, view[got:]))
            except ssl.SSLWantReadError:
                return got or None
            except OSError as error:
                raise broken_connection(error) from error
            if count == 0:
                return got
            got += count
        return got

    def is_stale(self) -> bool:
        """See `ByteStream.is_stale`; what was received already and nobody asked for counts too."""
        return bool(self._early or self._tls.pending()) or super().is_stale()

    def rest(self) -> None:
        """See `ByteStream.rest`: later connections resume what the server has offered by now."""
        self._client.keep_session(self._origin, self._tls.session)

    def close(self) -> None:
        """See `ByteStream.close`."""
        super().close()
        self._tls.close()

    def _shake_hands(self) -> bool | None:
        """Go on with the handshake: True when it waits for the peer, False when for room to send, None at its end."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return True
        except ssl.SSLWantWriteError:
            return False
        return None

    async def _wait_to_send(self) -> None:
        """Wait until more can be sent; see `TlsStream` for why what becomes readable is read.

        Raises:
            PeerAnsweredError: There is an answer, or the end of the connection.
        """
        await self._wait(readable=True, writable=True)
        if not self.is_stale():
            return
        early = memoryview(bytearray(RECORD_BYTES))
        got = self.receive_now(early)
        if got is None:
            return
        self._early = bytes(early[:got])
        raise PeerAnsweredError
