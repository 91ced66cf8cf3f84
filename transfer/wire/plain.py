"""A plain TCP stream, portable movers included: what every platform can do.

Bodies pass through one reused buffer. `transfer.wire.zero_copy` replaces the movers where the kernel can do better.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from transfer.model.errors import SourceChangedError, WireError
from transfer.model.receipts import Mover
from transfer.system.positional import read_at, write_at
from transfer.wire.flow import Flow
from transfer.wire.stream import ByteStream, PeerAnsweredError, Tap

BUFFER_BYTES: Final = 256 * 1024
"""One hop of the portable movers. Measured with a 1 GiB download from a local endpoint: 64 KiB costs more system
calls, 1 MiB falls out of the core's cache; 256 KiB was the fastest of the three."""

_MSG_MORE: Final[int] = getattr(socket, "MSG_MORE", 0)
_MSG_NOSIGNAL: Final[int] = getattr(socket, "MSG_NOSIGNAL", 0)


class PlainStream(ByteStream):
    """A TCP socket whose bodies pass through user space."""

    sends_by = Mover.BUFFER
    receives_by = Mover.BUFFER
    sees_received_bytes = True

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(sock, loop)
        self._buffer: bytearray | None = None

    async def send(self, data: memoryview, *, more: bool = False) -> None:
        """See `ByteStream.send`."""
        flags = _MSG_NOSIGNAL | (_MSG_MORE if more else 0)
        while True:
            try:
                sent = self._sock.send(data, flags)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                self.raise_send_error(error)
            if sent == len(data):
                return
            data = data[sent:]
            await self._wait_to_send()

    async def send_file(self, fd: int, offset: int, count: int, flow: Flow) -> None:
        """See `ByteStream.send_file`."""
        view = self._view()
        while count:
            step = min(count, len(view), flow.step_bytes)
            await flow.admit(step)
            got = read_at(fd, view[:step], offset)
            if got == 0:
                raise SourceChangedError("the file became shorter while it was read")
            await self.send(view[:got], more=got < count)
            offset += got
            count -= got
            flow.moved(got)

    async def receive_into(self, view: memoryview) -> int:
        """See `ByteStream.receive_into`."""
        while True:
            try:
                return self._sock.recv_into(view)
            except BlockingIOError:
                await self._wait(readable=True, writable=False)
            except OSError as error:
                raise broken_connection(error) from error

    async def receive_into_file(self, fd: int, offset: int, count: int, flow: Flow, tap: Tap | None) -> None:
        """See `ByteStream.receive_into_file`."""
        view = self._view()
        while count:
            step = min(count, len(view), flow.step_bytes)
            await flow.admit(step)
            got = await self.receive_into(view[:step])
            if got == 0:
                raise closed_early(count)
            if tap is not None:
                tap(view[:got])
            write_at(fd, view[:got], offset)
            offset += got
            count -= got
            flow.moved(got)

    def raise_send_error(self, error: OSError) -> None:
        """Turn a failed send into an answer to read, when the peer left one, or into a broken connection."""
        if self.is_stale():
            raise PeerAnsweredError from error
        raise broken_connection(error) from error

    def _view(self) -> memoryview:
        if self._buffer is None:
            self._buffer = bytearray(BUFFER_BYTES)
        return memoryview(self._buffer)


def broken_connection(error: OSError) -> WireError:
    """Name a connection that broke, by the system's reason."""
    return WireError(f"the connection broke: {(error.strerror or type(error).__name__).lower()}")


def closed_early(missing_bytes: int) -> WireError:
    """Name a body that ended too soon."""
    return WireError(
        f"the server closed the connection {missing_bytes} bytes before the end of the body", answered=True
    )
