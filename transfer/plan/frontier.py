"""Which pages of a listing to ask for next, and in what order they come out. Pure: it never asks for one itself.

The keys are cut into segments at places where no store was asked yet. A segment is listed by page tokens from its low
end and ends at the first key beyond its high end, so that neighbours overlap: that key has to be in the first page of
the segment after it. Only then do the two make one listing without a gap, whatever order the store keeps; what has come
out is always what one request after the other would have shown. Where two neighbours do not meet, or a page breaks the
order of bytes, everything behind the first segment is forgotten and that one goes on by its own tokens.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import Final

from transfer.model.errors import ProtocolError, TransferError, UnorderedListingError
from transfer.model.locations import S3Location
from transfer.model.objects import ListPage
from transfer.plan.key_order import is_ascending, order_of
from transfer.plan.key_space import KeyRuler, Sample
from transfer.plan.segments import Batch, PageRequest, Segment

PAGE_KEYS: Final = 1000
"""The most that a page shows (AWS: ListObjectsV2)."""
FULLEST, EMPTIEST = 1.0, 0.7
"""Pages that a segment is cut for: where keys are scattered, aiming at less than a full one saves a second request for
the few that are left over."""
DOUBTS: Final = 3
"""Segments may fail to meet because somebody writes meanwhile; more often than this, it is the store's way."""
SMALL_REST: Final = 0.5
"""A rest expected to be smaller than this share of a page is asked for in a page of its own size."""


