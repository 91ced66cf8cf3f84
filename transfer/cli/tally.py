"""Counts of what became of the items of one run. Sees values only; the terminal is `output`'s."""

from __future__ import annotations

from dataclasses import dataclass

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

    @property
    def is_empty(self) -> bool:
        """Whether no item has settled yet."""
        return self.settled == 0

    @property
    def settled(self) -> int:
        """Items that ended, one way or another."""
        did = self.moved + self.removed + self.aborted + self.failed + self.skipped
        return did + self.would_move + self.would_remove + self.would_abort

    def add(self, outcome: Outcome) -> None:
        """Count one settled item."""
        if isinstance(outcome, Receipt):
            self._add_receipt(outcome)
        elif isinstance(outcome, Failure):
            self.failed += 1
        elif isinstance(outcome, Skip):
            self.skipped += 1
        elif isinstance(outcome, Removal):
            self._add_removal(outcome)
        elif isinstance(outcome, Intent):
            self.would_move += 1
            self.would_move_bytes += outcome.size or 0
        elif outcome.is_dry_run:
            self.would_abort += 1
        else:
            self.aborted += 1

    def _add_removal(self, removal: Removal) -> None:
        if removal.is_dry_run:
            self.would_remove += 1
            self.would_remove_bytes += removal.size or 0
        else:
            self.removed += 1

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
