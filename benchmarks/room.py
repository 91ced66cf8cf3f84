"""Where data is kept during a run, and how much of it may be used."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

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


def _available_memory_bytes(otherwise: int) -> int:
    """Read MemAvailable of proc(5): a memory file system's free size is a promise, not memory."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return otherwise
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return found[0] if found else otherwise
