"""Lands small files whose bytes are all in memory: complete and durable under their final names, or not there at all.

Such a file is made without a name (O_TMPFILE) and given its own when its bytes are on the disk, in one step that
replaces nothing: a run that is killed leaves nothing behind. What cannot go this way, because the name is taken or the
system has no such files, goes through a temporary file (`durable`), which also says why when nothing can be done.
Whether the bytes are right is decided elsewhere, before. Every call blocks: for worker threads, except on file systems
in memory.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from transfer.model.errors import LocalFileError, TransferError
from transfer.model.values import dataclass
from transfer.stores.local.durable import DurableFile
from transfer.stores.local.folders import Folder, open_below, split_relative
from transfer.stores.local.spelling import lock_of_name
from transfer.stores.local.storage import is_in_memory, sync_file
from transfer.system.positional import write_at

KEPT_FOLDERS: Final = 4
"""Folders kept open: a listing goes through one after the other, and what is received overlaps at their ends."""


@dataclass(frozen=True, slots=True)
class WholeFile:
    """A small file to be.

    Attributes:
        root: The folder that nothing may leave; "" is the current one. It is made when missing and may be a link.
        relative: The file's path below the root, with `/` between components. Links on the way are refused.
        content: All of it.
        mtime_ns: Modification time in nanoseconds since the epoch; None leaves the time of the writing.
        keeps_spelling: Never replace a file that the disk spells differently: it is another key's.
    """

    root: str
    relative: str
    content: bytes | bytearray
    mtime_ns: int | None
    keeps_spelling: bool


@dataclass(frozen=True, slots=True)
class _OpenFolder:
    """A folder, which of all it is, and how paths in it begin."""

    folder: Folder
    identity: tuple[int, int]
    path: str
    prefix: str
    in_memory: bool


class OpenFolders:
    """The folders that files went to last, kept open. Not for several threads at a time.

    A folder that was renamed is still the same one through a link that has taken its place.
    """

    def __init__(self) -> None:
        self._open: Final[dict[tuple[str, str], _OpenFolder]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def at(self, root: str, relative: str) -> _OpenFolder:
        """The folder `relative` below `root`, as it is now; made when it is missing.

        Raises:
            LocalFileError: As `open_below`.
            UnsafeKeyError: `relative` could lead out of the root.
        """
        found = self._open.get((root, relative))
        if found is not None:
            if _identity_at(found.path) == found.identity:
                return found
            self._open.pop((root, relative)).folder.close()
        if len(self._open) >= KEPT_FOLDERS:
            self._open.pop(next(iter(self._open))).folder.close()
        folder = open_below(root, split_relative(relative))
        path = str(Path(folder.path))
        prefix = "" if path == os.curdir else os.path.join(path, "")  # noqa: PTH118 - a Path drops the final slash
        try:
            identity = folder.identity()
        except OSError as error:
            folder.close()
            raise LocalFileError.from_os_error(error, path) from error
        found = _OpenFolder(folder, identity, path, prefix, is_in_memory(identity[0]))
        self._open[root, relative] = found
        return found

    def close(self) -> None:
        """Close them all; they are opened again when they are asked for."""
        while self._open:
            self._open.popitem()[1].folder.close()


def land(files: Sequence[WholeFile], folders: OpenFolders) -> list[str | TransferError]:
    """Return when files have their final names and times, and a loss of power cannot undo it.

    A folder's names are made durable once for all files that go there.

    Returns:
        For each file its path as the user would write it, or why it could not be landed: NameClashError, UnsafeKeyError
        or LocalFileError, as `DurableFile` raises them. Nothing of it stays behind then, unless all that failed is
        making the folder's names durable.
    """
    results: list[str | TransferError] = [""] * len(files)
    by_folder: dict[tuple[str, str], list[int]] = {}
    for index, file in enumerate(files):
        by_folder.setdefault((file.root, file.relative.rpartition("/")[0]), []).append(index)
    for (root, above), indexes in by_folder.items():
        place = _opened(folders, root, above)
        for index in indexes:
            results[index] = _land_one(place, files[index])
        if place is not None and not place.in_memory:
            _sync(place, indexes, results)
    return results


def _opened(folders: OpenFolders, root: str, above: str) -> _OpenFolder | None:
    try:
        return folders.at(root, above)
    except TransferError:
        return None


def _land_one(place: _OpenFolder | None, file: WholeFile) -> str | TransferError:
    try:
        name = file.relative.rpartition("/")[2]
        if place is not None and split_relative(name) and _land_unnamed(place, name, file):
            return place.prefix + name
        return _land_named(file)
    except TransferError as error:
        return error


def _land_unnamed(place: _OpenFolder, name: str, file: WholeFile) -> bool:
    """Make the file without a name and give it its own; False when that cannot be."""
    folder = place.folder
    try:
        fd = folder.create_unnamed()
    except OSError:
        return False
    try:
        write_at(fd, memoryview(file.content), 0)
        if file.mtime_ns is not None:
            os.utime(fd, ns=(file.mtime_ns, file.mtime_ns))
        if not place.in_memory:
            sync_file(fd)
        with lock_of_name(name):
            folder.link(fd, name)
    except (OSError, OverflowError):
        return False
    finally:
        # On a disk fsync has spoken by now.
        with contextlib.suppress(OSError):
            os.close(fd)
    return True


def _land_named(file: WholeFile) -> str:
    size = len(file.content)
    landing = DurableFile.create(file.root, file.relative, size, keeps_spelling=file.keeps_spelling)
    try:
        write_at(landing.fd, memoryview(file.content), 0)
        landing.commit(file.mtime_ns)
    except OSError as error:
        raise LocalFileError.from_os_error(error, landing.path) from error
    finally:
        landing.discard()
    return landing.path


def _sync(place: _OpenFolder, indexes: Sequence[int], results: list[str | TransferError]) -> None:
    try:
        place.folder.sync()
    except OSError as error:
        for index in indexes:
            if not isinstance(results[index], TransferError):
                results[index] = LocalFileError.from_os_error(error, str(results[index]))


def _identity_at(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path for each file would cost more than the call
    except OSError:
        return None
    return status.st_dev, status.st_ino
