"""Walks a folder in the order in which a store lists the same keys, so that both sides can be merged.

Stores list by the bytes of the UTF-8 key. A folder therefore takes the place of `name/` among its neighbours:
`a-b` and `a.b` come before the contents of `a`. Only the folders on the way to the current entry are in
memory, never the tree. What cannot be moved becomes a warning in its place; nothing is left out without one.
Files are not opened here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from transfer.model.errors import LocalFileError
from transfer.plan.wildcards import compile_pattern, literal_prefix, relative_base


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
        is_loss: It should have been moved, but could not be read; else it is something that cannot be moved at all.
    """

    path: str
    reason: str
    is_loss: bool = False


@dataclass(frozen=True, slots=True)
class _Choice:
    """What a walk looks at, and which relative names it cares for."""

    follow_symlinks: bool
    wants: Callable[[str], bool] = lambda _: True
    may_hold_wanted: Callable[[str], bool] = lambda _: True


@dataclass(frozen=True, slots=True)
class _Level:
    """A folder being walked; `relative` is its name below the root with a final slash."""

    identity: tuple[int, int]
    path: str
    relative: str
    entries: Iterator[_Entry]


@dataclass(frozen=True, slots=True)
class _Entry:
    """One name in a folder; `problem` says why it cannot even be looked at."""

    name: str
    found: os.DirEntry[str]
    is_folder: bool
    problem: str | None

    @property
    def sort_key(self) -> bytes:
        return os.fsencode(f"{self.name}/" if self.is_folder else self.name)


def walk_files(root: str, *, follow_symlinks: bool) -> Iterator[WalkedFile | WalkWarning]:
    """Every regular file below a folder, in the order of the UTF-8 bytes of `relative`.

    Links to folders are entered unless they lead back into a folder on the way to them. Links that are not
    followed, broken links, loops, sockets, pipes, devices, folders that cannot be read and names that are no
    UTF-8 give warnings.

    Args:
        root: The folder; "" is the current one. It may itself be a symbolic link.
        follow_symlinks: False leaves out every symbolic link below the root, with a warning each.

    Raises:
        LocalFileError: The root does not exist, is no folder or cannot be read. Raised at the first step.
    """
    return _walk(root, _Choice(follow_symlinks))


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
        entry = next(level.entries, None)
        if entry is None:
            levels.pop()
            continue
        relative = level.relative + entry.name
        if not (choice.may_hold_wanted if entry.is_folder else choice.wants)(relative):
            continue
        path = _join(level.path, entry.name)
        met = _look_at(entry, path, relative, choice)
        if isinstance(met, _Level):
            if any(met.identity == above.identity for above in levels):
                yield _warning(path, "the link leads back into a folder above it")
            else:
                levels.append(met)
        else:
            yield met


def _look_at(entry: _Entry, path: str, relative: str, choice: _Choice) -> WalkedFile | WalkWarning | _Level:
    if entry.problem:
        return _warning(path, entry.problem)
    try:
        if entry.is_folder:
            return _open_level(path, f"{relative}/", choice)
        status = entry.found.stat()
    except FileNotFoundError:
        return _warning(path, "a broken link" if entry.found.is_symlink() else "it vanished during the walk")
    except OSError as error:
        return _warning(path, f"it cannot be read: {_reason(error)}", is_loss=True)
    if not stat.S_ISREG(status.st_mode):
        return _warning(path, f"{kind_of(status.st_mode)}, not a regular file")
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
    with os.scandir(folder) as found:
        entries = sorted((_entry(item, choice) for item in found), key=lambda entry: entry.sort_key)
    return _Level((status.st_dev, status.st_ino), path, relative, iter(entries))


def _entry(found: os.DirEntry[str], choice: _Choice) -> _Entry:
    problem = None
    is_folder = False
    try:
        is_folder = found.is_dir()
        if found.is_symlink() and not choice.follow_symlinks:
            problem, is_folder = "symbolic link not followed", False
    except OSError as error:
        problem = f"it cannot be read: {_reason(error)}"
    if _is_surrogate_escaped(found.name):
        problem = "the name is no UTF-8 text, so no key can carry it"
    return _Entry(found.name, found, is_folder, problem)


def _is_surrogate_escaped(name: str) -> bool:
    """Whether the name has bytes that are no UTF-8: Python shows them as lone surrogates (PEP 383)."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return True
    return False


def _warning(path: str, reason: str, *, is_loss: bool = False) -> WalkWarning:
    return WalkWarning(os.fsencode(path).decode("utf-8", "backslashreplace"), reason, is_loss)


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _join(folder: str, name: str) -> str:
    """Like `os.path.join` for a plain name; one path is made for every file, so a Path object would cost."""
    return f"{folder}{name}" if not folder or folder.endswith(("/", os.sep)) else f"{folder}{os.sep}{name}"
