"""The null endpoint as a program: listens, forks its workers, and ends them with itself.

PUT bodies are dropped; GET bodies repeat a data file. The size of an object is the number after the last `@` of its
key, else that of the data file. A prefix `tree-COUNT-SIZE[_SIZE...]/` lists COUNT keys that nobody ever made.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import ssl
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from benchmarks.null_endpoint.channel import Channel, Data
from benchmarks.null_endpoint.counters import Count, Counters
from benchmarks.null_endpoint.exchange import Exchange, Manner
from benchmarks.null_endpoint.loop import Loop
from benchmarks.null_endpoint.turns import Turns

THREAD_STACK_BYTES = 512 << 10
BACKLOG = 4096


@dataclass(frozen=True, slots=True)
class Service:
    """What every worker needs."""

    listener: socket.socket
    turns: Turns
    data: Data
    manner: Manner
    counters: Counters
    tls: ssl.SSLContext | None

    def run(self, worker: int) -> NoReturn:
        """Accept connections for ever, in turn with the other workers."""
        self.counters.take_slot(worker)
        serve = self._in_threads() if self._waits() else self._in_loop()
        while True:
            self.turns.take(worker)
            connection, _ = self.listener.accept()
            self.turns.pass_on(worker)
            self.counters.add(Count.CONNECTIONS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            serve(connection)

    def _waits(self) -> bool:
        """Tell whether serving a connection waits for more than its socket."""
        manner = self.manner
        return bool(self.tls or manner.delay_seconds or manner.pace_bytes_per_second) or sys.platform != "linux"

    def _in_loop(self) -> Callable[[socket.socket], None]:
        loop = Loop()
        threading.Thread(target=_run_or_end, args=(loop.run,), daemon=True).start()

        def serve(connection: socket.socket) -> None:
            connection.setblocking(False)
            loop.add(connection, self._exchange(connection).serve())

        return serve

    def _in_threads(self) -> Callable[[socket.socket], None]:
        threading.stack_size(THREAD_STACK_BYTES)
        return lambda connection: threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            secured = self.tls.wrap_socket(connection, server_side=True) if self.tls else connection
            with secured, contextlib.suppress(StopIteration):
                serving = self._exchange(secured).serve()
                while True:
                    # Whatever it says it waits for, its next step waits for by itself.
                    serving.send(None)

    def _exchange(self, connection: socket.socket) -> Exchange:
        channel = Channel(connection, self.data, self.manner.pace_bytes_per_second)
        return Exchange(channel, self.manner, self.counters)


def main() -> None:
    """Listen, print the port as the only line, and serve until a signal or the end of standard input."""
    parser = _parser()
    arguments = parser.parse_args()
    try:
        data = Data.open(str(arguments.data))
    except ValueError:
        parser.error(f"{arguments.data} is empty; the data file needs at least one byte")
    pace = arguments.pace_megabytes * 1e6
    manner = Manner(arguments.delay_ms / 1e3, pace, arguments.in_flight_limit, len(data.mapped))
    tls = None
    if arguments.certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(arguments.certificate)
    with socket.create_server(("127.0.0.1", arguments.port), backlog=BACKLOG) as listener:
        service = Service(listener, Turns(arguments.workers), data, manner, Counters(arguments.workers), tls)
        workers = [_fork(service, number, watch=arguments.until_input_ends) for number in range(arguments.workers)]
        print(listener.getsockname()[1], flush=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            for worker in workers:
                os.waitpid(worker, 0)
        except KeyboardInterrupt:
            pass
        finally:
            for worker in workers:
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(worker, signal.SIGKILL)
                    os.waitpid(worker, 0)


def _fork(service: Service, number: int, *, watch: bool) -> int:
    process_id = os.fork()
    if not process_id:
        _run_or_end(lambda: _work(service, number, watch=watch))
    return process_id


def _work(service: Service, number: int, *, watch: bool) -> NoReturn:
    # The parent ends it: a Ctrl-C in the terminal must not take it from a client that is still ending.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if watch:
        threading.Thread(target=_end_with_input, daemon=True).start()
    service.run(number)


def _run_or_end(run: Callable[[], NoReturn]) -> NoReturn:
    """Run what never returns; the process ends where that fails, not in what it was forked from."""
    try:
        run()
    finally:
        traceback.print_exc()
        os._exit(1)


def _end_with_input() -> None:
    """End the process when whoever holds the other end of standard input is gone, however it went."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.null_endpoint", description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    add("--data", type=Path, required=True, help="file whose bytes the objects repeat")
    add("--workers", type=int, default=os.cpu_count() or 1, help="processes (one per processor)")
    add("--delay-ms", type=float, default=0.0, help="milliseconds to the first byte of an answer (0)")
    add("--pace-megabytes", type=float, default=0.0, help="million bytes per second and connection; 0 is no limit")
    add("--in-flight-limit", type=int, default=0, help="answer SlowDown above so many requests at a time; 0 is never")
    add("--certificate", type=Path, help="PEM file with certificate and key: serves https")
    add("--until-input-ends", action="store_true", help="end when standard input does")
    return parser


if __name__ == "__main__":
    main()
