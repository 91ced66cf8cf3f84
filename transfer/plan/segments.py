"""Stretches of a listing that are fetched side by side, and the request for a page of one. Values without decisions."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from transfer.model.errors import StoreError, TransferError
from transfer.model.objects import ListedObject
from transfer.plan.advancing import PageTrail
from transfer.plan.key_space import Sample

Batch = tuple[ListedObject, ...]


@dataclass(slots=True, eq=False)
class Segment:
    """The keys after `low` up to and with `high`, as far as they are known.

    Attributes:
        low: The text that its first request starts after; "" at the beginning.
        high: Its end, or None for the last one.
        cursor: The last key fetched, `low` before that.
        token: Where its next page begins, None before the first and after the last.
        trail: Its pages so far, by which a circle shows.
        sample: The density to expect.
        ready: Pages that have not come out.
        rest: What its last page held beyond `high`.
        opening: The keys of its first page that had any, until the segment before it has met them.
    """

    low: str
    high: str | None
    cursor: str
    sample: Sample | None = None
    token: str | None = None
    trail: PageTrail = field(default_factory=PageTrail)
    ready: deque[Batch] = field(default_factory=deque)
    rest: Batch = ()
    opening: tuple[str, ...] = ()
    is_asked: bool = False
    has_begun: bool = False
    is_finished: bool = False
    error: TransferError | None = None

    @property
    def is_untouched(self) -> bool:
        """Whether nothing of it was asked for."""
        return not self.is_asked and not self.has_begun and self.error is None

    @property
    def has_shown(self) -> bool:
        """Whether a page of it held keys. Pages may be empty and yet have a token (AWS: ListObjectsV2)."""
        return self.cursor != self.low

    @property
    def held_pages(self) -> int:
        """Pages that it holds or will."""
        return len(self.ready) + self.is_asked + (bool(self.rest) and not self.ready)

    @property
    def is_idle(self) -> bool:
        """Whether its next page can be asked for."""
        return not self.is_asked and not self.is_finished and self.error is None

    @property
    def may_be_misguessed(self) -> bool:
        """Whether a store may have refused only the text that it was to start after."""
        error = self.error
        return not self.has_begun and isinstance(error, StoreError) and 400 <= error.status < 500


@dataclass(frozen=True, slots=True, eq=False)
class PageRequest:
    """A page to ask for: by token, or before there is one, after a text."""

    segment: Segment
    start_after: str
    token: str | None
    page_keys: int
