"""One governor for all processes of a run: it sees what all of them achieve, and each gets its share of the limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from transfer.engine.crew.member import Member
from transfer.model.events import ConcurrencyChanged, EventSink
from transfer.plan.governor import Governor, Window
from transfer.plan.processes import shares


class SharedGovernor:
    """The governor of the first process's lanes, when there are workers.

    Attributes:
        limit: How many requests the first process may have in flight.
    """

    def __init__(self, governor: Governor, on_event: EventSink) -> None:
        """Share what `governor` allows; nobody else asks it from now on. Changes of the whole are told."""
        self.limit = governor.limit
        self._on_event: Final = on_event
        self._governor: Final = governor
        self._members: Sequence[Member] = ()
        self._windows: dict[int, Window] = {}

    @property
    def total(self) -> int:
        """How many requests all may have in flight."""
        return self._governor.limit

    @property
    def cuts(self) -> int:
        """How often that was lowered because the store objected."""
        return self._governor.cuts

    def share_with(self, members: Sequence[Member]) -> None:
        """Share with these workers from now on; what others achieved counts no more."""
        self._members = members
        self._windows = {pid: seen for pid, seen in self._windows.items() if any(one.pid == pid for one in members)}
        self.divide()

    def note(self, member: Member, window: Window) -> None:
        """Take what a worker achieved in its last window."""
        before = self._windows.get(member.pid)
        if before is not None:
            window = replace(
                window, slowdowns=window.slowdowns + before.slowdowns, timeouts=window.timeouts + before.timeouts
            )
        self._windows[member.pid] = window

    def expect(self, answer_seconds: float) -> int:
        """Choose the start of a run of parts; the first process's share from now on."""
        before = self._governor.limit
        self._tell(before, self._governor.expect(answer_seconds))
        self.divide()
        return self.limit

    def observe(self, window: Window) -> int:
        """Learn from the first process's window and the last ones of the others; its share from now on."""
        before = self._governor.limit
        seen = joined(window, tuple(self._windows.values()))
        if seen.is_objected:
            # Told at once, while what others have said is of the time before: all their lanes had part in it.
            elsewhere = sum(min(member.share, member.held) for member in self._members)
            seen = replace(seen, in_use=max(seen.in_use, window.in_use + elsewhere))
        if self._has_more_processes_than_lanes():
            # What is beyond the limit is there for good.
            seen = replace(seen, in_use=min(seen.in_use, before))
        self._tell(before, self._governor.observe(seen))
        self._windows = {pid: replace(seen, slowdowns=0, timeouts=0) for pid, seen in self._windows.items()}
        self.divide()
        return self.limit

    def _has_more_processes_than_lanes(self) -> bool:
        return 1 + sum(member.held > 0 for member in self._members) > self._governor.limit

    def _tell(self, before: int, after: int) -> None:
        if after != before:
            self._on_event(ConcurrencyChanged(after))

    def divide(self) -> None:
        """Give everyone who has something to do a share."""
        self.limit, *others = shares(self._governor.limit, [1, *(member.held for member in self._members)])
        for member, share in zip(self._members, others, strict=True):
            member.may_make(share, self.cuts)


def joined(own: Window, others: Sequence[Window]) -> Window:
    """What all achieved together, over one's own window: those of others began and ended at other moments."""
    return replace(
        own,
        work_bytes=own.work_bytes + sum(int(one.work_bytes * own.seconds / one.seconds) for one in others),
        requests=own.requests + sum(round(one.requests * own.seconds / one.seconds) for one in others),
        in_use=own.in_use + sum(one.in_use for one in others),
        slowdowns=own.slowdowns + sum(one.slowdowns for one in others),
        timeouts=own.timeouts + sum(one.timeouts for one in others),
    )
