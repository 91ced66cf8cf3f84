"""Which folders lie on a file system that other machines may share: SQLite's log of changes needs common memory.

Pure but for `is_on_network`, which asks the system. Anything it cannot tell counts as a local disk.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

_TYPES: Final = frozenset(
    (
        "9p",
        "acfs",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "fuse",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "panfs",
        "prl_fs",
        "pvfs2",
        "smb2",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
        "vmhgfs",
        "wekafs",
    )
)
"""Types by the name that mountinfo gives them.

Folders shared with the host of a virtual machine are among them: both sides may use them, and they share no memory.
"""

_PREFIX: Final = "fuse."
"""Programs that serve a file system, as sshfs does: most are remote. Local block devices are `fuseblk`."""


def network_devices(mountinfo: str) -> frozenset[int]:
    """Find the file systems where several machines may meet.

    Args:
        mountinfo: What Linux tells of the mounts, a line each: the third field is the device, and after a lone
            hyphen comes the type (proc_pid_mountinfo(5)).

    Returns:
        Device numbers as in `st_dev`.
    """
    devices = set()
    for line in mountinfo.splitlines():
        mount, _, source = line.partition(" - ")
        kind = source.partition(" ")[0]
        if kind in _TYPES or kind.startswith(_PREFIX):
            major, _, minor = mount.split(" ")[2].partition(":")
            devices.add(os.makedev(int(major), int(minor)))
    return frozenset(devices)


def is_on_network(folder: Path) -> bool:
    """Whether an existing folder is on such a file system; False where that cannot be told.

    Raises:
        OSError: There is no such folder.
    """
    if sys.platform != "linux":
        return False
    try:
        mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return folder.stat().st_dev in network_devices(mountinfo)
