"""TLS above a plain stream: records leave and arrive many at a time, and are encrypted and decrypted in memory.

OpenSSL on the socket itself asks the kernel twice for each record that comes (its five bytes of head, then the rest)
and once for each that goes; a record holds 16 KiB at most. Here one call moves what there is. Certificates are verified
unless the user says otherwise.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, cast

from transfer.model.errors import ConfigurationError, ConnectError, SchemeError, TlsError, WireError
from transfer.model.receipts import Mover
from transfer.wire.origin import Origin
from transfer.wire.plain import MSG_NOSIGNAL, PlainStream
from transfer.wire.stream import PeerAnsweredError, broken_connection

RECORDS_BUFFER_BYTES: Final = 256 * 1024
"""What one call receives of encrypted bytes; all connections share it, and each may keep a copy to be decrypted. CPU
of 512 MiB received, medians of 7 in turn: 1.03 s, with half of it 1.00, twice 1.10, OpenSSL on the socket 1.20."""

RECORD_BYTES: Final = 16 * 1024
"""The most that a record holds (RFC 8446, section 5.1)."""

HELD_BYTES: Final = 4 * 1024
"""No more than this waits for what follows it: a head does, a step of a bandwidth limit does not."""


NO_HANDSHAKE_REMEDY: Final = "check that the endpoint speaks https"

PLAIN_TEXT_BYTES: Final = 5
"""So many tell HTTP from TLS, of which no record begins with such characters (RFC 8446, section 5.1)."""


class TlsClient:
    """What the encrypted connections of a run have in common: whom they trust, the buffer, the sessions they resume.

    A session spares a new connection the server's certificate and its verification (RFC 8446, section 2.2).
    """

    def __init__(self, *, verify: bool, ca_bundle: str | None) -> None:
        """Prepare.

        Args:
            verify: False trusts any certificate: only for tests and private networks.
            ca_bundle: A PEM file of authorities to trust instead of the system's.

        Raises:
            ConfigurationError: The bundle cannot be read or holds no certificate.
        """
        self.context: Final = _make_context(verify=verify, ca_bundle=ca_bundle)
        self.records: Final = memoryview(bytearray(RECORDS_BUFFER_BYTES))
        self.sessions: Final[dict[Origin, ssl.SSLSession]] = {}

    def keep_session(self, origin: Origin, session: ssl.SSLSession | None) -> None:
        """Have later connections to an origin resume a session, when the server has offered that."""
        if session is not None and session.has_ticket:
            self.sessions[origin] = session


class TlsStream(PlainStream):
    """An encrypted TCP socket: the plain stream below it carries records."""

    sends_by = Mover.TLS
    receives_by = Mover.TLS

    def __init__(
        self, sock: socket.socket, loop: asyncio.AbstractEventLoop, hop: memoryview, client: TlsClient, origin: Origin
    ) -> None:
        """Own a connected socket on which nothing has been said; `origin` is whom its certificate must name."""
        super().__init__(sock, loop, hop)
        self._client: Final = client
        self._origin: Final = origin
        self._incoming: Final = ssl.MemoryBIO()
        self._outgoing: Final = ssl.MemoryBIO()
        self._tls: Final = client.context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=origin.host, session=client.sessions.get(origin)
        )
        self._leaving = memoryview(b"")
        self._early = b""
        self._has_given_session = False

    async def handshake(self) -> None:
        """Agree on keys and verify the certificate.

        Raises:
            TlsError: The certificate is not trusted or not for this host.
            SchemeError: The server speaks http.
            ConnectError: The handshake failed for another reason.
        """
        is_first = True
        with handshake_failures():
            while not self._has_shaken_hands():
                await self._answer_peer()
                while (got := self._take_records()) is None:
                    await self._wait(readable=True, writable=False)
                if is_first:
                    refuse_plain_text(bytes(self._client.records[: min(got, PLAIN_TEXT_BYTES)]))
                is_first = False
            await self._answer_peer()

    async def send(self, data: memoryview, *, more: bool = False) -> None:
        """See `ByteStream.send`; a head leaves together with the body that follows."""
        while data:
            try:
                data = data[self._tls.write(data) :]
            except OSError as error:
                raise broken_connection(error) from error
        if not more or self._outgoing.pending > HELD_BYTES:
            await self._flush()

    def begin_send(self, head: bytes, body: bytes | bytearray | memoryview) -> int:
        """See `ByteStream.begin_send`."""
        view = memoryview(head + body)
        while view:
            try:
                view = view[self._tls.write(view) :]
            except OSError as error:
                raise broken_connection(error) from error
        return self.go_on_sending()

    def go_on_sending(self) -> int:
        """See `ByteStream.go_on_sending`: sends the records that are ready."""
        while self._leaving or self._outgoing.pending:
            self._leaving = self._leaving or memoryview(self._outgoing.read())
            try:
                sent = self._sock.send(self._leaving, MSG_NOSIGNAL)
            except BlockingIOError:
                break
            except OSError as error:
                self._raise_send_error(error)
            self._moved_bytes += sent
            self._leaving = self._leaving[sent:]
        return len(self._leaving) + self._outgoing.pending

    def receive_now(self, view: memoryview) -> int | None:
        """See `ByteStream.receive_now`: decrypts all records that have arrived and that `view` holds."""
        if self._early:
            taken, self._early = self._early[: len(view)], self._early[len(view) :]
            view[: len(taken)] = taken
            return len(taken)
        got = 0
        is_drained = False
        while got < len(view):
            try:
                # With a buffer it answers how much it put there; the stubs know only the other form.
                count = cast("int", self._tls.read(len(view) - got, view[got:]))
            except ssl.SSLWantReadError:
                taken_bytes = None if is_drained else self._take_records()
                if taken_bytes is None:
                    return got or None
                is_drained = 0 < taken_bytes < len(self._client.records)
                continue
            except ssl.SSLEOFError:
                return got
            except OSError as error:
                raise broken_connection(error) from error
            if count == 0:
                return got
            got += count
        return got

    def is_stale(self) -> bool:
        """See `ByteStream.is_stale`; what was received already and nobody asked for counts too."""
        return self._has_received() or super().is_stale()

    def rest(self) -> None:
        """See `ByteStream.rest`: later connections resume what the server has offered by now."""
        if self._has_given_session:
            return
        self._has_given_session = True
        self._client.keep_session(self._origin, self._tls.session)

    def _has_received(self) -> bool:
        return bool(self._early or self._incoming.pending or self._tls.pending())

    def _has_shaken_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    async def _answer_peer(self) -> None:
        """Send what TLS itself has to say; a peer that has spoken before it closed is read, not complained about."""
        with suppress(PeerAnsweredError):
            await self._flush()

    async def _flush(self) -> None:
        """Send the records that are ready."""
        while self.go_on_sending():
            await self._wait_to_send()

    def _take_records(self) -> int | None:
        """Take what has arrived to where it is decrypted; 0 at its end, None when there is nothing."""
        got = super().receive_now(self._client.records)
        if got:
            self._incoming.write(self._client.records[:got])
        elif got == 0:
            self._incoming.write_eof()
        return got

    async def _wait_to_receive(self) -> None:
        """Wait until there is something to receive; TLS may have to send for that first."""
        await self._answer_peer()
        if not self._has_received():
            await super()._wait_to_receive()

    async def _wait_to_send(self) -> None:
        """Wait until more can be sent.

        What becomes readable meanwhile may be the TLS layer's own (a session ticket) or an early answer: only reading
        tells, so what was read is kept for `receive_into`.

        Raises:
            PeerAnsweredError: It was an answer, or the end of the connection.
        """
        await self._wait(readable=True, writable=True)
        if not self.is_stale():
            return
        self._take_records()
        try:
            self._early = self._tls.read(RECORD_BYTES)
        except ssl.SSLWantReadError:
            return
        except ssl.SSLEOFError:
            pass
        except OSError as error:
            raise broken_connection(error) from error
        raise PeerAnsweredError


def refuse_plain_text(arrived: bytes) -> None:
    """Look at how the server's part in a handshake begins; `PLAIN_TEXT_BYTES` of it are enough.

    OpenSSL only says that it is no TLS, which the banner of a mail server is not either.

    Raises:
        SchemeError: It is an answer of HTTP, or a page without a head, as to a request of HTTP/0.9.
    """
    if arrived.lower().startswith((b"http/", b"<html", b"<!doc")):
        raise SchemeError("http")


@contextmanager
def handshake_failures() -> Iterator[None]:
    """Say what went wrong in a handshake.

    Raises:
        TlsError: The certificate is not trusted or not for this host.
        SchemeError: As it is raised in the block.
        ConnectError: The handshake failed for another reason.
    """
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise TlsError(
            f"the server's certificate is not trusted: {error.verify_message.rstrip('.')}",
            remedy="name its authority with --ca-bundle, or check the host name",
        ) from error
    except ssl.SSLError as error:
        raise ConnectError(
            f"the TLS handshake failed: {(error.reason or 'unknown reason').lower().replace('_', ' ')}",
            remedy=NO_HANDSHAKE_REMEDY,
        ) from error
    except SchemeError:
        raise
    except OSError as error:
        message = broken_connection(error).message
        raise ConnectError(f"the TLS handshake failed: {message}", remedy=NO_HANDSHAKE_REMEDY) from error
    except WireError as error:
        raise ConnectError(f"the TLS handshake failed: {error.message}", remedy=NO_HANDSHAKE_REMEDY) from error


def _make_context(*, verify: bool, ca_bundle: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_bundle)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"the certificate bundle cannot be used: {(error.strerror or str(error)).lower()}",
            subject=ca_bundle,
            remedy="name a PEM file of certificate authorities with --ca-bundle",
        ) from error
    context.set_alpn_protocols(["http/1.1"])
    # Sending would otherwise have to wait for the peer's part in it (TLS before 1.3); no store asks for it.
    context.options |= ssl.OP_NO_RENEGOTIATION
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
