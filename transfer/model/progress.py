"""Counters of a run, bumped by those who work and sampled by those who watch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Progress:
    """How far a run is. The one mutable value of the model: a single writer thread, the event loop's, bumps it.

    Attributes:
        bytes_moved: Body bytes that moved and still count; those of a failed attempt are taken back.
        bytes_resumed: Bytes that an earlier run had moved of items that this one goes on with; none of `bytes_moved`.
        bytes_planned: Bytes of all items known so far, with those that were moved earlier; a stream adds what it has
            read.
        items_resumed: Items that an earlier run of the same job had finished; they are not planned again.
        items_equal: Items that need not be copied, since the destination has them; they are not planned.
        items_checked: Items of which both sides were asked whether they differ; those that do are planned then.
        items_to_remove: What is to be removed when all else is done, once that is known; `items_removed` of it is gone.
        bytes_read: Bytes of files that were read only to compare them.
        total_is_final: True when no further item will join.
    """

    bytes_moved: int = 0
    bytes_planned: int = 0
    items_planned: int = 0
    items_done: int = 0
    items_failed: int = 0
    items_skipped: int = 0
    items_resumed: int = 0
    items_equal: int = 0
    items_checked: int = 0
    items_to_remove: int = 0
    items_removed: int = 0
    retries: int = 0
    bytes_read: int = 0
    total_is_final: bool = False
    bytes_resumed: int = 0

    @property
    def bytes_done(self) -> int:
        """Bytes of the planned ones that need not move any more."""
        return self.bytes_moved + self.bytes_resumed
