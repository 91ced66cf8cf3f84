"""A regular file that is read to be moved, and the proof that it stayed the same while it was read.

Opening never blocks: pipes, sockets and devices are refused before they are opened. Nothing here writes.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

from transfer.model.errors import LocalFileError, SourceChangedError
from transfer.stores.local.walk import kind_of
from transfer.system.positional import read_at

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)


class SourceFile:
    """An open source file.

    Attributes:
        path: As the user or the walk wrote it.
        fd: The open descriptor, for reading at explicit offsets; -1 once closed.
        size: In bytes, at the moment of opening.
        mtime_ns: Modification time in nanoseconds since the epoch, at the moment of opening.
    """

    __slots__ = ("_identity", "fd", "mtime_ns", "path", "size")

    def __init__(self, path: str) -> None:
        """Open a regular file for reading; symbolic links are followed. Blocks no longer than the disk does.

        Raises:
            LocalFileError: The file is missing, cannot be read or is not a regular file.
        """
        self.path = path
        self.fd = -1
        try:
            _require_regular(Path(path).stat(), path)
            self.fd = os.open(path, _FLAGS)
            status = os.fstat(self.fd)
            _require_regular(status, path)
            _forget_nonblocking(self.fd)
        except OSError as error:
            self.close()
            raise LocalFileError.from_os_error(error, path) from error
        except LocalFileError:
            self.close()
            raise
        self.size = status.st_size
        self.mtime_ns = status.st_mtime_ns
        self._identity = _identity_of(status)

    def check_unchanged(self) -> None:
        """Make sure that one version of the file was read: size, time and identity are those at opening.

        Raises:
            SourceChangedError: The file was written, replaced or removed in the meantime.
        """
        try:
            status = Path(self.path).stat()
        except OSError as error:
            raise self._changed("it is no longer there") from error
        if _identity_of(status) != self._identity:
            raise self._changed("it was replaced by another file")
        if status.st_size != self.size:
            raise self._changed(f"its size went from {self.size} to {status.st_size} bytes")
        if status.st_mtime_ns != self.mtime_ns:
            raise self._changed("it was written to")

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode; zeros where the system has none."""
        return self._identity

    def advise(self, offset: int, length: int) -> None:
        """Tell the system that these bytes are read soon; a wish that may go unheard. Never raises."""
        if hasattr(os, "posix_fadvise"):
            with contextlib.suppress(OSError):
                os.posix_fadvise(self.fd, offset, length, os.POSIX_FADV_WILLNEED)

    def close(self) -> None:
        """Close the descriptor; closing again does nothing."""
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _changed(self, reason: str) -> SourceChangedError:
        return SourceChangedError(
            f"the file changed while it was read: {reason}",
            subject=self.path,
            remedy="try again when nothing writes to it",
        )


class ReadFile:
    """A small file that was read whole and closed: it is as it was then, whatever becomes of it.

    It stands where a `SourceFile` does.

    Attributes:
        content: All of it.
    """

    __slots__ = ("content", "fd", "identity", "mtime_ns", "path", "size")

    def __init__(self, path: str) -> None:
        """Read a regular file. Blocks.

        Raises:
            LocalFileError: As `SourceFile`.
            SourceChangedError: It changed while it was read.
        """
        with SourceFile(path) as source:
            content = bytearray(source.size)
            view, offset = memoryview(content), 0
            try:
                while offset < source.size:
                    got = read_at(source.fd, view[offset:], offset)
                    if got == 0:
                        break
                    offset += got
            except OSError as error:
                raise LocalFileError.from_os_error(error, path) from error
            source.check_unchanged()
            self.path, self.size, self.mtime_ns, self.identity = path, source.size, source.mtime_ns, source.identity
        self.content = bytes(content)
        self.fd = -1

    def check_unchanged(self) -> None:
        """It is what was read."""

    def advise(self, offset: int, length: int) -> None:
        """Nothing is left to read."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing is left to close."""


def _require_regular(status: os.stat_result, path: str) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise LocalFileError("it is a folder", subject=path, remedy="use -r to move a folder")
    if not stat.S_ISREG(status.st_mode):
        raise LocalFileError(
            f"{kind_of(status.st_mode)}, not a regular file",
            subject=path,
            remedy="pipe it in and write - as the source",
        )


def _forget_nonblocking(fd: int) -> None:
    """O_NONBLOCK guards the opening alone: a splice from this file would apply it to the pipe too."""
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(fd, True)


def _identity_of(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
