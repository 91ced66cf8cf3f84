"""Counts of what became of the items of one run. Sees values only; the terminal is `output`'s."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from typing import cast

from transfer.model.checksums import VerifiedBy
from transfer.model.receipts import Failure, Intent, Outcome, Receipt, Removal, Skip


@dataclass(slots=True)
class Tally:
    """How many items ended how; `moved_bytes` and `retries` are sums over the receipts of what was done.

    `moved` may exceed `verified` and `unverified` together: of some items there is nothing to verify.
    """

    moved: int = 0
    moved_bytes: int = 0
    verified: int = 0
    unverified: int = 0
    removed: int = 0
    aborted: int = 0
    would_abort: int = 0
    """Unfinished uploads that a dry run found."""
    failed: int = 0
    skipped: int = 0
    retries: int = 0
    kept: int = 0
    """Of those that moved, how many sources stay because nothing could verify the copies."""
    tags_unread: int = 0
    """Of those that moved, how many may lack tags that could not be read."""
    is_dry_run: bool = False
    """Nothing is done; what would be is counted."""
    would_move: int = 0
    """Items that a dry run found to be copied or moved."""
    would_move_bytes: int = 0
    """Of those, the bytes as far as they are known."""
    would_remove: int = 0
    """Items that a dry run found to be removed."""
    would_remove_bytes: int = 0
    """Of those, the bytes as far as they are known."""
    equal: int = 0
    """Items that the destination had already."""
    resumed: int = 0
    """Items that an earlier run had finished."""
    resumed_bytes: int = 0
    """Of `moved_bytes`, what an earlier run had moved."""
    not_attempted: int = 0
    """Items that were found but not begun when the run ended early."""
    found_all: bool = True
    """Whether all items had been found by then."""

    def add_tally(self, other: Tally) -> None:
        """Count what became of the items of another run, too."""
        found_all, is_dry_run = self.found_all and other.found_all, self.is_dry_run or other.is_dry_run
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
        self.found_all, self.is_dry_run = found_all, is_dry_run

    @property
    def is_empty(self) -> bool:
        """Whether no item has settled yet."""
        return self.settled == 0

    @property
    def settled(self) -> int:
        """Items that ended, one way or another."""
        did = self.moved + self.removed + self.aborted + self.failed + self.skipped
        return did + self.would_move + self.would_remove + self.would_abort

    def add_all(self, outcomes: Iterable[Outcome]) -> None:
        """Count settled items; objects that are gone, of which there are thousands to a request, all at once."""
        for kind, alike in groupby(outcomes, type):
            if kind is Removal:
                self._add_removals(cast("list[Removal]", list(alike)))
            else:
                for outcome in alike:
                    self.add(outcome)

    def add(self, outcome: Outcome) -> None:
        """Count one settled item."""
        if isinstance(outcome, Receipt):
            self._add_receipt(outcome)
        elif isinstance(outcome, Failure):
            self.failed += 1
        elif isinstance(outcome, Skip):
            self.skipped += 1
        elif isinstance(outcome, Removal):
            self._add_removals([outcome])
        elif isinstance(outcome, Intent):
            self.would_move += 1
            self.would_move_bytes += outcome.size or 0
        elif outcome.is_dry_run:
            self.would_abort += 1
        else:
            self.aborted += 1

    def _add_removals(self, removals: Sequence[Removal]) -> None:
        planned = [removal.size or 0 for removal in removals if removal.is_dry_run]
        self.would_remove += len(planned)
        self.would_remove_bytes += sum(planned)
        self.removed += len(removals) - len(planned)

    def _add_receipt(self, receipt: Receipt) -> None:
        self.moved += 1
        self.moved_bytes += receipt.size
        self.retries += receipt.retries
        self.resumed_bytes += receipt.resumed_bytes
        self.tags_unread += receipt.tags_unread
        if receipt.verified_by is VerifiedBy.UNVERIFIED:
            self.unverified += 1
        elif receipt.verified_by is not VerifiedBy.NOTHING_TO_VERIFY:
            self.verified += 1
