"""A regular file that is read to be moved, and the proof that it stayed the same while it was read.

Opening never blocks: pipes, sockets and devices are refused before they are opened. Nothing here writes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from types import TracebackType
from typing import Self

from transfer.model.errors import LocalFileError, SourceChangedError
from transfer.model.values import dataclass
from transfer.stores.local.storage import is_in_memory
from transfer.stores.local.walk import kind_of

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)


@dataclass(frozen=True, slots=True)
class FileVersion:
    """What tells one version of a file from others.

    Attributes:
        size: In bytes.
        mtime_ns: In nanoseconds since the epoch.
        identity: Device and inode; zeros where the system has none.
    """

    size: int
    mtime_ns: int
    identity: tuple[int, int]


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
        self.fd, status = _open(path)
        _forget_nonblocking(self.fd)
        self._take(_version_of(status))

    @classmethod
    def received(cls, fd: int, path: str, version: FileVersion) -> Self:
        """A file that another process has opened; its descriptor is this object's to close."""
        source = cls.__new__(cls)
        source.fd, source.path = fd, path
        source._take(version)  # noqa: SLF001 - one of its own kind
        return source

    @property
    def version(self) -> FileVersion:
        """What it was when it was opened."""
        return FileVersion(self.size, self.mtime_ns, self._identity)

    def check_unchanged(self) -> None:
        """Make sure that one version of the file was read: size, time and identity are those at opening.

        Raises:
            SourceChangedError: The file was written, replaced or removed in the meantime.
        """
        _require_unchanged(self.path, self.version)

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

    def _take(self, version: FileVersion) -> None:
        self.size, self.mtime_ns, self._identity = version.size, version.mtime_ns, version.identity


class ReadFile:
    """A small file that was read whole and closed: it is as it was then, whatever becomes of it.

    It stands where a `SourceFile` does.

    Attributes:
        content: All of it.
    """

    __slots__ = ("content", "fd", "identity", "mtime_ns", "path", "size")

    def __init__(self, path: str, *, may_wait: bool = True, is_known: bool = False) -> None:
        """Read a regular file.

        Args:
            path: As the user or the walk wrote it.
            may_wait: False reads only what is in memory already.
            is_known: Somebody has just seen that it is a regular file: no look is taken before it is opened.

        Raises:
            LocalFileError: As `SourceFile`.
            SourceChangedError: It changed while it was read.
            BlockingIOError: A disk would have to be waited for.
            NotImplementedError: The file system cannot tell that.
        """
        fd, before = _open(path, is_known=is_known)
        try:
            size = before.st_size
            if may_wait or is_in_memory(before.st_dev):
                self.content = _read_whole(fd, size)
            else:
                self.content = _read_cached(fd, size)
            # What has another file's name by now was read as it was.
            after = os.fstat(fd)
        except BlockingIOError:
            raise
        except OSError as error:
            raise LocalFileError.from_os_error(error, path) from error
        finally:
            os.close(fd)
        if len(self.content) != size or after.st_size != size or after.st_mtime_ns != before.st_mtime_ns:
            _require_same(path, _version_of(before), _version_of(after))
            raise _changed(path, f"{len(self.content)} of {size} bytes could be read")
        self.path, self.size, self.mtime_ns = path, size, before.st_mtime_ns
        self.identity = before.st_dev, before.st_ino
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


def _open(path: str, *, is_known: bool = False) -> tuple[int, os.stat_result]:
    """Open a regular file: its descriptor, and what it is. Raises LocalFileError."""
    fd = -1
    try:
        if not is_known:
            _require_regular(os.stat(path), path)  # noqa: PTH116 - a Path for each would cost more than the call
        fd = os.open(path, _FLAGS)
        status = os.fstat(fd)
        _require_regular(status, path)
    except (OSError, LocalFileError) as error:
        if fd >= 0:
            os.close(fd)
        if isinstance(error, LocalFileError):
            raise
        raise LocalFileError.from_os_error(error, path) from error
    return fd, status


def _read_whole(fd: int, size: int) -> bytes:
    """Read what is there, up to a size; fewer bytes when the file has become shorter."""
    parts = [os.read(fd, size)]
    left = size - len(parts[0])
    while left and parts[-1]:
        parts.append(os.read(fd, left))
        left -= len(parts[-1])
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _read_cached(fd: int, size: int) -> bytes:
    """Read what is in the page cache (preadv2(2), RWF_NOWAIT). Raises BlockingIOError, NotImplementedError, OSError."""
    if not hasattr(os, "RWF_NOWAIT"):
        raise NotImplementedError
    content = bytearray(size)
    try:
        got = os.preadv(fd, [content], 0, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            raise NotImplementedError from error
        raise
    if got != size:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return bytes(content)


def _require_unchanged(path: str, version: FileVersion) -> None:
    try:
        now = _version_of(os.stat(path))  # noqa: PTH116 - as above
    except OSError as error:
        raise _changed(path, "it is no longer there") from error
    _require_same(path, version, now)


def _require_same(path: str, version: FileVersion, now: FileVersion) -> None:
    if now.identity != version.identity:
        raise _changed(path, "it was replaced by another file")
    if now.size != version.size:
        raise _changed(path, f"its size went from {version.size} to {now.size} bytes")
    if now.mtime_ns != version.mtime_ns:
        raise _changed(path, "it was written to")


def _changed(path: str, reason: str) -> SourceChangedError:
    return SourceChangedError(
        f"the file changed while it was read: {reason}", subject=path, remedy="try again when nothing writes to it"
    )


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


def _version_of(status: os.stat_result) -> FileVersion:
    return FileVersion(status.st_size, status.st_mtime_ns, (status.st_dev, status.st_ino))
