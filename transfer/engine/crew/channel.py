"""Messages between two processes over a socket, with open files beside them. It never looks into a message.

Both ends are parts of one program, one forked from the other: what arrives is trusted, as nothing that comes over a
network is.
"""

from __future__ import annotations

import asyncio
import copyreg
import io
import os
import pickle
import socket
from collections import deque
from collections.abc import Callable, Mapping
from struct import Struct
from typing import Any, Final

_HEAD: Final = Struct("<IB")
"""Before the messages that travel together: their length in bytes, and whether an open file comes with them."""
_READ_BYTES: Final = 256 * 1024

Take = Callable[[Any, int | None], None]
"""Told each message, and the descriptor that came with it, which is now the receiver's to close."""
Reducers = Mapping[type[Any], Callable[[Any], tuple[Any, ...]]]


class Channel:
    """One end. What is sent in one turn of the event loop travels together."""

    def __init__(self, end: socket.socket, reducers: Reducers, take: Take, on_end: Callable[[], None]) -> None:
        """Use a connected Unix socket from now on; needs a running event loop.

        Args:
            end: The socket; closed with the channel.
            reducers: How values of some classes are pickled, as in `copyreg`.
            take: Told what arrives.
            on_end: Told once that the other end is gone; not when this one is closed.
        """
        self._dispatch: Final = {**copyreg.dispatch_table, **reducers}
        self._socket: Final = end
        self._take: Final = take
        self._on_end: Final = on_end
        self._loop: Final = asyncio.get_running_loop()
        self._unsent: deque[tuple[memoryview, int | None]] = deque()
        self._waiting: list[Any] = []
        self._received = bytearray()
        self._files: deque[int] = deque()
        self._is_open = self._is_heard = True
        end.setblocking(False)
        self._loop.add_reader(end.fileno(), self._read)

    def send(self, message: Any) -> None:  # noqa: ANN401 - whatever both ends agree on
        """Send a message at the end of this turn. What cannot be sent any more is lost: the other end is gone."""
        if not self._waiting:
            self._loop.call_soon(self._pack)
        self._waiting.append(message)

    def send_with_file(self, message: Any, descriptor: int) -> None:  # noqa: ANN401 - as above
        """Send a message and an open file: the other end gets a descriptor of its own."""
        self._pack()
        self._queue([message], descriptor)

    def close(self) -> None:
        """Close the socket; what was not sent yet is lost."""
        if not self._is_open:
            return
        self._is_open = False
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        self._unsent.clear()
        while self._files:
            os.close(self._files.popleft())

    def _pack(self) -> None:
        messages, self._waiting = self._waiting, []
        if messages:
            self._queue(messages, None)

    def _queue(self, messages: list[Any], descriptor: int | None) -> None:
        if not (self._is_open and self._is_heard):
            return
        buffer = io.BytesIO()
        buffer.write(_HEAD.pack(0, False))
        pickler = pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL)
        pickler.dispatch_table = self._dispatch
        pickler.dump(messages)
        data = buffer.getbuffer()
        _HEAD.pack_into(data, 0, len(data) - _HEAD.size, descriptor is not None)
        self._unsent.append((data, descriptor))
        if len(self._unsent) == 1:
            self._write()

    def _write(self) -> None:
        while self._unsent:
            data, descriptor = self._unsent[0]
            try:
                if descriptor is None:
                    sent = self._socket.send(data)
                else:
                    sent = socket.send_fds(self._socket, [data], [descriptor])
            except BlockingIOError:
                self._loop.add_writer(self._socket.fileno(), self._write)
                return
            except OSError:
                # The other end is gone, but what it said before is still to be read: reading finds the end.
                self._is_heard = False
                self._unsent.clear()
                break
            if sent == len(data):
                self._unsent.popleft()
            else:
                # The file went with the first byte.
                self._unsent[0] = data[sent:], None
        self._loop.remove_writer(self._socket.fileno())

    def _read(self) -> None:
        try:
            data, files, flags, _ = socket.recv_fds(self._socket, _READ_BYTES, 16)
        except BlockingIOError:
            return
        except OSError:
            data, files, flags = b"", [], 0
        self._files.extend(files)
        # A file that this process could not take is gone (recvmsg(2)): nobody knows any more which file is whose.
        if not data or flags & socket.MSG_CTRUNC:
            self._end()
            return
        self._received += data
        self._unpack()

    def _unpack(self) -> None:
        while self._is_open and len(self._received) >= _HEAD.size:
            length, has_file = _HEAD.unpack_from(self._received)
            end = _HEAD.size + length
            if len(self._received) < end:
                return
            body = bytes(memoryview(self._received)[_HEAD.size : end])
            # Before anything can go wrong: no message may come twice.
            del self._received[:end]
            descriptor = self._files.popleft() if has_file else None
            for message in pickle.loads(body):  # noqa: S301 - our own child's
                self._take(message, descriptor)

    def _end(self) -> None:
        if self._is_open:
            self.close()
            self._on_end()
