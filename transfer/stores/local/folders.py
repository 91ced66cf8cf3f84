"""Folders below a root that nothing can lead out of: entered one component at a time, never through a link.

Where the system opens names relative to a folder's descriptor, a folder that is swapped for a link in the
meantime changes nothing. Elsewhere paths are checked before use, which is the best such a system offers. A
folder made here is durable (its name is on the disk) before anything is put into it. Blocking: for worker
threads.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from transfer.model.errors import LocalFileError, NameClashError, TargetFolderError, TransferError, UnsafeKeyError
from transfer.stores.local.storage import sync_folder

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]  # Windows has none

BY_DESCRIPTOR = {os.open, os.mkdir, os.stat, os.unlink, os.readlink, os.rename} <= os.supports_dir_fd
"""Whether this system opens, makes, renames and removes names relative to a folder's descriptor."""

_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_LOCK_TRIALS = 1000
_LOCK_PAUSE_SECONDS = 0.001
"""A second in all: what is done under the lock takes some microseconds."""
_STAYS_SO = {
    errno.EACCES,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}
"""Reasons that the next file below a folder would meet as well; a server of files that is away for a moment is none."""
_UNNAMED: int = getattr(os, "O_TMPFILE", 0)


class Folder:
    """An open folder; names given to its methods are single components.

    Attributes:
        path: The way to it as the user would write it.
    """

    __slots__ = ("_fd", "path")

    def __init__(self, path: str, fd: int | None) -> None:
        self.path = path
        self._fd = fd

    def identity(self) -> tuple[int, int]:
        """Which folder of all it is: its device and inode; zeros where the system has none.

        Raises:
            OSError: As the system says.
        """
        status = os.stat(self.path or os.curdir) if self._fd is None else os.fstat(self._fd)  # noqa: PTH116 - one for both
        return status.st_dev, status.st_ino

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes of this program from looking and renaming in between.

        Without locks, or when nobody lets go of one, all goes on as if there were no other process.
        """
        fd = None if fcntl is None else self._fd
        if fd is None or not _lock(fd):
            yield
            return
        try:
            yield
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)

    def path_of(self, name: str) -> str:
        """How the user would write the name of something in this folder."""
        return name if self.path in ("", os.curdir) else str(Path(self.path, name))

    def enter(self, name: str) -> Folder:
        """Open the folder `name` below this one; it is made when it is missing.

        Raises:
            NameClashError: `name` is a file.
            LocalFileError: It is a link, leads out of this folder, or the system refuses.
        """
        path = self.path_of(name)
        try:
            try:
                return self._open_folder(name, path)
            except FileNotFoundError:
                self._make_folder(name)
                return self._open_folder(name, path)
        except OSError as error:
            raise self._why_not_entered(name, path, error) from error

    def create_file(self, name: str) -> int:
        """Open a new file for reading and writing that only its owner may see.

        Raises:
            OSError: As the system says; FileExistsError when the name is taken.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        return os.open(self._at(name), flags | _NO_LINK, 0o600, dir_fd=self._fd)

    def create_unnamed(self) -> int:
        """Open a new file for writing that has no name, and is gone when it is closed before `link` gives it one.

        Raises:
            OSError: As the system says; EOPNOTSUPP, EISDIR or EINVAL where it knows no such files (open(2), O_TMPFILE).
        """
        if self._fd is None or not _UNNAMED:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return os.open(".", _UNNAMED | os.O_WRONLY | os.O_CLOEXEC, 0o666, dir_fd=self._fd)

    def link(self, fd: int, name: str) -> None:
        """Give the open file without a name this one.

        Raises:
            OSError: As the system says; FileExistsError when the name is taken.
        """
        os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=self._fd, follow_symlinks=True)

    def open_file(self, name: str) -> int:
        """Open a file that is there for reading and writing.

        Raises:
            OSError: As the system says; also when `name` is a link.
        """
        flags = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
        return os.open(self._at(name), flags | _NO_LINK, dir_fd=self._fd)

    def status(self, name: str, *, follow_symlinks: bool) -> os.stat_result | None:
        """What `name` is now; None when there is no such thing."""
        try:
            return os.stat(self._at(name), dir_fd=self._fd, follow_symlinks=follow_symlinks)
        except FileNotFoundError:
            return None

    def link_target(self, name: str) -> str | None:
        """Where the link `name` leads, as it is written there; None when `name` is no link or not there."""
        try:
            return os.readlink(self._at(name), dir_fd=self._fd)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return None
            raise

    def replace(self, old: str, new: str) -> None:
        """Give `old` the name `new` in one step, in place of a file of that name."""
        os.replace(self._at(old), self._at(new), src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def remove_file(self, name: str) -> None:
        """Remove a file."""
        os.unlink(self._at(name), dir_fd=self._fd)

    def remove_folder(self, name: str) -> None:
        """Remove an empty folder.

        Raises:
            OSError: As the system says; also when it is not empty.
        """
        os.rmdir(self._at(name), dir_fd=self._fd)

    def move_to(self, name: str, other: Folder) -> None:
        """Move a file to another folder under the same name, in one step, in place of a file there.

        Raises:
            OSError: As the system says; EXDEV when it is on another file system.
        """
        os.replace(self._at(name), other._at(name), src_dir_fd=self._fd, dst_dir_fd=other._fd)

    def sync(self) -> None:
        """Return when the names in this folder would survive a loss of power."""
        if self._fd is not None:
            sync_folder(self._fd)

    def close(self) -> None:
        """Close the descriptor; closing again does nothing."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)

    def _at(self, name: str) -> str:
        return name if self._fd is not None else str(Path(self.path, name))

    def _make_folder(self, name: str) -> None:
        # When another worker was faster, the name may still not be on the disk: it is synced all the same.
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._at(name), dir_fd=self._fd)
        self.sync()

    def _open_folder(self, name: str, path: str) -> Folder:
        if self._fd is not None:
            return Folder(path, os.open(name, _FOLDER_FLAGS | _NO_LINK, dir_fd=self._fd))
        child = Path(self.path, name)
        if not stat.S_ISDIR(child.lstat().st_mode):
            raise NotADirectoryError(str(child))
        if _real(child.resolve().parent) != _real(Path(self.path).resolve()):
            raise _link_error(path)
        return Folder(str(child), None)

    def _why_not_entered(self, name: str, path: str, error: OSError) -> TransferError:
        """A link and a file both refuse to be opened as a folder, with codes that differ between systems."""
        try:
            status = self.status(name, follow_symlinks=False)
        except OSError:
            status = None
        if status is not None and stat.S_ISLNK(status.st_mode):
            return _link_error(path)
        if status is not None and not stat.S_ISDIR(status.st_mode):
            return clash_error(path, name)
        return LocalFileError.from_os_error(error, path)


def open_root(path: str) -> Folder:
    """Open the folder that everything goes below; it and its parents are made when missing; it may be a link.

    Raises:
        TargetFolderError: It is no folder, or the system does not let it be one.
        LocalFileError: The system refuses for another reason, which may pass.
    """
    root = path or os.curdir
    try:
        _make_root(Path(root))
        if BY_DESCRIPTOR:
            return Folder(root, os.open(root, _FOLDER_FLAGS))
        next(Path(root).iterdir(), None)
    except OSError as error:
        if isinstance(error, FileExistsError):
            # A file or a link to nothing, where a folder would have to be: the system says only that it is there.
            error = NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        kind = TargetFolderError if error.errno in _STAYS_SO else LocalFileError
        raise kind.from_os_error(error, root) from error
    return Folder(root, None)


def open_below(root: str, components: list[str]) -> Folder:
    """Open the folder `components` below `root`, making what is missing.

    Raises:
        LocalFileError: As `open_root` and `Folder.enter`.
    """
    folder = open_root(root)
    for depth, name in enumerate(components):
        try:
            child = folder.enter(name)
        except NameClashError as error:
            error.depth = depth
            raise
        finally:
            folder.close()
        folder = child
    return folder


def split_relative(relative: str) -> list[str]:
    """The components of a path below a root; "" is the root itself and has none.

    Raises:
        UnsafeKeyError: The path could lead elsewhere. Keys are made safe long before; this is the last line
        of defence.
    """
    components = relative.split("/") if relative else []
    for name in components:
        if name in ("", ".", "..") or "\0" in name or os.sep in name or os.path.splitdrive(name)[0]:
            raise UnsafeKeyError(
                "not a path below the target folder",
                subject=relative,
                remedy="use --unsafe-keys skip or escape",
            )
    return components


def clash_error(path: str, name: str) -> NameClashError:
    """One key is a file and another one needs a folder of the same name; a disk cannot hold both."""
    return NameClashError(f"{path} is needed both for a file and for a folder of other keys", taken=name, subject=path)


def _link_error(path: str) -> LocalFileError:
    return LocalFileError(
        "a symbolic link inside the target folder is not followed",
        subject=path,
        remedy="replace it by a folder, or name the folder it leads to as the destination",
    )


def _make_root(root: Path) -> None:
    if root.is_dir():
        return
    if not root.parent.is_dir():
        _make_root(root.parent)
    root.mkdir(exist_ok=True)
    if BY_DESCRIPTOR:
        parent = Folder("", os.open(root.parent, _FOLDER_FLAGS))
        try:
            parent.sync()
        finally:
            parent.close()


def _real(path: Path) -> str:
    return os.path.normcase(path)


def _lock(fd: int) -> bool:
    for _ in range(_LOCK_TRIALS):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE_SECONDS)
        except OSError:
            return False
        else:
            return True
    return False