class Frontier:
    """The state of one listing; see the module's docstring."""

    def __init__(self, bucket: str, prefix: str, *, needs_order: bool = True, may_split: bool = True) -> None:
        """Begin before the first page.

        Args:
            bucket: For messages.
            prefix: Of the keys.
            needs_order: A break of the order is an error; else the order is no longer looked at after one.
            may_split: Whether pages may be asked for out of turn.
        """
        self._subject: Final = str(S3Location(bucket, prefix))
        self._needs_order: Final = needs_order
        self._may_split = may_split
        self._segments: deque[Segment] = deque([Segment("", None, "")])
        self._ruler: Final = KeyRuler(prefix)
        self._is_ordered = True
        self._doubts = 0
        self._fill = FULLEST
        self._error: TransferError | None = None
        self.useful = 0
        """Pages so far that brought keys of their own; a caller may compare two moments."""
        self.useless = 0

    @property
    def is_finished(self) -> bool:
        """Whether everything has come out."""
        head = self._segments[0]
        return head.is_finished and not head.ready and len(self._segments) == 1

    def next_request(self, ahead_pages: int) -> PageRequest | None:
        """The next page worth asking for, which then counts as asked for.

        Args:
            ahead_pages: How many pages may be asked for or wait to come out. The one that everything else waits for
                does not have to fit.

        Returns:
            A request, to be answered by `accept` or `fail`; None when there is none now.
        """
        if self._error is not None:
            return None
        has_room = sum(segment.held_pages for segment in self._segments) < ahead_pages
        is_urgent = True
        for index, segment in enumerate(self._segments):
            is_urgent = is_urgent and not segment.ready
            if segment.error is not None or (not has_room and not is_urgent):
                return None
            if segment.is_idle:
                return self._ask(index, segment, may_split=ahead_pages > 1)
            is_urgent = is_urgent and segment.is_finished
        return None

    def accept(self, request: PageRequest, page: ListPage) -> None:
        """Take in the page that was asked for."""
        segment = request.segment
        segment.is_asked = False
        if self._error is not None or segment not in self._segments:
            return
        if segment.trail.is_stuck(page):
            segment.error = ProtocolError("the listing does not advance", subject=self._subject)
            return
        keys = [found.key for found in page.objects]
        if self._is_ordered and not self._keeps_order(segment, keys):
            self._lose_order()
            if self._error is not None or segment not in self._segments:
                return
        segment.token = page.next_token
        segment.has_begun = True
        if not self._is_ordered:
            self._append(segment, page.objects)
            segment.is_finished = segment.token is None
            return
        self._place(request, page.objects, keys)

    def fail(self, request: PageRequest, error: TransferError) -> None:
        """Keep why a page could not be had, for when everything before it has come out."""
        request.segment.is_asked = False
        request.segment.error = error

    def take(self) -> Batch | None:
        """The next batch of keys, never empty.

        Returns:
            None when the next page has not come, or everything has come out: `is_finished` tells which.

        Raises:
            UnorderedListingError: The store does not keep the order that is needed.
            TransferError: The next page could not be had.
        """
        while True:
            if self._error is not None:
                raise self._error
            head = self._segments[0]
            if head.ready:
                return head.ready.popleft()
            if head.error is not None:
                raise head.error
            if not head.is_finished or len(self._segments) == 1:
                return None
            following = self._segments[1]
            if following.opening or following.is_finished:
                if self._meet(head, following):
                    following.opening = ()
                    self._segments.popleft()
                else:
                    self._doubt()
            elif following.error is None:
                # It has shown no key, so it holds none and its next page is the urgent one.
                return None
            elif following.may_be_misguessed:
                self._doubt()
            else:
                raise following.error

    def _ask(self, index: int, segment: Segment, *, may_split: bool) -> PageRequest:
        page_keys = PAGE_KEYS
        if self._is_ordered and self._may_split and may_split and segment.sample is not None:
            middle = self._ruler.step(segment.cursor, segment.high, segment.sample, self._fill)
            if middle is not None:
                self._segments.insert(index + 1, Segment(middle, segment.high, middle, segment.sample))
                segment.high = middle
            elif segment.high is not None and segment.has_begun:
                share = self._ruler.pages_between(segment.cursor, segment.high, segment.sample)
                if 0 <= share < SMALL_REST:
                    page_keys = int(share * 2 * PAGE_KEYS) + PAGE_KEYS // 10
        segment.is_asked = True
        return PageRequest(segment, "" if segment.has_begun else segment.low, segment.token, page_keys)

    def _keeps_order(self, segment: Segment, keys: list[str]) -> bool:
        if not keys:
            return True
        return is_ascending(keys) and (not segment.cursor or order_of(keys[0]) > order_of(segment.cursor))

    def _place(self, request: PageRequest, objects: Batch, keys: list[str]) -> None:
        """Keep the objects that are the segment's own."""
        segment = request.segment
        was_first = not segment.has_shown
        is_full_size = request.page_keys == PAGE_KEYS
        if keys:
            self._ruler.learn(keys)
            if is_full_size or segment.sample is None:
                segment.sample = Sample(keys[0], keys[-1], len(keys))
            segment.cursor = keys[-1]
            if was_first and segment is not self._segments[0]:
                segment.opening = tuple(keys)
        self._absorb(segment, keys)
        own = len(keys)
        if segment.high is not None and keys:
            own = bisect_right(keys, order_of(segment.high), key=order_of)
        self._append(segment, objects[:own])
        segment.rest = objects[own:]
        segment.is_finished = segment.token is None or own < len(keys)
        self._grade(segment, own, len(keys), was_first=was_first)

    def _absorb(self, segment: Segment, keys: list[str]) -> None:
        """Join untouched segments that the page reaches into, or that lie behind the end, to those before them.

        What goes before an untouched segment has not reached its end, so that the end can be moved.
        """
        is_last_page = segment.token is None
        reach = order_of(keys[-1]) if keys else b""
        place = self._segments.index(segment) + 1
        while place < len(self._segments):
            neighbour = self._segments[place]
            if not is_last_page and order_of(neighbour.low) >= reach:
                return
            if neighbour.is_untouched:
                self._segments[place - 1].high = neighbour.high
                del self._segments[place]
            else:
                place += 1

    def _grade(self, segment: Segment, own: int, count: int, *, was_first: bool) -> None:
        """Learn from how well the place of a segment was guessed."""
        if own * 2 >= count and own:
            self.useful += 1
        else:
            self.useless += 1
        if not was_first or segment.high is None or not own:
            return
        if own == count and not segment.is_finished:
            self._fill = max(EMPTIEST, self._fill * 0.97)
        elif own < count * 0.95:
            self._fill = min(FULLEST, self._fill * 1.01)

    def _append(self, segment: Segment, objects: Batch) -> None:
        if objects:
            segment.ready.append(objects)

    def _meet(self, one: Segment, other: Segment) -> bool:
        """Whether the listing of one segment reaches into that of the next, or both find nothing more."""
        if one.rest:
            return one.rest[0].key in other.opening
        return not other.opening

    def _doubt(self) -> None:
        self._doubts += 1
        if self._doubts > DOUBTS:
            self._may_split = False
        self._forget_all_but_first()

    def _lose_order(self) -> None:
        self._is_ordered = False
        if self._needs_order:
            self._error = UnorderedListingError("the store does not list in the order of bytes", subject=self._subject)
        self._forget_all_but_first()

    def _forget_all_but_first(self) -> None:
        """Go on with the listing of the first segment: by its tokens it continues what has come out."""
        head = self._segments[0]
        self._segments = deque([head])
        head.high = None
        self._append(head, head.rest)
        head.rest = ()
        if head.is_finished:
            head.is_finished = head.token is None
