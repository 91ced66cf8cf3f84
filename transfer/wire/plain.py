"""A plain TCP stream, and the one whose file ranges the kernel sends."""

from __future__ import annotations

import errno
import os
import socket
from typing import Final, NoReturn

from transfer.model.errors import SourceChangedError
from transfer.model.receipts import Mover
from transfer.wire.flow import Flow
from transfer.wire.stream import ByteStream, PeerAnsweredError, broken_connection

# Plain numbers: to join two flags of the enumeration takes longer than the rest of a small send's Python.
_MSG_MORE: Final = int(getattr(socket, "MSG_MORE", 0))
MSG_NOSIGNAL: Final = int(getattr(socket, "MSG_NOSIGNAL", 0))

_NO_SENDFILE: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
"""sendfile(2): the file system of this file, or this system, cannot do it."""

_SOCKET_ERRORS: Final = frozenset(
    {
        errno.EPIPE,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ENOTCONN,
        errno.ESHUTDOWN,
        errno.ETIMEDOUT,
        errno.EHOSTUNREACH,
        errno.EHOSTDOWN,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENOBUFS,
    }
)
"""What a call with both a socket and a file says of the socket (tcp(7), ip(7)); anything else is about the file."""


class PlainStream(ByteStream):
    """A TCP socket as every platform has it."""

    _unsent = memoryview(b"")

    async def send(self, data: memoryview, *, more: bool = False) -> None:
        """See `ByteStream.send`."""
        flags = MSG_NOSIGNAL | (_MSG_MORE if more else 0)
        while True:
            try:
                sent = self._sock.send(data, flags)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                self._raise_send_error(error)
            self._moved_bytes += sent
            if sent == len(data):
                return
            data = data[sent:]
            await self._wait_to_send()

    def begin_send(self, head: bytes, body: bytes | bytearray | memoryview) -> int:
        """See `ByteStream.begin_send`.

        In one piece of memory: a list of two takes the same up to 64 KiB and 4 of 33 us less at 256 KiB, and not every
        system has such a call.
        """
        whole = head + body
        try:
            sent = self._sock.send(whole, MSG_NOSIGNAL)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._raise_send_error(error)
        if sent == len(whole):
            return 0
        self._unsent = memoryview(whole)[sent:]
        return self.go_on_sending()

    def go_on_sending(self) -> int:
        """See `ByteStream.go_on_sending`."""
        while self._unsent:
            try:
                sent = self._sock.send(self._unsent, MSG_NOSIGNAL)
            except BlockingIOError:
                break
            except OSError as error:
                self._raise_send_error(error)
            self._unsent = self._unsent[sent:]
        return len(self._unsent)

    def receive_now(self, view: memoryview) -> int | None:
        """See `ByteStream.receive_now`."""
        try:
            return self._sock.recv_into(view)
        except BlockingIOError:
            return None
        except OSError as error:
            raise broken_connection(error) from error

    def _raise_send_error(self, error: OSError) -> NoReturn:
        """Turn a failed send into an answer to read, when the peer left one, or into a broken connection."""
        if self.is_stale():
            raise PeerAnsweredError from error
        raise broken_connection(error) from error


class SendfileStream(PlainStream):
    """A TCP socket on Linux: the kernel moves file ranges from the page cache to the socket with sendfile(2).

    A file that the kernel cannot send so (some FUSE and overlay file systems) goes through memory.
    """

    sends_files_by: Mover = Mover.SENDFILE
    """What carries files out as long as nothing prevents it."""

    async def send_file(self, fd: int, offset: int, count: int, flow: Flow) -> Mover:
        """See `ByteStream.send_file`."""
        begin = offset
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
                    if offset == begin and error.errno in _NO_SENDFILE:
                        return await self._send_file_by_reading(fd, offset, count, flow, admitted=step)
                    if error.errno not in _SOCKET_ERRORS:
                        raise
                    self._raise_send_error(error)
                if sent == 0:
                    raise SourceChangedError("the file became shorter while it was read")
                self._moved_bytes += sent
                offset += sent
                flow.moved(sent)
            count -= step
        return self.sends_files_by
