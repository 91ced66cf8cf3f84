"""TLS on the same non-blocking socket: no memory BIOs, no transports, reused buffers.

OpenSSL reads one record (16 KiB at most) a call; those that have arrived are gathered before the file is written, so
that system calls stay few. Certificates are verified unless the user says otherwise.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Final, NoReturn

from transfer.model.errors import ConfigurationError, ConnectError, TlsError
from transfer.model.receipts import Mover
from transfer.wire.stream import ByteStream, PeerAnsweredError, broken_connection


class TlsStream(ByteStream):
    """An encrypted TCP socket."""

    sends_by = Mover.TLS
    receives_by = Mover.TLS

    def __init__(self, sock: ssl.SSLSocket, loop: asyncio.AbstractEventLoop, hop: memoryview) -> None:
        super().__init__(sock, loop, hop)
        self._tls: Final = sock
        self._early = b""
        self._wants_write = False

    async def handshake(self) -> None:
        """Agree on keys and verify the certificate.

        Raises:
            TlsError: The certificate is not trusted or not for this host.
            ConnectError: The handshake failed for another reason.
        """
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._wait(readable=True, writable=False)
            except ssl.SSLWantWriteError:
                await self._wait(readable=False, writable=True)
            except ssl.SSLCertVerificationError as error:
                raise TlsError(
                    f"the server's certificate is not trusted: {error.verify_message}",
                    remedy="name its authority with --ca-bundle, or check the host name",
                ) from error
            except ssl.SSLError as error:
                raise ConnectError(
                    f"the TLS handshake failed: {(error.reason or 'unknown reason').lower().replace('_', ' ')}",
                    remedy="check that the endpoint speaks https",
                ) from error
            except OSError as error:
                raise ConnectError(f"the TLS handshake failed: {(error.strerror or 'closed').lower()}") from error
            else:
                return

    async def send(self, data: memoryview, *, more: bool = False) -> None:  # noqa: ARG002 - records leave when full
        """See `ByteStream.send`."""
        while data:
            try:
                sent = self._tls.send(data)
            except ssl.SSLWantWriteError:
                await self._wait_to_send()
            except ssl.SSLWantReadError:
                await self._wait(readable=True, writable=False)
            except OSError as error:
                self._raise_send_error(error)
            else:
                self._moved_bytes += sent
                data = data[sent:]

    def receive_now(self, view: memoryview) -> int | None:
        """See `ByteStream.receive_now`: gathers the records that have arrived."""
        if self._early:
            taken, self._early = self._early[: len(view)], self._early[len(view) :]
            view[: len(taken)] = taken
            return len(taken)
        got = 0
        self._wants_write = False
        while got < len(view):
            try:
                more = self._tls.recv_into(view[got:])
            except ssl.SSLWantReadError:
                return got or None
            except ssl.SSLWantWriteError:
                self._wants_write = True
                return got or None
            except ssl.SSLEOFError:
                return got
            except OSError as error:
                raise broken_connection(error) from error
            if more == 0:
                return got
            got += more
        return got

    async def _wait_to_receive(self) -> None:
        """Wait until there is something to receive; TLS may have to send for that first."""
        await self._wait(readable=True, writable=self._wants_write)

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
        try:
            self._early = self._tls.recv(4096)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            raise broken_connection(error) from error
        raise PeerAnsweredError

    def _raise_send_error(self, error: OSError) -> NoReturn:
        if self.is_stale():
            raise PeerAnsweredError from error
        raise broken_connection(error) from error


def make_tls_context(*, verify: bool, ca_bundle: str | None) -> ssl.SSLContext:
    """Make the context all connections of a run share.

    Args:
        verify: False trusts any certificate: only for tests and private networks.
        ca_bundle: A PEM file of authorities to trust instead of the system's.

    Raises:
        ConfigurationError: The bundle cannot be read or holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=ca_bundle)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"the certificate bundle cannot be used: {(error.strerror or str(error)).lower()}",
            subject=ca_bundle,
            remedy="name a PEM file of certificate authorities with --ca-bundle",
        ) from error
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def wrap_socket(sock: socket.socket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    """Put TLS on a connected non-blocking socket; the handshake is driven by `TlsStream.handshake`."""
    return context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
