"""Which file systems are mounted here, as Linux tells it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

_MOUNTINFO = Path("/proc/self/mountinfo")


def read_mounts() -> str:
    """The list of mounts; "" on systems that have none."""
    try:
        return _MOUNTINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def devices_of_type(mountinfo: str, is_wanted: Callable[[str], bool]) -> frozenset[int]:
    """Find the file systems of some types.

    Args:
        mountinfo: A line each: the third field is the device, and after a lone hyphen comes the type
            (proc_pid_mountinfo(5)).
        is_wanted: Told a type, says whether it is one of them.

    Returns:
        Device numbers as in `st_dev`.
    """
    devices = set()
    for line in mountinfo.splitlines():
        mount, _, source = line.partition(" - ")
        if is_wanted(source.partition(" ")[0]):
            major, _, minor = mount.split(" ")[2].partition(":")
            devices.add(os.makedev(int(major), int(minor)))
    return frozenset(devices)
