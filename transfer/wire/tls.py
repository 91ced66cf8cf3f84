"""TLS on the same non-blocking socket: no memory BIOs, no transports, one reused buffer.

OpenSSL reads one record (16 KiB at most) a call; several are gathered into the buffer before the file is written, so
that system calls stay few. Certificates are verified unless the user says otherwise.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Final, NoReturn

from transfer.model.errors import ConfigurationError, ConnectError, SourceChangedError, TlsError
from transfer.model.receipts import Mover
from transfer.system.positional import read_at, write_at
from transfer.wire.flow import Flow
from transfer.wire.plain import BUFFER_BYTES, broken_connection, closed_early
from transfer.wire.stream import ByteStream, PeerAnsweredError, Tap


class TlsStream(ByteStream):
    """An encrypted TCP socket."""

    sends_by = Mover.TLS
    receives_by = Mover.TLS
    sees_received_bytes = True

    def __init__(self, sock: ssl.SSLSocket, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(sock, loop)
        self._tls: Final = sock
        self._buffer: Final = memoryview(bytearray(BUFFER_BYTES))
        self._early = b""

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
                data = data[sent:]

    async def send_file(self, fd: int, offset: int, count: int, flow: Flow) -> None:
        """See `ByteStream.send_file`."""
        while count:
            step = min(count, len(self._buffer), flow.step_bytes)
            await flow.admit(step)
            got = read_at(fd, self._buffer[:step], offset)
            if got == 0:
                raise SourceChangedError("the file became shorter while it was read")
            await self.send(self._buffer[:got])
            offset += got
            count -= got
            flow.moved(got)

    async def receive_into(self, view: memoryview) -> int:
        """See `ByteStream.receive_into`."""
        if self._early:
            taken, self._early = self._early[: len(view)], self._early[len(view) :]
            view[: len(taken)] = taken
            return len(taken)
        while True:
            try:
                return self._tls.recv_into(view)
            except ssl.SSLWantReadError:
                await self._wait(readable=True, writable=False)
            except ssl.SSLWantWriteError:
                await self._wait(readable=False, writable=True)
            except ssl.SSLEOFError:
                return 0
            except OSError as error:
                raise broken_connection(error) from error

    async def receive_into_file(self, fd: int, offset: int, count: int, flow: Flow, tap: Tap | None) -> None:
        """See `ByteStream.receive_into_file`."""
        while count:
            step = min(count, len(self._buffer), flow.step_bytes)
            await flow.admit(step)
            got = await self._gather(self._buffer[:step])
            if got == 0:
                raise closed_early(count)
            if tap is not None:
                tap(self._buffer[:got])
            write_at(fd, self._buffer[:got], offset)
            offset += got
            count -= got
            flow.moved(got)

    async def _gather(self, view: memoryview) -> int:
        """Receive at least one byte, then whatever further records have already arrived."""
        got = await self.receive_into(view)
        if got == 0:
            return 0
        while got < len(view):
            try:
                more = self._tls.recv_into(view[got:])
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLEOFError):
                break
            except OSError as error:
                raise broken_connection(error) from error
            if more == 0:
                break
            got += more
        return got

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
