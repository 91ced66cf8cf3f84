"""Runs the coroutines of many connections in one thread, each as soon as its socket is ready. Linux only (epoll)."""

from __future__ import annotations

import select
import socket
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import NoReturn


@dataclass(slots=True)
class _Talk:
    """One connection, what serves it, and the event that it waits for."""

    connection: socket.socket
    serving: Coroutine[int, None, None]
    event: int


class Loop:
    """Serves connections that do not block: their coroutines yield the event they wait for (`channel.ready`)."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._talks: dict[int, _Talk] = {}

    def add(self, connection: socket.socket, serving: Coroutine[int, None, None]) -> None:
        """Serve a connection from now on and close it in the end; safe from any thread."""
        talk = _Talk(connection, serving, serving.send(None))
        self._talks[connection.fileno()] = talk
        self._epoll.register(connection.fileno(), talk.event)

    def run(self) -> NoReturn:
        """Serve for ever."""
        talks = self._talks
        while True:
            for descriptor, _ in self._epoll.poll():
                talk = talks[descriptor]
                try:
                    event = talk.serving.send(None)
                except StopIteration:
                    # In this order: once closed, the number may be that of the next connection.
                    del talks[descriptor]
                    talk.connection.close()
                    continue
                if event != talk.event:
                    talk.event = event
                    self._epoll.modify(descriptor, event)
