"""What the peers are asked to do: names, directions and sizes. Values alone; it runs nothing.

Names follow aws-crt-s3-benchmarks: the size of a file and how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from benchmarks.tree import Tree

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30


class Action(StrEnum):
    """The kind of work."""

    UPLOAD = "upload"
    DOWNLOAD = "download"
    LIST = "list"
    VERSION = "version"


@dataclass(frozen=True, slots=True)
class Workload:
    """One row of the report per peer.

    Attributes:
        sizes_bytes: Of the files moved, in turn; empty where none is.
        files: How many are moved or listed: one by its name, several as a tree.
    """

    name: str
    action: Action
    sizes_bytes: tuple[int, ...] = ()
    files: int = 1

    @property
    def tree(self) -> Tree:
        """The files; a workload without files has none."""
        return Tree(self.files, self.sizes_bytes or (0,))

    @property
    def is_tree(self) -> bool:
        """Whether a folder or prefix is named instead of a file."""
        return self.files > 1

    @property
    def total_bytes(self) -> int:
        """What moves."""
        return self.tree.total_bytes

    def scaled(self, factor: float) -> Workload:
        """Return it `factor` times as large: one file of fewer bytes, or a tree of fewer files; the name stays."""
        if self.is_tree:
            return replace(self, files=max(2, round(self.files * factor)))
        return replace(self, sizes_bytes=tuple(max(1, round(size * factor)) for size in self.sizes_bytes))


_MOVED: tuple[tuple[str, tuple[int, ...], int], ...] = (
    ("5GiB-1x", (5 * GIB,), 1),
    ("1GiB-1x", (GIB,), 1),
    ("256KiB-10_000x", (256 * KIB,), 10_000),
    ("64KiB-1_000x", (64 * KIB,), 1_000),
    ("4KiB-20_000x", (4 * KIB,), 20_000),
    ("mixed-1_000x", (512, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 20 * MIB), 1_000),
)
DEFAULT_WORKLOADS = (
    *(
        Workload(f"{action} {name}", action, sizes_bytes, files)
        for name, sizes_bytes, files in _MOVED
        for action in (Action.UPLOAD, Action.DOWNLOAD)
    ),
    Workload("list-1_000_000x", Action.LIST, (0,), 1_000_000),
    Workload("version", Action.VERSION),
    Workload("cp-one-small-file", Action.UPLOAD, (4 * KIB,)),
)
MEMORY_WORKLOADS = (
    Workload("upload 16GiB-1x", Action.UPLOAD, (16 * GIB,)),
    Workload("download 16GiB-1x", Action.DOWNLOAD, (16 * GIB,)),
)


def choose(filters: Sequence[str], *, with_memory: bool, scale: float) -> list[Workload]:
    """Return the workloads whose name contains one of `filters`, all when there is none, scaled.

    Raises:
        ValueError: Nothing is left to run, or `scale` is not above 0.
    """
    if not scale > 0:
        raise ValueError(f"the scale must be above 0, not {scale:g}")
    offered = DEFAULT_WORKLOADS + (MEMORY_WORKLOADS if with_memory else ())
    chosen = [workload for workload in offered if not filters or any(part in workload.name for part in filters)]
    if not chosen:
        raise ValueError(f"no workload matches; there are: {', '.join(workload.name for workload in offered)}")
    return [workload.scaled(scale) for workload in chosen]
