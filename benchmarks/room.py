"""Where data is kept during a run, how much of it may be used, and that it is at hand."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from benchmarks.pattern import Pattern

MEMORY_FOLDER = Path("/dev/shm")
_MEMORY_SHARE = 2
"""One part in so many of the free memory is used at most: the programs that are measured need some too."""


def free_bytes(folder: Path) -> int:
    """Return what may be written below `folder`: all that is free of a disk, half of what is free of memory."""
    free = shutil.disk_usage(folder).free
    if not folder.is_relative_to(MEMORY_FOLDER):
        return free
    return min(free, _available_memory_bytes(free)) // _MEMORY_SHARE


def default_folder(needed_bytes: int) -> Path:
    """Choose memory where it has room, so that no disk is measured, and the temporary folder elsewhere."""
    if os.access(MEMORY_FOLDER, os.W_OK) and free_bytes(MEMORY_FOLDER) > needed_bytes:
        return MEMORY_FOLDER
    return Path(tempfile.gettempdir())


def warm_memory(path: Path, size_bytes: int, pattern: Pattern) -> None:
    """Write a file of `size_bytes` and remove it, so that every run finds as much memory that is at hand.

    A virtual machine hands memory that lies free for some seconds back to its host, and the first to touch it again
    waits for its return: 1 GiB into a memory file system took 0.37 s in such memory that was at hand and 3.0 s
    otherwise. Without this the figure tells who ran after a pause.

    Raises:
        OSError: There is no room.
    """
    try:
        pattern.write(path, size_bytes)
    finally:
        path.unlink(missing_ok=True)


def _available_memory_bytes(otherwise: int) -> int:
    """Read MemAvailable of proc(5): a memory file system's free size is a promise, not memory."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return otherwise
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return found[0] if found else otherwise
