"""Keep-alive connections, lent to one request at a time.

The pool owns every connection of a run and the watchdog over their stalls. Deciding is synchronous; only dialling and
the exchange itself wait. It must never repeat a request: a stale connection is weeded out before it is lent, and one
that fails all the same is reported with `reused` set.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from types import TracebackType
from typing import Final, Self

from transfer.model.errors import WireError
from transfer.wire import ktls
from transfer.wire.connection import Connection, ConnectionState, FileBody, Request, Response
from transfer.wire.dial import Dialer
from transfer.wire.flow import Flow
from transfer.wire.ktls_stream import KernelTlsStream
from transfer.wire.origin import Origin

WATCHDOG_SECONDS: Final = 1.0
"""How often waits are compared with the stall deadline: a stall is noticed at most so much later."""

IDLE_SECONDS: Final = 4.0
"""An idle connection older than this is not lent again: S3 and most proxies close after 5 s or more, and a request
sent into a closing connection is a request lost."""


class Exchange:
    """One request and its response. A class, since a generator costs every small object some microseconds more."""

    __slots__ = ("_connection", "_flow", "_origin", "_pool", "_request", "_response")

    def __init__(self, pool: ConnectionPool, origin: Origin, request: Request, flow: Flow) -> None:
        self._pool = pool
        self._origin = origin
        self._request = request
        self._flow = flow
        self._connection: Connection | None = None
        self._response: Response | None = None

    async def __aenter__(self) -> Response:
        try:
            for_files = isinstance(self._request.body, FileBody)
            connection = self._connection = await self._pool.lend(self._origin, for_files=for_files)
            self._response = await connection.exchange(self._request, self._flow)
        except BaseException as error:
            self._leave(error)
            raise
        return self._response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        if self._response is not None:
            self._response.abandon()
        if self._connection is not None:
            self._pool.give_back(self._connection)
        if isinstance(error, WireError) and error.subject is None:
            error.subject = str(self._origin)


class ConnectionPool:
    """The connections of one run. Use it as an async context manager."""

    def __init__(self, dialer: Dialer) -> None:
        self._dialer: Final = dialer
        self._idle: Final[dict[Origin, list[tuple[Connection, float]]]] = defaultdict(list)
        self._idle_for_files: Final[dict[Origin, list[tuple[Connection, float]]]] = defaultdict(list)
        self._busy: Final[set[Connection]] = set()
        self._watchdog: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._watch(asyncio.get_running_loop())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection and stop the watchdog; idempotent."""
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        kinds = (self._idle, self._idle_for_files)
        idle = [connection for kind in kinds for kept in kind.values() for connection, _ in kept]
        for kind in kinds:
            kind.clear()
        for connection in [*idle, *self._busy]:
            connection.close()

    def exchange(self, origin: Origin, request: Request, flow: Flow) -> Exchange:
        """Send a request and lend its response until the block ends: for `async with`.

        A body that was not read to its end costs the connection; everything else gives it back.

        Raises:
            WireError: No connection, or it failed; `subject` is the origin when nothing closer is known.
        """
        return Exchange(self, origin, request, flow)

    async def lend(self, origin: Origin, *, for_files: bool = False) -> Connection:
        """A connection that is idle, or a new one; it counts as busy until it is given back.

        Where the kernel encrypts files, they leave by connections made for that (`for_files`). Other requests use these
        when there are no others: they receive more slowly.
        """
        if for_files and origin.is_tls and ktls.OFFER.obstacle is None:
            connection = self._take_idle(self._idle_for_files[origin])
            if connection is None:
                connection = await self._dialer.dial(origin, for_files=True)
        else:
            connection = self._any_idle(origin) or await self._dialer.dial(origin)
        self._busy.add(connection)
        return connection

    @property
    def is_peer_here(self) -> bool:
        """Whether the last new connection goes to this machine itself; not before there was one."""
        return self._dialer.is_peer_here

    async def speaks_tls(self, origin: Origin) -> bool:
        """See `Dialer.speaks_tls`."""
        return await self._dialer.speaks_tls(origin)

    def lend_idle(self, origin: Origin) -> Connection | None:
        """As `lend`, but None where a new connection would have to be made."""
        connection = self._any_idle(origin)
        if connection is not None:
            self._busy.add(connection)
        return connection

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next request, or close it when it cannot serve one."""
        self._busy.discard(connection)
        if connection.state is ConnectionState.IDLE:
            kind = self._idle_for_files if isinstance(connection.stream, KernelTlsStream) else self._idle
            kind[connection.origin].append((connection, asyncio.get_running_loop().time()))
        else:
            connection.close()

    def _any_idle(self, origin: Origin) -> Connection | None:
        return self._take_idle(self._idle[origin]) or self._take_idle(self._idle_for_files[origin])

    @staticmethod
    def _take_idle(kept: list[tuple[Connection, float]]) -> Connection | None:
        """The most recently used idle connection that still looks alive; the others found dead are closed."""
        now = asyncio.get_running_loop().time()
        while kept:
            connection, since = kept.pop()
            if now - since <= IDLE_SECONDS and not connection.stream.is_stale():
                return connection
            connection.close()
        return None

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in self._busy:
            connection.stream.fail_if_stalled(now)
        self._watchdog = loop.call_later(WATCHDOG_SECONDS, self._watch, loop)
