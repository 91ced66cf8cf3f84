"""Removing files below a folder, or moving them out of it. Blocking: for worker threads.

Names are taken relative to the folder and never followed through a link, so nothing outside of it is removed. Folders
that become empty through it go too, as they would in a mirror made from nothing.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable

from transfer.model.errors import LocalFileError, SourceChangedError
from transfer.model.values import dataclass
from transfer.stores.local.folders import Folder, open_below, split_relative


@dataclass(frozen=True, slots=True)
class FileBelow:
    """A file as it was seen below a folder.

    Attributes:
        relative: Its name, with `/` between components.
        size: In bytes.
        mtime_ns: Modification time in nanoseconds since the epoch.
    """

    relative: str
    size: int
    mtime_ns: int


def remove_below(root: str, seen: FileBelow) -> None:
    """Remove a file below a folder; one that is gone already is none to complain about.

    Args:
        root: The folder; never removed itself.
        seen: The file.

    Raises:
        SourceChangedError: It is not what was seen any more, so it stays.
        LocalFileError: The system refuses.
        UnsafeKeyError: The name could lead elsewhere.
    """
    *above, name = split_relative(seen.relative)
    _act(root, seen, above, lambda folder: folder.remove_file(name))
    _remove_empty(root, above)


def move_below(root: str, seen: FileBelow, other_root: str) -> None:
    """Move a file from below one folder to the same place below another, in place of what is there.

    Raises:
        SourceChangedError: It is not what was seen any more, so it stays.
        LocalFileError: The system refuses; the other folder must be on the same file system.
        UnsafeKeyError: The name could lead elsewhere.
    """
    *above, name = split_relative(seen.relative)
    target = open_below(other_root, above)
    try:
        _act(root, seen, above, lambda folder: folder.move_to(name, target))
    finally:
        target.close()
    _remove_empty(root, above)


def _act(root: str, seen: FileBelow, above: list[str], act: Callable[[Folder], None]) -> None:
    path = f"{root.rstrip('/')}/{seen.relative}" if root else seen.relative
    folder = open_below(root, above)
    try:
        status = folder.status(seen.relative.rpartition("/")[2], follow_symlinks=False)
        if status is None:
            return
        if (status.st_size, status.st_mtime_ns) != (seen.size, seen.mtime_ns) or not stat.S_ISREG(status.st_mode):
            raise SourceChangedError(
                "it changed since it was looked at, so it stays", subject=path, remedy="run it again"
            )
        act(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        found = LocalFileError.from_os_error(error, path)
        if error.errno == errno.EXDEV:
            found.remedy = "name a folder on the same file system"
        raise found from error
    finally:
        folder.close()


def _remove_empty(root: str, components: list[str]) -> None:
    """Remove folders from the innermost outwards, until one is not empty or may not be removed."""
    for depth in range(len(components) - 1, -1, -1):
        parent = open_below(root, components[:depth])
        try:
            parent.remove_folder(components[depth])
        except OSError:
            return
        finally:
            parent.close()
