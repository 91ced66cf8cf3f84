"""What stands in for a kernel that encrypts: files and bytes that a stream hands to its socket go to OpenSSL."""

import os
import socket
import ssl
from typing import Any

import pytest

from transfer.wire import ktls, ktls_stream
from transfer.wire.ktls import Obstacle


def offer(patch: pytest.MonkeyPatch, obstacle: Obstacle | None) -> None:
    """Have this process know what stands in the way of kernel TLS."""
    patch.setattr(ktls.OFFER, "_is_known", True)
    patch.setattr(ktls.OFFER, "_obstacle", obstacle)


def imitate(patch: pytest.MonkeyPatch) -> None:
    """Offer kernel TLS that OpenSSL carries out."""
    offer(patch, None)
    patch.setattr(ktls, "obstacle_on", lambda *_: None)
    by_descriptor: dict[int, ssl.SSLSocket] = {}
    plain_sendfile = os.sendfile

    class Encrypting:
        """The socket of a stream, with a kernel behind it that has the keys."""

        def __init__(self, sock: socket.socket, tls: ssl.SSLSocket) -> None:
            self._sock = sock
            self._tls = tls
            by_descriptor[sock.fileno()] = tls

        def __getattr__(self, name: str) -> Any:
            return getattr(self._sock, name)

        def send(self, data: Any, flags: int = 0) -> int:
            try:
                return self._tls.send(data)
            except ssl.SSLWantWriteError as error:
                raise BlockingIOError from error

        def sendmsg(self, buffers: Any, *_: Any) -> int:
            return self.send(b"".join(bytes(buffer) for buffer in buffers))

        def close(self) -> None:
            by_descriptor.pop(self._sock.fileno(), None)
            self._sock.close()

    class Stream(ktls_stream.KernelTlsStream):
        async def handshake(self) -> None:
            await super().handshake()
            self._sock = Encrypting(self._sock, self._tls)  # type: ignore[misc, assignment]  # only here

    def sendfile(out_fd: int, in_fd: int, offset: int, count: int) -> int:
        tls = by_descriptor.get(out_fd)
        if tls is None:
            return plain_sendfile(out_fd, in_fd, offset, count)
        data = os.pread(in_fd, min(count, 65536), offset)
        try:
            return tls.send(data) if data else 0
        except ssl.SSLWantWriteError as error:
            raise BlockingIOError from error

    patch.setattr(os, "sendfile", sendfile)
    for module in ("transfer.wire.dial", "transfer.wire.pool"):
        patch.setattr(f"{module}.KernelTlsStream", Stream)
