"""Which objects and files a command cares for, as the user chose them. What the choice means is decided in `plan`."""

from __future__ import annotations

from transfer.model.values import dataclass


@dataclass(frozen=True, slots=True)
class FilterRule:
    """One `--include` or `--exclude`: a pattern for names below the root of a command."""

    pattern: str
    includes: bool


@dataclass(frozen=True, slots=True)
class Filters:
    """What is looked at; everything when all is left as it is.

    Attributes:
        rules: In the order in which they were given: the last one that matches decides.
        min_size_bytes: Nothing smaller.
        max_size_bytes: Nothing larger.
        modified_after_seconds: Nothing that was modified before this moment, seconds since the epoch.
        modified_before_seconds: Nothing that was modified at or after this moment, seconds since the epoch.
        storage_classes: Objects of these classes alone; files have none and are not asked.
        newer_than: What `modified_after_seconds` was read from, when that is an age: the moment it means is another one
            in every run, and yet the runs mean the same.
        older_than: The same for `modified_before_seconds`.
    """

    rules: tuple[FilterRule, ...] = ()
    min_size_bytes: int | None = None
    max_size_bytes: int | None = None
    modified_after_seconds: float | None = None
    modified_before_seconds: float | None = None
    storage_classes: frozenset[str] = frozenset()
    newer_than: str = ""
    older_than: str = ""

    @property
    def is_open(self) -> bool:
        """Whether they let everything through."""
        return self == Filters()
