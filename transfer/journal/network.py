"""Which folders lie on a file system that other machines may share: SQLite's log of changes needs common memory.

Pure but for `is_on_network`, which asks the system. Anything it cannot tell counts as a local disk.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from transfer.system.mounts import devices_of_type, read_mounts

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


def is_network_type(kind: str) -> bool:
    """Whether several machines may meet on file systems of this type."""
    return kind in _TYPES or kind.startswith(_PREFIX)


def is_on_network(folder: Path) -> bool:
    """Whether an existing folder is on such a file system; False where that cannot be told.

    Raises:
        OSError: There is no such folder.
    """
    return folder.stat().st_dev in devices_of_type(read_mounts(), is_network_type)
