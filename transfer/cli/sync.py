"""`transfer sync`: make one tree like another, tell each step, and sum up."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from transfer.cli.copy_flags import TransferFlags
from transfer.cli.destination_flags import DestinationFlags
from transfer.cli.filter_flags import FilterFlags
from transfer.cli.flags import ConnectionFlags, OutputFlags
from transfer.cli.sync_flags import SyncFlags
from transfer.cli.transfer_run import TransferRun
from transfer.model.checksums import ChecksumAlgorithm
from transfer.model.errors import UsageError
from transfer.model.receipts import Outcome
from transfer.model.sync import SyncOptions

if TYPE_CHECKING:
    from transfer.engine.outcomes import OutcomeStream
    from transfer.engine.transfer import Transfer

EXAMPLES = """
Examples:
  transfer sync ./site s3://bucket/site
  transfer sync s3://bucket/photos/ ./photos --exclude drafts/

  First the plan, then for real; what only the destination has goes too:
    transfer sync ./site s3://bucket/site --delete --dry-run
    transfer sync ./site s3://bucket/site --delete --max-delete 10%

  Keep what goes:
    transfer sync ./site s3://bucket/site --delete \\
      --backup-prefix s3://bucket/gone/2026-11-21/

  From bucket to bucket, by the store itself; or to another store:
    transfer sync s3://bucket/x/ s3://mirror/x/
    transfer sync s3://here/x/ s3://there/x/ \\
      --dest-endpoint-url http://localhost:9000 --dest-profile local

Both places are trees: a folder, or a prefix taken as one. What is there already
is found from listings alone, a thousand objects a request; only --checksum and
--exact-mtime ask for each object.
Nothing is removed unless both sides were read to their ends and all else worked;
never what a filter leaves out. Downloaded files get the time of their objects.
"""


def sync(
    locations: Annotated[
        list[str], typer.Argument(metavar="SOURCE DESTINATION", help="Folders or s3://bucket/prefix.")
    ],
    syncing: SyncFlags,
    filtering: FilterFlags,
    moving: TransferFlags,
    connection: ConnectionFlags,
    second: DestinationFlags,
    output: OutputFlags,
) -> int:
    """Make a folder or prefix like another: copy what differs."""
    source, destination = _pair(locations, syncing)
    options = dataclasses.replace(moving.options(), filters=filtering.filters())
    first = connection.options()
    chosen = syncing.options()
    if chosen.is_dry_run:
        # Nothing is begun that a later run could go on with.
        options = dataclasses.replace(options, resume=False)
    one = _SyncRun([source], destination, moving, first, options, output.output(), second.options(first))
    one.chosen = chosen
    one.tally.is_dry_run = chosen.is_dry_run
    return one.run()


class _SyncRun(TransferRun):
    """One run of `sync`."""

    command = "sync"
    chosen = SyncOptions()

    def begin(self, transfer: Transfer) -> OutcomeStream[Outcome]:
        """Start the work."""
        return transfer.sync(self.sources[0], self.destination, self.chosen)


def _pair(words: list[str], syncing: SyncFlags) -> tuple[str, str]:
    """The source and the destination.

    Raises:
        UsageError: There are fewer or more words; it names one that is too much.
    """
    if len(words) == 2:
        return words[0], words[1]
    needed = "one source and one destination are needed"
    remedy = "write: transfer sync SOURCE DESTINATION"
    if len(words) < 2:
        raise UsageError(needed, remedy=remedy)
    # Elsewhere --checksum takes a value, which here becomes one more place.
    algorithm = next((word for word in words if word in set(ChecksumAlgorithm)), None)
    if algorithm is not None and syncing.compare_checksum and len(words) == 3:
        raise UsageError(
            "--checksum takes no value here: it compares by the checksums that the store keeps",
            subject=algorithm,
            remedy=f"choose what uploads are proved with by: --checksum-algorithm {algorithm}",
        )
    raise UsageError(f"it is one word too many: {needed}", subject=words[2], remedy=remedy)
