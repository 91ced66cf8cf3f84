"""Walks a folder in the order in which a store lists the same keys, so that both sides can be merged.

Stores list by the bytes of the UTF-8 key. A folder therefore takes the place of `name/` among its neighbours:
`a-b` and `a.b` come before the contents of `a`. Only the folders on the way to the current entry are in
memory, never the tree. What cannot be moved becomes a warning in its place; nothing is left out without one.
Files are not opened here.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from transfer.model.errors import LocalFileError
from transfer.model.values import dataclass
from transfer.plan.filters import Wants
from transfer.plan.wildcards import compile_pattern, literal_prefix, relative_base
from transfer.stores.local.temporary import is_temporary


@dataclass(frozen=True, slots=True)
class WalkedFile:
    """A regular file.

    Attributes:
        path: The root as the user wrote it, and the way from there.
        relative: The way from the root, with `/` between components.
        size: In bytes.
        mtime_ns: Modification time in nanoseconds since the epoch.
    """

    path: str
    relative: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class WalkWarning:
    """Something in the tree that is not moved, and why; `path` is fit for printing.

    Attributes:
        relative: The way from the root, with a slash at the end of a folder's: in its place among the others.
        is_loss: It should have been moved, but could not be read; else it is something that cannot be moved at all.
    """

    path: str
    relative: str
    reason: str
    is_loss: bool = False


@dataclass(frozen=True, slots=True)
class _Choice:
    """What a walk looks at, and which relative names it cares for."""

    follow_symlinks: bool
    wants: Callable[[str], bool] = lambda _: True
    may_hold_wanted: Callable[[str], bool] = lambda _: True
    wants_file: Callable[[WalkedFile], bool] = lambda _: True


@dataclass(frozen=True, slots=True)
class _Problem:
    """Why a name cannot be looked at; it may be that of a folder."""

    reason: str
    is_loss: bool = False


@dataclass(frozen=True, slots=True)
class _Level:
    """A folder being walked. Only names are kept of what is in it: there may be millions.

    Attributes:
        relative: Its name below the root with a final slash.
        names: What is left to look at, the next one last; names of folders end in a slash.
        problems: Why some of them cannot even be looked at, and whether that is a loss.
    """

    identity: tuple[int, int]
    path: str
    relative: str
    names: list[str]
    problems: dict[str, _Problem]


def walk_files(root: str, *, follow_symlinks: bool, wants: Wants | None = None) -> Iterator[WalkedFile | WalkWarning]:
    """Every regular file below a folder, in the order of the UTF-8 bytes of `relative`.

    Links to folders are entered unless they lead back into a folder on the way to them. Links that are not
    followed, broken links, loops, sockets, pipes, devices, folders that cannot be read and names that are no
    UTF-8 give warnings.

    Args:
        root: The folder; "" is the current one. It may itself be a symbolic link.
        follow_symlinks: False leaves out every symbolic link below the root, with a warning each.
        wants: What is yielded and warned of; None means all. Folders that can hold nothing of it are not read.

    Raises:
        LocalFileError: The root does not exist, is no folder or cannot be read. Raised at the first step.
    """
    if wants is None:
        return _walk(root, _Choice(follow_symlinks))
    choice = _Choice(
        follow_symlinks,
        wants=wants.wants_name,
        may_hold_wanted=wants.may_hold_wanted,
        wants_file=lambda found: wants(found.relative, found.size, found.mtime_ns / 1e9, ""),
    )
    return _walk(root, choice)


def expand_wildcard(pattern: str, *, follow_symlinks: bool) -> Iterator[WalkedFile | WalkWarning]:
    """Every regular file whose path matches a pattern, by the rules of `transfer.plan.wildcards`.

    Wildcards cross folders and match names that start with a dot: `logs/*.gz` is every such file at any depth
    below `logs`. `relative` is the path without `relative_base(pattern)`. Warnings come only for what the
    pattern could mean.

    Raises:
        LocalFileError: The folder before the first wildcard does not exist, is no folder or cannot be read.
    """
    pattern = pattern.replace(os.sep, "/")
    base = relative_base(pattern)
    prefix = literal_prefix(pattern)[len(base) :]
    matches = compile_pattern(pattern).match
    choice = _Choice(
        follow_symlinks,
        wants=lambda relative: matches(base + relative) is not None,
        may_hold_wanted=lambda relative: f"{relative}/".startswith(prefix),
    )
    return _walk(base, choice)


def _walk(root: str, choice: _Choice) -> Iterator[WalkedFile | WalkWarning]:
    try:
        levels = [_open_level(root, "", choice)]
    except OSError as error:
        raise LocalFileError.from_os_error(error, root or ".") from error
    while levels:
        level = levels[-1]
        if not level.names:
            levels.pop()
            continue
        entry = level.names.pop()
        name = entry.removesuffix("/")
        relative = level.relative + name
        path = _join(level.path, name)
        problem = level.problems.get(entry) if level.problems else None
        may_be_folder = name != entry or (problem is not None and problem.is_loss)
        if not ((name == entry and choice.wants(relative)) or (may_be_folder and choice.may_hold_wanted(relative))):
            continue
        if problem is not None:
            met: WalkedFile | WalkWarning | _Level = _warning(path, relative, problem.reason, is_loss=problem.is_loss)
        else:
            met = _look_at(path, level.relative + entry, choice)
        if isinstance(met, _Level):
            if any(met.identity == above.identity for above in levels):
                yield _warning(path, met.relative, "the link leads back into a folder above it")
            else:
                levels.append(met)
        elif isinstance(met, WalkWarning) or choice.wants_file(met):
            yield met


def _look_at(path: str, relative: str, choice: _Choice) -> WalkedFile | WalkWarning | _Level:
    """Look at what has no problem yet; the relative name of a folder ends in a slash."""
    try:
        if relative.endswith("/"):
            return _open_level(path, relative, choice)
        status = os.stat(path)  # noqa: PTH116 - a Path for each file would cost more than the call
    except FileNotFoundError:
        reason = "a broken link" if Path(path).is_symlink() else "it vanished during the walk"
        return _warning(path, relative.removesuffix("/"), reason)
    except OSError as error:
        return _warning(path, relative, f"it cannot be read: {_reason(error)}", is_loss=True)
    if not stat.S_ISREG(status.st_mode):
        return _warning(path, relative, f"{kind_of(status.st_mode)}, not a regular file")
    return WalkedFile(path, relative, status.st_size, status.st_mtime_ns)


def kind_of(mode: int) -> str:
    """What a file of this `st_mode` is, in words."""
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFREG: "a regular file",
    }
    return kinds.get(stat.S_IFMT(mode), "a special file")


def _open_level(path: str, relative: str, choice: _Choice) -> _Level:
    """Read one folder whole and close it: an open descriptor for each level would limit the depth."""
    folder = path or os.curdir
    status = Path(folder).stat()
    names: list[str] = []
    problems: dict[str, _Problem] = {}
    order = None
    with os.scandir(folder) as found:
        for entry in found:
            if is_temporary(entry.name):
                # An unfinished download of this program: nobody's to move, and its own to remove.
                continue
            name, problem = _named(entry, choice)
            names.append(name)
            if not name.isascii() and _is_surrogate_escaped(name):
                problem = _Problem("the name is no UTF-8 text, so no key can carry it")
                # Only without such names the order of characters is that of their bytes.
                order = os.fsencode
            if problem:
                problems[name] = problem
    names.sort(key=order, reverse=True)
    return _Level((status.st_dev, status.st_ino), path, relative, names, problems)


def _named(found: os.DirEntry[str], choice: _Choice) -> tuple[str, _Problem | None]:
    """The name of an entry, with a slash if it is a folder to enter, and what stands against looking at it."""
    try:
        if not choice.follow_symlinks and found.is_symlink():
            return found.name, _Problem("symbolic link not followed")
        return (f"{found.name}/" if found.is_dir() else found.name), None
    except OSError as error:
        # A link that leads round in circles leads nowhere: nothing of it is lost.
        return found.name, _Problem(f"it cannot be read: {_reason(error)}", is_loss=error.errno != errno.ELOOP)


def _is_surrogate_escaped(name: str) -> bool:
    """Whether the name has bytes that are no UTF-8: Python shows them as lone surrogates (PEP 383)."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return True
    return False


def _warning(path: str, relative: str, reason: str, *, is_loss: bool = False) -> WalkWarning:
    return WalkWarning(os.fsencode(path).decode("utf-8", "backslashreplace"), relative, reason, is_loss)


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _join(folder: str, name: str) -> str:
    """Like `os.path.join` for a plain name; one path is made for every file, so a Path object would cost."""
    return f"{folder}{name}" if not folder or folder.endswith(("/", os.sep)) else f"{folder}{os.sep}{name}"
