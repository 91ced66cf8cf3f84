"""Bodies that never enter this process: the kernel moves them between page cache and socket.

Upload: sendfile(2) from the file. Download: splice(2) from the socket into a pipe and from the pipe into the file.
Both are tried on a non-blocking socket first and wait for readiness only when the kernel asks for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import sys
from typing import Final

from transfer.model.errors import SourceChangedError
from transfer.model.receipts import Mover
from transfer.wire.flow import Flow
from transfer.wire.plain import PlainStream, broken_connection, closed_early
from transfer.wire.stream import Tap

PIPE_BYTES: Final = 1024 * 1024
"""Capacity asked for the pipe: what an unprivileged process may have by default (/proc/sys/fs/pipe-max-size)."""


class Pipe:
    """The pipe between a splice in and the splice out that follows it at once.

    One serves a whole event loop: between the two halves nobody else runs. A half that failed leaves bytes behind, so
    the pipe is then replaced.
    """

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.capacity_bytes = _grow(self.write_fd)

    def replace(self) -> None:
        """Throw the bytes left in the pipe away, and the pipe with them."""
        self.close()
        self.__init__()  # type: ignore[misc]  # the two descriptors are the whole state

    def close(self) -> None:
        """Close both ends."""
        for fd in (self.read_fd, self.write_fd):
            with contextlib.suppress(OSError):
                os.close(fd)


class ZeroCopyStream(PlainStream):
    """A TCP socket whose bodies stay in the kernel (Linux)."""

    sends_by = Mover.SENDFILE
    receives_by = Mover.SPLICE
    sees_received_bytes = False

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop, pipe: Pipe) -> None:
        super().__init__(sock, loop)
        self._pipe = pipe

    async def send_file(self, fd: int, offset: int, count: int, flow: Flow) -> None:
        """See `ByteStream.send_file`."""
        while count:
            step = min(count, flow.step_bytes)
            await flow.admit(step)
            end = offset + step
            while offset < end:
                try:
                    sent = os.sendfile(self._fd, fd, offset, end - offset)
                except BlockingIOError:
                    await self._wait_to_send()
                    continue
                except OSError as error:
                    self.raise_send_error(error)
                if sent == 0:
                    raise SourceChangedError("the file became shorter while it was read")
                offset += sent
                flow.moved(sent)
            count -= step

    async def receive_into_file(self, fd: int, offset: int, count: int, flow: Flow, tap: Tap | None) -> None:  # noqa: ARG002
        """See `ByteStream.receive_into_file`; the tap sees nothing, as `sees_received_bytes` says."""
        while count:
            step = min(count, flow.step_bytes)
            await flow.admit(step)
            end = offset + step
            while offset < end:
                try:
                    got = self._splice_once(fd, offset, end - offset)
                except BlockingIOError:
                    await self._wait(readable=True, writable=False)
                    continue
                if got == 0:
                    raise closed_early(count - step + end - offset)
                offset += got
                flow.moved(got)
            count -= step

    def _splice_once(self, fd: int, offset: int, count: int) -> int:
        """Move what the socket holds, at most `count` bytes, into the file; 0 means that the peer closed.

        Raises:
            BlockingIOError: The socket holds nothing yet.
            WireError: The connection broke.
            OSError: The file could not be written.
        """
        pipe = self._pipe
        try:
            got = os.splice(self._fd, pipe.write_fd, min(count, pipe.capacity_bytes), flags=_NONBLOCK)
        except BlockingIOError:
            raise
        except OSError as error:
            raise broken_connection(error) from error
        left = got
        try:
            while left:
                moved = os.splice(pipe.read_fd, fd, left, offset_dst=offset)
                left -= moved
                offset += moved
        except OSError:
            pipe.replace()
            raise
        return got


def _grow(fd: int) -> int:
    """Ask for a larger pipe; a process at its limit of pipe memory keeps what it has."""
    with contextlib.suppress(OSError):
        return fcntl.fcntl(fd, _SET_PIPE_SIZE, PIPE_BYTES)
    return fcntl.fcntl(fd, _GET_PIPE_SIZE)


if sys.platform == "linux":
    _NONBLOCK: Final = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE
    _SET_PIPE_SIZE: Final = fcntl.F_SETPIPE_SZ
    _GET_PIPE_SIZE: Final = fcntl.F_GETPIPE_SZ
