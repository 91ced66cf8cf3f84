"""Notices a listing that goes in circles, in memory that does not grow with it. Pure: it only compares."""

from __future__ import annotations

from typing import Final

from transfer.model.objects import ListPage

BARREN_PAGES: Final = 1000
"""Pages in a row that bring nothing new before a listing is given up. Pages may be empty where a store looks at so many
keys for each and all of them were removed: a desert of a million removed keys is a thousand such pages, and few buckets
have one. At 50 ms a page it takes a minute to be told."""

_Mark = tuple[str, ...]


class PageTrail:
    """The pages of one listing that goes on by tokens."""

    __slots__ = ("_barren_pages", "_mark", "_marks", "_tokens")

    def __init__(self) -> None:
        self._tokens: Final = _Trail()
        self._marks: Final = _Trail()
        self._mark: _Mark = ()
        self._barren_pages = 0

    def is_stuck(self, page: ListPage) -> bool:
        """Take in the next page.

        Returns:
            Whether another one is not worth asking for: a token comes again, or objects do, or `BARREN_PAGES` pages
            brought nothing. A store may show a folder in many pages that follow each other, so that these are counted
            as if they were empty.
        """
        if page.next_token is None:
            return False
        if self._tokens.returns_to(page.next_token):
            return True
        mark = _mark_of(page)
        if not mark or mark == self._mark:
            self._barren_pages += 1
            return bool(page.objects) or self._barren_pages >= BARREN_PAGES
        self._barren_pages, self._mark = 0, mark
        return self._marks.returns_to(mark)


class _Trail:
    """Finds out that a row of values has become periodic, from two of them.

    One that is kept for twice as many steps each time meets every circle (R. P. Brent, "An improved Monte Carlo
    factorization algorithm", BIT 20, 1980).
    """

    __slots__ = ("_last", "_milestone", "_steps", "_steps_to_milestone")

    def __init__(self) -> None:
        self._last: object = None
        self._milestone: object = None
        self._steps = 0
        self._steps_to_milestone = 1

    def returns_to(self, value: object) -> bool:
        """Take in the next value; whether it is the one before it or an earlier one that was kept."""
        if value in (self._last, self._milestone):
            return True
        self._last = value
        self._steps += 1
        if self._steps == self._steps_to_milestone:
            self._milestone = value
            self._steps = 0
            self._steps_to_milestone *= 2
        return False


def _mark_of(page: ListPage) -> _Mark:
    """The ends of a page; nothing when it is empty."""
    keys = (page.objects[0].key, page.objects[-1].key) if page.objects else ()
    return (*keys, *page.prefixes[:1], *page.prefixes[-1:])
