"""An HTTP/1.1 proxy in front of one server, which hurts chosen requests and records all of them.

Heads pass byte for byte, so signatures over Host stay valid. Every request gets an upstream connection of
its own; only the client's side is kept alive. It never retries, never caches, and never repairs what a
fault broke. Owns the sockets; the faults themselves are values of ``tests.support.faults``.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

from tests.support.chance import Chance
from tests.support.fault_exchange import CloseClientError, Exchange, ResetClientError, SeenRequest
from tests.support.faults import Fault, RefuseConnections
from tests.support.http_messages import HEAD_LIMIT_BYTES, RequestHead, read_request_head

START_TIMEOUT_SECONDS = 10.0
# A peer may never answer close_notify; the orderly end is not worth more than this.
TLS_SHUTDOWN_SECONDS = 1.0
REFUSED = "refused connection"

T = TypeVar("T")


class Moved(NamedTuple):
    """Body bytes that reached the server and that came from it."""

    up: int = 0
    down: int = 0


class FaultProxy:
    """The proxy inside the running event loop; an async context manager.

    Args:
        upstream_url: The server behind, ``http://host:port``.
        faults: Armed from the start. The first one which matches and covers a request hits it; each
            counts its own matching requests.
        tls: When given, clients speak TLS to the proxy; the server behind is spoken to in plain text.
        chance: Decides about requests that no armed fault hits.

    Attributes:
        requests: What was seen of each request, in the order in which their heads came.
        connections: How many connections clients made, refused ones included.
        injected: How often each kind of fault has acted; refused connections are counted as `REFUSED`.
        chance: As the argument; may be replaced at any time.
    """

    def __init__(
        self,
        upstream_url: str,
        *faults: Fault,
        tls: ssl.SSLContext | None = None,
        chance: Chance | None = None,
    ) -> None:
        parts = urlsplit(upstream_url)
        assert parts.hostname is not None
        self._upstream = (parts.hostname, parts.port or 80)
        self._tls = tls
        self._faults: list[Fault] = list(faults)
        self._occurrences: Counter[int] = Counter()
        self._applied: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._port = 0
        self._to_refuse = 0
        self.requests: list[SeenRequest] = []
        self.connections = 0
        self.injected: Counter[str] = Counter()
        self.chance = chance

    @property
    def endpoint_url(self) -> str:
        """Where clients find the proxy."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def arm(self, *faults: Fault) -> None:
        """Add faults; each counts the matching requests from now on."""
        self._faults.extend(faults)

    def disarm(self) -> None:
        """Take back all armed faults and the chance; what is hurt already stays so."""
        self._faults.clear()
        self._occurrences.clear()
        self._applied.clear()
        self._to_refuse = 0
        self.chance = None

    def refuse(self, connections: int) -> None:
        """Reset the next connections as they come."""
        self._to_refuse = connections

    async def close_listener(self) -> None:
        """Let the system refuse connections until `open_listener`; those that stand live on."""
        assert self._server is not None
        self._server.close()
        # The socket is closed by the loop's next turn.
        await asyncio.sleep(0)

    async def open_listener(self) -> None:
        """Accept connections at the same address again."""
        await self._listen()

    @property
    def bytes_up(self) -> int:
        """Bytes of request bodies that reached the server."""
        return sum(request.upstream_bytes_up for request in self.requests)

    @property
    def bytes_down(self) -> int:
        """Bytes of answer bodies that came from the server."""
        return sum(request.upstream_bytes_down for request in self.requests)

    def moved(self) -> dict[tuple[str, str], Moved]:
        """Body bytes by method and target; a byte that moved twice counts twice."""
        found: dict[tuple[str, str], Moved] = {}
        for request in list(self.requests):
            up, down = found.get((request.method, request.target), Moved())
            added = Moved(up + request.upstream_bytes_up, down + request.upstream_bytes_down)
            found[request.method, request.target] = added
        return found

    def seen(self, method: str | None = None, target: str = "") -> list[SeenRequest]:
        """Return the requests of this method whose target has a match for this regular expression."""
        asked = Fault(method=method, target=target)
        return [
            request
            for request in list(self.requests)
            if asked.matches(RequestHead(b"", request.method, request.target, request.headers))
        ]

    def unspent(self) -> list[Fault]:
        """Return the armed faults which never acted: a test that hurt nothing proves nothing."""
        return [fault for index, fault in enumerate(self._faults) if index not in self._applied]

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` is true, looking again whenever the record of requests changes."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._accept,
            "127.0.0.1",
            self._port,
            limit=HEAD_LIMIT_BYTES,
            ssl=self._tls,
            ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS if self._tls else None,
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer, self.connections))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A task cancelled before its first step closes nothing by itself.
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        # With no buffer of its own, a drained writer has handed everything to the kernel. asyncio's TLS
        # pauses at the limit, not beyond it, so that zero would pause it for good.
        writer.transport.set_write_buffer_limits(high=1 if self._tls else 0)
        try:
            if self._to_refuse:
                self._to_refuse -= 1
                self.injected[REFUSED] += 1
                raise ResetClientError
            while head := await read_request_head(reader):
                seen = SeenRequest(head.method, head.target, head.headers, connection)
                index, seen.fault = self._choose(head)
                self.requests.append(seen)
                self._changed.set()
                try:
                    await Exchange(reader, writer, head, seen, partial(self._note, index, seen)).run(self._upstream)
                finally:
                    seen.ended_seconds = seen.ended_seconds or time.monotonic()
                    self._changed.set()
            await _close(writer)
        except CloseClientError:
            await _close(writer)
        except (ResetClientError, OSError, asyncio.IncompleteReadError):
            await _reset(writer)
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _choose(self, head: RequestHead) -> tuple[int, Fault | None]:
        chosen: tuple[int, Fault | None] = (-1, None)
        for index, fault in enumerate(self._faults):
            if fault.matches(head):
                self._occurrences[index] += 1
                if chosen[1] is None and fault.covers(self._occurrences[index]):
                    chosen = (index, fault)
        if chosen[1] is None and self.chance is not None:
            return -1, self.chance.choose(head)
        return chosen

    def _note(self, fault_index: int, seen: SeenRequest, fault_acted: bool) -> None:
        if fault_acted and seen.fault is not None:
            self._applied.add(fault_index)
            self.injected[seen.fault.kind] += 1
            if isinstance(seen.fault, RefuseConnections):
                self.refuse(seen.fault.connections)
        self._changed.set()


class ThreadedFaultProxy:
    """The proxy in a thread with an event loop of its own, for tests of processes and blocking clients.

    Takes the arguments of :class:`FaultProxy`; a plain context manager.
    """

    def __init__(
        self,
        upstream_url: str,
        *faults: Fault,
        tls: ssl.SSLContext | None = None,
        chance: Chance | None = None,
    ) -> None:
        self._proxy = FaultProxy(upstream_url, *faults, tls=tls, chance=chance)
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    @property
    def endpoint_url(self) -> str:
        """Where clients find the proxy."""
        return self._proxy.endpoint_url

    @property
    def requests(self) -> list[SeenRequest]:
        """The requests seen up to now."""
        return list(self._proxy.requests)

    @property
    def connections(self) -> int:
        """How many connections clients have made."""
        return self._proxy.connections

    @property
    def injected(self) -> Counter[str]:
        """How often each kind of fault has acted up to now."""
        return Counter(self._proxy.injected)

    @property
    def bytes_up(self) -> int:
        """Bytes of request bodies that reached the server."""
        return self._proxy.bytes_up

    @property
    def bytes_down(self) -> int:
        """Bytes of answer bodies that came from the server."""
        return self._proxy.bytes_down

    def moved(self) -> dict[tuple[str, str], Moved]:
        """Body bytes by method and target; a byte that moved twice counts twice."""
        return self._proxy.moved()

    def arm(self, *faults: Fault, chance: Chance | None = None) -> None:
        """Add faults; each counts the matching requests from now on. A chance replaces the one before."""

        def act() -> None:
            self._proxy.arm(*faults)
            self._proxy.chance = chance or self._proxy.chance

        self._call(act)

    def disarm(self) -> None:
        """Take back all armed faults and the chance."""
        self._call(self._proxy.disarm)

    def refuse(self, connections: int) -> None:
        """Reset the next connections as they come."""
        self._call(lambda: self._proxy.refuse(connections))

    def close_listener(self) -> None:
        """Let the system refuse connections until `open_listener`."""
        self._wait_for(self._proxy.close_listener())

    def open_listener(self) -> None:
        """Accept connections at the same address again."""
        self._wait_for(self._proxy.open_listener())

    def seen(self, method: str | None = None, target: str = "") -> list[SeenRequest]:
        """Return the requests of this method whose target has a match for this regular expression."""
        return self._proxy.seen(method, target)

    def unspent(self) -> list[Fault]:
        """Return the armed faults which never acted."""
        return self._proxy.unspent()

    def wait_until(self, condition: Callable[[], bool], timeout_seconds: float = 30.0) -> None:
        """Wait until ``condition`` is true; ``TimeoutError`` when that takes too long."""
        self._wait_for(asyncio.wait_for(self._proxy.wait_until(condition), timeout_seconds))

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._started.wait(START_TIMEOUT_SECONDS):
            raise TimeoutError("the proxy's thread did not start")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._stop is not None
        self._call(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with self._proxy:
            self._started.set()
            await self._stop.wait()

    def _call(self, action: Callable[[], None]) -> None:
        async def act() -> None:
            action()

        self._wait_for(act())

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    # Lingering for zero seconds turns the close into a reset.
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
