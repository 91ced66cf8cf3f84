"""Small requests and their small answers, one after the other on a connection, without a task or a future for each.

The event loop calls back when the socket is ready, and what is to be done is done there and then: of the time that an
object of some KiB takes, tasks that wait and wake would be the most. It owns what is on its way on one connection. It
must never repeat a request, and never wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from transfer.model.errors import ProtocolError, StalledError, WireError
from transfer.model.values import dataclass
from transfer.wire import heads
from transfer.wire.chunks import unchunk
from transfer.wire.connection import Connection, FileBody, Request
from transfer.wire.heads import MAX_HEAD_BYTES, BodyFraming, ResponseHead, body_framing, parse_response_head
from transfer.wire.stream import MINIMUM_BYTES_PER_SECOND, PeerAnsweredError, cannot_watch

ANSWER_BUFFER_BYTES: Final = 64 * 1024
"""What one call receives of an answer's beginning, and most small answers whole; all connections of a run share it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    head: ResponseHead
    body: bytes | bytearray


OnAnswer = Callable[["QuickConnection", Answer | WireError], None]
"""Told what came of an exchange. It may begin the next one, unless the connection is closed."""


class QuickConnection:
    """A connection that is used so.

    Attributes:
        connection: What is below; to be closed or given back by whoever has lent it, after `leave`.
        is_open: Whether it can serve again.
    """

    def __init__(self, connection: Connection, buffer: bytearray, limit_bytes: int, on_answer: OnAnswer) -> None:
        """Use an idle connection from now on; needs a running event loop.

        Args:
            connection: The connection.
            buffer: Of `ANSWER_BUFFER_BYTES`, shared by all in the loop.
            limit_bytes: The largest body of an answer.
            on_answer: Called in the event loop, once for each exchange, never from within `exchange`.

        Raises:
            ConfigurationError: The event loop cannot watch sockets.
        """
        self.connection: Final = connection
        self._stream: Final = connection.stream
        self._buffer: Final = buffer
        self._view: Final = memoryview(buffer)
        self._stall_seconds: Final = connection.stall_seconds
        self._limit_bytes: Final = limit_bytes
        self._on_answer: Final = on_answer
        self._loop: Final = asyncio.get_running_loop()
        self.is_open = True
        self._method = ""
        self._is_waiting = self._is_cut_short = self._is_drained = False
        self._unsent_bytes = 0
        self._moved_at_seconds = self._window_began_seconds = 0.0
        self._window_bytes = 0
        self._forget()
        try:
            self._loop.add_reader(self._stream.fileno(), self._readable)
        except NotImplementedError as error:
            raise cannot_watch(self._loop) from error

    def exchange(self, request: Request) -> None:
        """Send a request whose body is in memory; what comes of it is told later.

        Raises:
            UsageError: A header of it cannot be sent; nothing was.
        """
        body = request.body
        if isinstance(body, FileBody):
            raise TypeError(body)
        head = self.connection.head_of(request, len(body))
        self.connection.begin()
        self._method = request.method
        self._is_waiting = True
        self._is_cut_short = False
        self._moved_at_seconds = self._window_began_seconds = self._loop.time()
        self._window_bytes = 0
        try:
            self._unsent_bytes = self._stream.begin_send(head, body)
        except PeerAnsweredError:
            self._is_cut_short = True
        except WireError as error:
            self._loop.call_soon(self._fail, error)
        else:
            if self._unsent_bytes:
                self._loop.add_writer(self._stream.fileno(), self._writable)

    def leave(self) -> Connection:
        """Stop using the connection: it is as it was, or closed when something was under way."""
        if self.is_open:
            self._let_go()
            if self._is_waiting:
                self.connection.close()
        return self.connection

    def fail_if_stalled(self, now_seconds: float) -> None:
        """End an exchange in which no byte has moved for too long, or too few, as `ByteStream` judges."""
        if not self._is_waiting:
            return
        stall_seconds = self._stall_seconds
        if now_seconds - self._moved_at_seconds > stall_seconds:
            self._fail(StalledError(f"no byte moved for {stall_seconds:g} s"))
        elif now_seconds - self._window_began_seconds > stall_seconds:
            if self._window_bytes < MINIMUM_BYTES_PER_SECOND * stall_seconds and self._has_begun:
                self._fail(StalledError(f"only {self._window_bytes} bytes moved in {stall_seconds:g} s"))
            self._window_began_seconds = now_seconds
            self._window_bytes = 0

    @property
    def _has_begun(self) -> bool:
        """Whether there is a pace to judge: a store may think about its answer up to the deadline."""
        return bool(self._unsent_bytes) or self._head is not None or bool(self._collected)

    def _forget(self) -> None:
        self._head: ResponseHead | None = None
        self._framing = BodyFraming(0)
        self._collected = bytearray()
        self._rest = memoryview(b"")

    def _writable(self) -> None:
        try:
            unsent_bytes = self._stream.go_on_sending()
        except PeerAnsweredError:
            self._cut_short()
        except WireError as error:
            self._fail(error)
        else:
            self._moved_at_seconds = self._loop.time()
            self._window_bytes += self._unsent_bytes - unsent_bytes
            self._unsent_bytes = unsent_bytes
            if not unsent_bytes:
                self._loop.remove_writer(self._stream.fileno())

    def _cut_short(self) -> None:
        """The server answers before it has the whole body: no more of it is sent."""
        self._is_cut_short = True
        if self._unsent_bytes:
            self._unsent_bytes = 0
            self._loop.remove_writer(self._stream.fileno())

    def _readable(self) -> None:
        try:
            answer = self._receive()
        except WireError as error:
            self._fail(error)
        else:
            if answer is not None:
                self._settle(answer)

    def _receive(self) -> Answer | None:
        """Take what has arrived; the answer when it is whole."""
        while True:
            view = self._rest or self._view
            got = self._stream.receive_now(view)
            if got is None:
                return None
            if not self._is_waiting:
                raise WireError("the server sent something that nobody asked for")
            if self._unsent_bytes:
                self._cut_short()
            self._is_drained = got < len(view)
            answer = self._take(got) if got else self._end()
            if answer is not None:
                return answer
            # Asks on: an encrypted connection may have ended already, which makes the socket readable no more.

    def _take(self, got: int) -> Answer | None:
        self._moved_at_seconds = self._loop.time()
        if not self._has_begun:
            # Only from its first byte on is there a pace to judge.
            self._window_began_seconds, self._window_bytes = self._moved_at_seconds, 0
        self._window_bytes += got
        if self._rest:
            self._rest = self._rest[got:]
            return None if self._rest else self._whole(self._collected, 0)
        if self._head is None and not self._collected:
            # Nearly every answer: its head comes in one piece.
            return self._parse(self._buffer, got)
        self._collected += self._view[:got]
        if self._head is None:
            collected, self._collected = self._collected, bytearray()
            return self._parse(collected, len(collected))
        return self._unframed()

    def _parse(self, data: bytearray, end: int) -> Answer | None:
        """Read heads until one that is not interim (1xx), and of the body what has come with it."""
        start = 0
        while True:
            head_end = data.find(b"\r\n\r\n", start, end)
            if head_end < 0:
                if end - start > MAX_HEAD_BYTES:
                    raise ProtocolError("the head of the answer is too long")
                self._collected += memoryview(data)[start:end]
                if self.connection.may_want_tls:
                    heads.refuse_tls_alert(self._collected)
                return None
            head = parse_response_head(bytes(memoryview(data)[start:head_end]))
            start = head_end + 4
            if head.status >= 200:
                break
        arrived = memoryview(data)[start:end]
        if self.connection.may_want_tls:
            heads.refuse_wish_for_tls(head, arrived)
        if self._is_cut_short and head.status < 300:
            raise WireError("the server answered before it had the whole body", answered=True)
        self._head, self._framing = head, body_framing(self._method, head)
        length = self._framing.length
        if length is None:
            self._collected += arrived
            return self._unframed()
        self._require_small(length)
        if len(arrived) >= length:
            return self._whole(bytes(arrived[:length]), len(arrived) - length)
        self._collected = bytearray(length)
        self._collected[: len(arrived)] = arrived
        self._rest = memoryview(self._collected)[len(arrived) :]
        return None

    def _unframed(self) -> Answer | None:
        """A body of which no head tells the length."""
        arrived = len(self._collected)
        if not self._framing.chunked:
            self._require_small(arrived)
            return None
        found = unchunk(self._collected)
        if found is None:
            # What is between the chunks is no part of the body; as much as the body itself is too much.
            self._require_small(arrived // 2)
            return None
        self._require_small(len(found[0]))
        return self._whole(found[0], arrived - found[1])

    def _end(self) -> Answer | None:
        """The peer has closed: the end of a body of unknown length, or too early."""
        if self._head is None:
            raise WireError("the server closed the connection without an answer", answered=bool(self._collected))
        if self._framing.length is not None or self._framing.chunked:
            raise WireError("the server closed the connection before the end of the body", answered=True)
        return self._whole(self._collected, 1)

    def _require_small(self, length: int) -> None:
        if length > self._limit_bytes:
            raise ProtocolError(f"the answer is larger than {self._limit_bytes} bytes")

    def _whole(self, body: bytes | bytearray, surplus_bytes: int) -> Answer:
        head = self._head
        if head is None:
            raise RuntimeError("an answer without a head")
        self._forget()
        reusable = head.keep_alive and not (self._is_cut_short or surplus_bytes or self._has_more())
        if not reusable:
            self._let_go()
        self.connection.finish(reusable=reusable)
        return Answer(head, body)

    def _has_more(self) -> bool:
        """Whether something follows the answer already: the next request would take it for its own answer."""
        if self._is_drained:
            return False
        try:
            return self._stream.receive_now(self._view) is not None
        except WireError:
            return True

    def _settle(self, result: Answer | WireError) -> None:
        self._is_waiting = False
        self._on_answer(self, result)

    def _fail(self, error: WireError) -> None:
        if not self.is_open:
            return
        error.answered = error.answered or self._head is not None or bool(self._collected)
        error.reused = self.connection.requests_served > 0
        if error.subject is None:
            error.subject = str(self.connection.origin)
        self._let_go()
        self.connection.close()
        if self._is_waiting:
            self._settle(error)

    def _let_go(self) -> None:
        self.is_open = False
        self._loop.remove_reader(self._stream.fileno())
        self._loop.remove_writer(self._stream.fileno())
