"""What a user may choose about making one tree like another."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum

from transfer.model.values import dataclass


class CompareBy(StrEnum):
    """What tells that a source differs from the destination of the same name."""

    TIME = "time"
    """The size, or the source is newer: known from the listings alone."""
    SIZE = "size"
    """The size alone."""
    CHECKSUM = "checksum"
    """The size, or the checksum that the store keeps: a request per object, and files are read."""
    EXACT_MTIME = "exact-mtime"
    """The size, or the file's own time, which is kept in the object's metadata: a request per object."""


class Change(StrEnum):
    """Why something is copied; the value is how it is told."""

    NEW = "new"
    SIZE = "size differs"
    NEWER = "source is newer"
    CHECKSUM = "checksum differs"
    MTIME = "time differs"


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two sides are compared.

    Attributes:
        skip_newer: Leave alone what is newer at the destination, whatever else differs.
        skip_existing: Leave alone whatever is there.
    """

    by: CompareBy = CompareBy.TIME
    skip_newer: bool = False
    skip_existing: bool = False


@dataclass(frozen=True, slots=True)
class DeleteLimit:
    """How much a run may delete at most: a number of objects, or a share of those at the destination in percent."""

    value: int
    is_percent: bool = False

    def allows(self, deleted: int, present: int) -> bool:
        """Whether so many may be deleted.

        Args:
            deleted: Objects to delete.
            present: Objects that are at the destination.
        """
        return deleted * 100 <= self.value * present if self.is_percent else deleted <= self.value

    def __str__(self) -> str:
        return f"{self.value}%" if self.is_percent else str(self.value)


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """How a tree is made like another.

    Attributes:
        delete: Remove from the destination what the source does not have.
        delete_limit: The most that may be removed; beyond it nothing is. None sets no limit, but a source without
            anything in it then deletes nothing.
        backup: Where removed objects are moved instead, as a location below which they keep their names.
        is_dry_run: Only tell what would be done.
    """

    comparison: Comparison = field(default_factory=Comparison)
    delete: bool = False
    delete_limit: DeleteLimit | None = None
    backup: str | None = None
    is_dry_run: bool = False
