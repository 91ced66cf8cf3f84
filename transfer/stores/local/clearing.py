"""Removing files below a folder, or moving them out of it. Blocking: for worker threads.

Names are taken relative to the folder and never followed through a link, so nothing outside of it is removed. Folders
that become empty through it go too, as they would in a mirror made from nothing.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from transfer.model.errors import LocalFileError
from transfer.stores.local.folders import Folder, open_below, split_relative


def remove_below(root: str, relative: str) -> None:
    """Remove a file below a folder; one that is gone already is none to complain about.

    Args:
        root: The folder; never removed itself.
        relative: The file's name below it, with `/` between components.

    Raises:
        LocalFileError: The system refuses.
        UnsafeKeyError: The name could lead elsewhere.
    """
    *above, name = split_relative(relative)
    _act(root, relative, above, lambda folder: folder.remove_file(name))
    _remove_empty(root, above)


def move_below(root: str, relative: str, other_root: str) -> None:
    """Move a file from below one folder to the same place below another, in place of what is there.

    Raises:
        LocalFileError: The system refuses; the other folder must be on the same file system.
        UnsafeKeyError: The name could lead elsewhere.
    """
    *above, name = split_relative(relative)
    target = open_below(other_root, above)
    try:
        _act(root, relative, above, lambda folder: folder.move_to(name, target))
    finally:
        target.close()
    _remove_empty(root, above)


def _act(root: str, relative: str, above: list[str], act: Callable[[Folder], None]) -> None:
    folder = open_below(root, above)
    try:
        act(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        path = f"{root.rstrip('/')}/{relative}" if root else relative
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
