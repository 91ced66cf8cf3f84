"""What `cp` and `mv` have in common: sources named one by one or in a list, copied, and for `mv` removed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from transfer.cli.list_flags import ListFlags
from transfer.cli.transfer_run import TransferRun
from transfer.model.receipts import Outcome
from transfer.plan.processes import SMALL_ITEM_BYTES

if TYPE_CHECKING:
    from transfer.engine.outcomes import OutcomeStream
    from transfer.engine.transfer import Transfer


class CopyRun(TransferRun):
    """One run of `cp`.

    Attributes:
        listing: Where the sources are named, if not on the command line.
        moves: Sources are removed when their copies are safe.
        removes_unverified: Also those whose copies nothing could verify.
    """

    command = "cp"
    recursive = raw = moves = removes_unverified = False
    listing = ListFlags()

    @property
    def may_share(self) -> bool:
        """Whether there may be work for several processes: not for some small files that were named."""
        return super().may_share and (
            self.recursive or self.listing.from_file is not None or not all(map(_is_small_file, self.sources))
        )

    def begin(self, transfer: Transfer) -> OutcomeStream[Outcome]:
        """Start the work."""
        how = {"recursive": self.recursive, "raw": self.raw, "dry_run": self.tally.is_dry_run}
        removes = {"removes_unverified": self.removes_unverified}
        if self.listing.from_file is not None:
            file, root = self.listing.from_file, self.listing.root
            return transfer.copy_listed(file, self.destination, root=root, moves=self.moves, **how, **removes)
        if self.moves:
            return transfer.move_many(self.sources, self.destination, **how, **removes)
        return transfer.copy_many(self.sources, self.destination, **how)


def _is_small_file(source: str) -> bool:
    """Whether it is a local file that moves in one request."""
    try:
        return os.stat(source).st_size <= SMALL_ITEM_BYTES  # noqa: PTH116 - sources are text
    except (OSError, ValueError):
        return False
