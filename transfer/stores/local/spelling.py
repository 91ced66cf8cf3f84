"""How a disk spells names that it takes for one: folders that ignore case, or forms of Unicode.

Only looked at when a name is there already, so that a download into an empty folder costs nothing. Blocking: for worker
threads.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Final

from transfer.plan.keys import RUNS_ON_WINDOWS
from transfer.system.paths import absolute_path

_COMPOSED: Final = "\u00e9"
_DECOMPOSED: Final = "e\u0301"
_LOCKS: Final = tuple(threading.Lock() for _ in range(64))


def lock_of_name(name: str) -> threading.Lock:
    """A lock that names which a disk may take for one share: it makes looking and renaming one step."""
    if name.isascii():
        folded = name.lower()
    else:
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name.casefold()).casefold())
    return _LOCKS[hash(folded) % len(_LOCKS)]


def folds_names(root: str) -> bool:
    """Whether a folder takes names that differ in case, or in the form of Unicode, for one.

    It is tried once, by making a file there; False when none can be made.
    """
    return _folds_names(absolute_path(root or os.curdir))


def spelling_on_disk(root: str, relative: str) -> str:
    """How the disk spells a path that is there.

    Args:
        root: The folder, spelled as it may be.
        relative: The way from it, with `/` between components.

    Raises:
        OSError: It is not there, or cannot be looked at.
    """
    folder = Path(root or os.curdir)
    spelled: list[str] = []
    for name in relative.split("/"):
        spelled.append(_name_on_disk(folder, name))
        folder = folder / name
    return "/".join(spelled)


@lru_cache(maxsize=64)
def _folds_names(root: str) -> bool:
    name = f".{_COMPOSED}case-{os.urandom(6).hex()}.transfer"
    probe = Path(root, name)
    try:
        fd = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except (OSError, UnicodeError):
        return False
    os.close(fd)
    others = (name.replace("case", "CASE"), name.replace(_COMPOSED, _DECOMPOSED))
    try:
        return any(Path(root, other).exists() for other in others)
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _name_on_disk(folder: Path, name: str) -> str:
    path = folder / name
    if RUNS_ON_WINDOWS:
        return Path(os.path.realpath(path)).name
    if sys.platform == "darwin":
        return _name_of_descriptor(path)
    status = path.lstat()
    with os.scandir(folder) as found:
        same = [entry.name for entry in found if entry.inode() == status.st_ino]
    # A file may have several names; the one that was asked for is one of them, if the disk tells it from others.
    return name if name in same or not same else same[0]


def _name_of_descriptor(path: Path) -> str:
    """F_GETPATH answers with the spelling of the disk, without reading the folder (macOS, fcntl(2))."""
    import fcntl

    fd = os.open(path, os.O_RDONLY | getattr(os, "O_SYMLINK", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        found = fcntl.fcntl(fd, getattr(fcntl, "F_GETPATH"), bytes(1024))  # noqa: B009 - only macOS defines it
    finally:
        os.close(fd)
    return Path(os.fsdecode(found.rstrip(b"\0"))).name
