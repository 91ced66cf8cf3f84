"""What the peers are asked to do: names, directions and sizes. Values alone; it runs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

GIB = 1 << 30


class Action(StrEnum):
    """The kind of work."""

    UPLOAD = "upload"
    DOWNLOAD = "download"
    VERSION = "version"


@dataclass(frozen=True, slots=True)
class Workload:
    """One row of the report per peer.

    Attributes:
        size_bytes: Of each file moved, 0 where none is.
        files: How many are moved: one by its name, several as a tree.
    """

    name: str
    action: Action
    size_bytes: int = 0
    files: int = 1

    @property
    def total_bytes(self) -> int:
        """Of all files."""
        return self.size_bytes * self.files

    def scaled(self, factor: float) -> Workload:
        """Return it `factor` times as large: one file of fewer bytes, or a tree of fewer files; the name stays."""
        if self.files > 1:
            return replace(self, files=max(2, round(self.files * factor)))
        return replace(self, size_bytes=max(1, round(self.size_bytes * factor))) if self.size_bytes else self


DEFAULT_WORKLOADS = (
    Workload("upload 1GiB-1x", Action.UPLOAD, GIB),
    Workload("download 1GiB-1x", Action.DOWNLOAD, GIB),
    Workload("upload 4GiB-1x", Action.UPLOAD, 4 * GIB),
    Workload("download 4GiB-1x", Action.DOWNLOAD, 4 * GIB),
    Workload("upload 4KiB-10_000x", Action.UPLOAD, 4096, 10_000),
    Workload("version", Action.VERSION),
    Workload("cp-one-small-file", Action.UPLOAD, 4096),
)
MEMORY_WORKLOADS = (
    Workload("upload 16GiB-1x", Action.UPLOAD, 16 * GIB),
    Workload("download 16GiB-1x", Action.DOWNLOAD, 16 * GIB),
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
