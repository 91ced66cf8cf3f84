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
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Self
from urllib.parse import urlsplit

from tests.support.fault_exchange import CloseClientError, Exchange, ResetClientError, SeenRequest
from tests.support.faults import Fault
from tests.support.http_messages import HEAD_LIMIT_BYTES, RequestHead, read_request_head

START_TIMEOUT_SECONDS = 10.0
# A peer may never answer close_notify; the orderly end is not worth more than this.
TLS_SHUTDOWN_SECONDS = 1.0


class FaultProxy:
    """The proxy inside the running event loop; an async context manager.

    Args:
        upstream_url: The server behind, ``http://host:port``.
        faults: Armed from the start. The first one which matches and covers a request hits it; each
            counts its own matching requests.
        tls: When given, clients speak TLS to the proxy; the server behind is spoken to in plain text.
    """

    def __init__(self, upstream_url: str, *faults: Fault, tls: ssl.SSLContext | None = None) -> None:
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
        self.requests: list[SeenRequest] = []
        self.connections = 0

    @property
    def endpoint_url(self) -> str:
        """Where clients find the proxy."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def arm(self, *faults: Fault) -> None:
        """Add faults; each counts the matching requests from now on."""
        self._faults.extend(faults)

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
        self._server = await asyncio.start_server(
            self._accept,
            "127.0.0.1",
            0,
            limit=HEAD_LIMIT_BYTES,
            ssl=self._tls,
            ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS if self._tls else None,
        )
        self._port = self._server.sockets[0].getsockname()[1]
        return self

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
            while head := await read_request_head(reader):
                seen = SeenRequest(head.method, head.target, head.headers, connection)
                index, seen.fault = self._choose(head)
                self.requests.append(seen)
                self._changed.set()
                await Exchange(reader, writer, head, seen, partial(self._note, index)).run(self._upstream)
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
        return chosen

    def _note(self, fault_index: int, fault_acted: bool) -> None:
        if fault_acted:
            self._applied.add(fault_index)
        self._changed.set()


class ThreadedFaultProxy:
    """The proxy in a thread with an event loop of its own, for tests of processes and blocking clients.

    Takes the arguments of :class:`FaultProxy`; a plain context manager.
    """

    def __init__(self, upstream_url: str, *faults: Fault, tls: ssl.SSLContext | None = None) -> None:
        self._proxy = FaultProxy(upstream_url, *faults, tls=tls)
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

    def arm(self, *faults: Fault) -> None:
        """Add faults; each counts the matching requests from now on."""
        self._call(lambda: self._proxy.arm(*faults))

    def seen(self, method: str | None = None, target: str = "") -> list[SeenRequest]:
        """Return the requests of this method whose target has a match for this regular expression."""
        return self._proxy.seen(method, target)

    def unspent(self) -> list[Fault]:
        """Return the armed faults which never acted."""
        return self._proxy.unspent()

    def wait_until(self, condition: Callable[[], bool], timeout_seconds: float = 30.0) -> None:
        """Wait until ``condition`` is true; ``TimeoutError`` when that takes too long."""
        assert self._loop is not None
        waiting = asyncio.wait_for(self._proxy.wait_until(condition), timeout_seconds)
        asyncio.run_coroutine_threadsafe(waiting, self._loop).result()

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
        assert self._loop is not None

        async def act() -> None:
            action()

        asyncio.run_coroutine_threadsafe(act(), self._loop).result()


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
