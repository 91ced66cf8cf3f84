"""Processes beside this one, forked while it has a single thread, each on the other end of a socket.

A child never returns into its parent's code: it does its work and ends. It never writes to standard output.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Final

from transfer.model.values import dataclass

Work = Callable[[socket.socket], None]
"""What a child does; it ends when the other end of the socket is closed."""

_WISHES: Final = frozenset({signal.SIGINT, signal.SIGTERM})
"""Signals by which a user ends a run."""


@dataclass(frozen=True, slots=True)
class Forked:
    """A child process, and our end of the socket between us."""

    pid: int
    socket: socket.socket


def can_fork() -> bool:
    """Whether a child can go on from here.

    Not where the system has no fork or its libraries do not survive one (macOS), and not beside other threads: what
    they hold would be held for ever in the child.
    """
    return sys.platform == "linux" and threading.active_count() == 1


def fork_all(count: int, work: Work) -> tuple[Forked, ...]:
    """Begin so many children, or as many of them as the system allows."""
    # Objects that a collection in the child would touch stay shared with the parent.
    gc.freeze()
    forked: list[Forked] = []
    # A Ctrl-C in the midst of this would raise in a child that does not yet ignore it, or be lost.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _WISHES)
    try:
        while len(forked) < count and _fork(forked, work):
            pass
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    return tuple(forked)


def _fork(forked: list[Forked], work: Work) -> bool:
    """Begin one more child; False when the system allows no more."""
    ours, theirs = socket.socketpair()
    try:
        pid = os.fork()
    except OSError:
        ours.close()
        theirs.close()
        return False
    if pid == 0:
        # A child that kept the parent's ends would hide the parent's death from the others.
        for other in forked:
            other.socket.close()
        ours.close()
        _live(work, theirs)
    theirs.close()
    forked.append(Forked(pid, ours))
    return True


def reap(pid: int) -> int | None:
    """Take note of the end of a child; its exit code, negative for a signal, or None while it lives."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 0
    return os.waitstatus_to_exitcode(status) if found else None


def end(pid: int) -> None:
    """Have a child end at once, whatever it does; one that has ended is no child any more."""
    if reap(pid) is None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _live(work: Work, end_of_socket: socket.socket) -> None:
    """The life of a child. Ctrl-C reaches the whole group of processes: what becomes of it the parent decides."""
    code = 1
    try:
        for wish in _WISHES:
            signal.signal(wish, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WISHES)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        work(end_of_socket)
        code = 0
    finally:
        # Whatever was raised: nothing above may run in this process, and the parent tells of its end.
        # Buffers and exit handlers are the parent's too.
        os._exit(code)
