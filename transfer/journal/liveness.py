"""Which runs are alive: each holds a lock of the operating system on a file of its own, and the lock dies with it.

A process id proves nothing, since ids are used again; a lock cannot be left behind. Nobody ever removes the file
of a living run: who removes one has locked it before, and who starts looks after locking whether its file is still
there. All calls block, but none for long.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from transfer.journal.rows import RUN_ID_CHARACTERS, is_run_id
from transfer.model.unfinished import Holder

WAIT_SECONDS: Final = 30.0
"""How long another process may keep what everybody needs; each keeps it for milliseconds."""

_POLL_SECONDS: Final = 0.01
_SUFFIX: Final = ".lock"


class Runs:
    """The lock files below one state folder, and the one of this run.

    Attributes:
        own_id: The name of this run; None before `hold` and after `release`.
        own: This process, and since when it holds the lock.
    """

    def __init__(self, folder: str) -> None:
        self._folder: Final = Path(folder) / "runs"
        self._fd = -1
        self.own_id: str | None = None
        self.own = Holder(0, 0.0)

    def hold(self) -> str:
        """Answer this run's name; the first call makes and locks its file.

        Raises:
            OSError: The system refuses, or the file system has no locks.
        """
        while self.own_id is None:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            run_id = secrets.token_hex(RUN_ID_CHARACTERS // 2)
            fd = os.open(self._path(run_id), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                if _lock(fd) and _names(self._path(run_id), fd):
                    self._fd, self.own_id = fd, run_id
                    self.own = Holder(os.getpid(), time.time())
            finally:
                if self.own_id is None:
                    os.close(fd)
        return self.own_id

    def is_alive(self, run_id: str) -> bool:
        """Whether the process of a run lives; the file of a dead one is removed, if the system lets it.

        A file that cannot be opened or locked counts as that of a living run: it may be another user's.
        """
        if not is_run_id(run_id):
            return False
        try:
            fd = os.open(self._path(run_id), os.O_RDWR)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        try:
            if not _lock(fd, shared=True):
                return True
            if sys.platform != "win32":
                with contextlib.suppress(OSError):
                    self._path(run_id).unlink()
        except OSError:
            return True
        finally:
            os.close(fd)
        if sys.platform == "win32":
            # There an open file has a name that stays.
            with contextlib.suppress(OSError):
                self._path(run_id).unlink()
        return False

    def sweep(self) -> None:
        """Remove the files of all dead runs; those that the system does not let go stay. Never raises."""
        with contextlib.suppress(OSError):
            for path in self._folder.glob(f"*{_SUFFIX}"):
                if path.stem != self.own_id:
                    self.is_alive(path.stem)

    def release(self) -> None:
        """Let go of this run's lock and remove its file. Never raises; harmless twice."""
        run_id, self.own_id = self.own_id, None
        if run_id is None:
            return
        if sys.platform == "win32":
            os.close(self._fd)
        with contextlib.suppress(OSError):
            self._path(run_id).unlink()
        if sys.platform != "win32":
            os.close(self._fd)

    def _path(self, run_id: str) -> Path:
        return self._folder / f"{run_id}{_SUFFIX}"


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Be the only process in here: waits for others, and makes the file, which stays.

    Raises:
        OSError: The system refuses.
        TimeoutError: Another process has been inside for `WAIT_SECONDS`.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        end = time.monotonic() + WAIT_SECONDS
        while not _lock(fd):
            if time.monotonic() > end:
                raise TimeoutError(f"another process keeps {path} locked")
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(fd)


def _names(path: Path, fd: int) -> bool:
    """Whether the path leads to the open file: it could have been removed before it was locked."""
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int, *, shared: bool = False) -> bool:  # noqa: ARG001 - the system has no shared locks
        """Lock without waiting; False when somebody else has the lock."""
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _lock(fd: int, *, shared: bool = False) -> bool:
        """Lock without waiting; False when somebody else has the lock.

        Who only asks takes it shared, so that two who ask do not look alive to each other.
        """
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
