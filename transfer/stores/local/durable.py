"""Lands one download: complete and durable under its final name, or not there at all.

The bytes go to a temporary file in the same folder, with their space reserved first. The order of the end is
what makes it safe: the file's bytes reach the disk, then the name changes in one step, then the folder
reaches the disk. Whatever had the final name before stays whole until that step. Whether the bytes are right
is decided elsewhere, before `commit`. Every call blocks: for worker threads.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from functools import cache
from pathlib import Path

from transfer.model.errors import LocalFileError, TransferError
from transfer.stores.local.folders import Folder, clash_error, open_below, split_relative
from transfer.stores.local.places import Place, require_replaceable
from transfer.stores.local.spelling import lock_of_name
from transfer.stores.local.storage import reserve, sync_file
from transfer.stores.local.temporary import (
    create_temporary,
    is_temporary_of,
    open_temporary,
    remove_open,
    still_means,
)

_ONLY_CLOSED_FILES_MOVE = sys.platform == "win32"
"""Whether a file must be closed before it is renamed or removed. Elsewhere it stays open until then: its descriptor
holds the lock that keeps others from taking it over."""

_UMASK_LOCK = threading.Lock()


class DurableFile:
    """A file on its way to its final name.

    Attributes:
        path: The final path as the user would write it.
        fd: Open for reading and writing at explicit offsets; -1 after `commit`, `keep` or `discard`.
    """

    __slots__ = ("_folder", "_name", "_place", "_temporary", "fd", "path")

    def __init__(self, folder: Folder, place: Place, temporary: str, fd: int) -> None:
        self._folder = folder
        self._place = place
        self._name = place.name
        self._temporary: str | None = temporary
        self.fd = fd
        self.path = folder.path_of(place.name)

    @classmethod
    def create(
        cls,
        root: str,
        relative: str,
        size: int | None,
        temporary: str | None = None,
        *,
        keeps_spelling: bool = False,
    ) -> DurableFile:
        """Make the folders on the way, a temporary file beside the final name, and room for the bytes.

        Args:
            root: The folder that nothing may leave; "" is the current one. It is made when missing and may be
                a link.
            relative: The file's path below the root, with `/` between components. Links on the way are
                refused.
            size: In bytes; None when it is not known before the end.
            temporary: What to call the temporary file (`new_temporary_name`); None lets it be chosen, and takes over
                what a killed run may have left of the same file.
            keeps_spelling: Never replace a file that the disk spells differently: it is another key's.

        Raises:
            NameClashError: The final name is a folder, a folder on the way is a file, or the disk takes the name for
                that of a file which it spells differently.
            LocalFileError: The final name is no regular file, there is no space, or the system refuses otherwise.
                Nothing temporary stays behind.
            UnsafeKeyError: `relative` could lead out of the root.
        """
        *folders, name = split_relative(relative) or [""]
        if not name:
            raise LocalFileError("the file has no name", subject=root, remedy="name a file")
        folder = open_below(root, folders)
        place = Place(root, relative, name, keeps_spelling)
        try:
            require_replaceable(folder, place)
            if temporary is None:
                temporary, fd = create_temporary(folder, name)
            else:
                fd = folder.create_file(temporary)
        except OSError as error:
            folder.close()
            raise LocalFileError.from_os_error(error, folder.path_of(name)) from error
        except TransferError:
            folder.close()
            raise
        landing = cls(folder, place, temporary, fd)
        if size:
            landing._reserve(size)
        return landing

    @classmethod
    def reopen(
        cls, root: str, relative: str, temporary: str, size: int, *, keeps_spelling: bool = False
    ) -> DurableFile | None:
        """Go on with the temporary file that an earlier run kept or was killed over.

        Args:
            root: As for `create`.
            relative: The same.
            temporary: The name it had; anything that is no such name is not looked for.
            size: What it must have, in bytes.
            keeps_spelling: As for `create`.

        Returns:
            None when there is no such file of that size. What its bytes are worth is for the caller to find out.

        Raises:
            LocalFileError: As for `create`.
            UnsafeKeyError: The same; NameClashError is one.
        """
        *folders, name = split_relative(relative) or [""]
        if not name or not is_temporary_of(name, temporary):
            return None
        folder = open_below(root, folders)
        place = Place(root, relative, name, keeps_spelling)
        try:
            require_replaceable(folder, place)
            fd = open_temporary(folder, temporary, size)
        except OSError as error:
            folder.close()
            raise LocalFileError.from_os_error(error, folder.path_of(name)) from error
        except TransferError:
            folder.close()
            raise
        if fd is None:
            folder.close()
            return None
        return cls(folder, place, temporary, fd)

    @property
    def temporary(self) -> str:
        """The name of the temporary file, for `reopen`; "" when it is gone or has its final name."""
        return self._temporary or ""

    def commit(self, mtime_ns: int | None) -> None:
        """Return when the file has its final name, permissions and time, and a loss of power cannot undo it.

        Args:
            mtime_ns: Modification time in nanoseconds since the epoch; None leaves the time of the last
                write.

        Raises:
            NameClashError: As for `create`: the name was taken meanwhile. The temporary file is gone.
            LocalFileError: The system refuses, or the temporary name has come to mean nothing or the file of another.
                The temporary file is gone.
            ValueError: The file was committed or discarded before.
        """
        if self._temporary is None:
            raise ValueError(f"{self.path} was committed or discarded before")
        try:
            self._finish_contents(mtime_ns)
            with (
                lock_of_name(self._name),
                self._folder.locked() if self._place.keeps_spelling else contextlib.nullcontext(),
            ):
                require_replaceable(self._folder, self._place)
                self._require_own(self._temporary)
                self._folder.replace(self._temporary, self._name)
            self._temporary = None
            self._folder.sync()
        except (IsADirectoryError, NotADirectoryError) as error:
            raise clash_error(self.path, self._name) from error
        except OSError as error:
            raise LocalFileError.from_os_error(error, self.path) from error
        except OverflowError as error:
            raise LocalFileError("the modification time is out of the system's range", subject=self.path) from error
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove what is unfinished and close everything. Never raises; harmless after `commit` and twice."""
        temporary, self._temporary = self._temporary, None
        if temporary is not None and self.fd >= 0 and not _ONLY_CLOSED_FILES_MOVE:
            with contextlib.suppress(OSError):
                remove_open(self._folder, temporary, self.fd)
        with contextlib.suppress(OSError):
            self._close_file()
        if temporary is not None and _ONLY_CLOSED_FILES_MOVE:
            with contextlib.suppress(OSError):
                self._folder.remove_file(temporary)
        with contextlib.suppress(OSError):
            self._folder.close()

    def keep(self) -> None:
        """Close everything and leave the temporary file for a later `reopen`. Never raises."""
        self._temporary = None
        self.discard()

    def _reserve(self, size: int) -> None:
        try:
            reserve(self.fd, size)
        except (OSError, OverflowError) as error:
            self.discard()
            if isinstance(error, OSError):
                raise LocalFileError.from_os_error(error, self.path) from error
            raise LocalFileError("the file is too large for this system", subject=self.path) from error

    def _finish_contents(self, mtime_ns: int | None) -> None:
        """Permissions and time come before the sync, so that all reach the disk together."""
        if hasattr(os, "fchmod"):
            os.fchmod(self.fd, 0o666 & ~_umask())
        times = None if mtime_ns is None else (mtime_ns, mtime_ns)
        if times is not None and os.utime in os.supports_fd:
            os.utime(self.fd, ns=times)
        sync_file(self.fd)
        if _ONLY_CLOSED_FILES_MOVE:
            self._close_file()
        # Windows knows no utime on a descriptor, and would change the time again when it closes the file.
        if times is not None and os.utime not in os.supports_fd and self._temporary is not None:
            os.utime(Path(self._folder.path, self._temporary), ns=times)

    def _require_own(self, temporary: str) -> None:
        """Never give the final name to bytes of another. What is closed had a name of its own, and no lock."""
        if self.fd >= 0 and not still_means(self._folder, temporary, self.fd):
            raise LocalFileError(
                "another process took the temporary file",
                subject=self.path,
                remedy="run again when nothing else writes or cleans up in this folder",
            )

    def _close_file(self) -> None:
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)


def make_folder(root: str, relative: str) -> None:
    """Make the folder `relative` below `root`, as a `name/` marker asks for; "" is the root itself.

    Raises:
        NameClashError: A component is a file.
        LocalFileError: A component is a link, or the system refuses.
        UnsafeKeyError: `relative` could lead out of the root.
    """
    open_below(root, split_relative(relative)).close()


@cache
def _umask() -> int:
    """The permissions the user withholds from new files; read once, as the system only tells by changing it.

    Linux shows it in /proc. Elsewhere a file made by another thread in that instant is more private, never
    less.
    """
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    with _UMASK_LOCK:
        umask = os.umask(0o077)
        os.umask(umask)
    return umask
