"""`transfer mv`: copy, and remove each source once its copy is proved; tell each outcome, and sum up."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated

import typer

from transfer.cli.copy_flags import CopyFlags
from transfer.cli.copy_run import CopyRun
from transfer.cli.destination_flags import DestinationFlags
from transfer.cli.filter_flags import FilterFlags
from transfer.cli.flags import ConnectionFlags, OutputFlags
from transfer.cli.list_flags import ListFlags
from transfer.cli.messages import Message, SourceKept
from transfer.model.events import Warned
from transfer.model.receipts import Receipt

WITHOUT_TAGS = "--tagging-directive replace moves such objects without them"

EXAMPLES = """
Examples:
  transfer mv report.pdf s3://bucket/docs/
  transfer mv -r s3://bucket/inbox/ done --dry-run
  transfer mv -r s3://bucket/inbox/ done
  transfer mv 's3://bucket/logs/2024-*.gz' s3://bucket/archive/2024/

A source is removed when its copy is durable and verified, and only if it still
is what was copied. Nothing could verify a copy? Then its source stays, and the
exit code is 3; --allow-unverified removes such sources too.
Folders that become empty stay; of a symbolic link, the link is removed.
Stopped on the way, what is not removed yet is copied again by the next run.
"""


def mv(  # noqa: PLR0913, PLR0917 - each parameter is a group of options
    locations: Annotated[list[str], typer.Argument(metavar="SOURCE... DESTINATION", help="Paths or s3://bucket/key.")],
    copying: CopyFlags,
    filtering: FilterFlags,
    listing: ListFlags,
    connection: ConnectionFlags,
    second: DestinationFlags,
    output: OutputFlags,
    allow_unverified: Annotated[
        bool,
        typer.Option(
            "--allow-unverified",
            help="Also remove sources whose copies nothing could verify.",
            rich_help_panel="Verification",
        ),
    ] = False,
) -> int:
    """Move: copy, verify, then remove the source."""
    sources, destination = listing.places("mv", locations)
    options = dataclasses.replace(copying.options(), filters=filtering.filters())
    first = connection.options()
    move = _MoveRun(sources, destination, copying, first, options, output.output(), second.options(first))
    move.listing = listing
    move.removes_unverified = allow_unverified
    move.recursive, move.raw = copying.recursive, copying.raw
    move.tally.is_dry_run = copying.dry_run
    return move.run()


class _MoveRun(CopyRun):
    """One run of `mv`."""

    command = "mv"
    moves = True

    def notes(self, receipt: Receipt) -> Iterator[Message]:
        """That a source stays."""
        if receipt.source_removed:
            yield from super().notes(receipt)
            return
        self.tally.kept += 1
        if receipt.tags_unread:
            yield Warned(f"{receipt.source}: copied without its tags, so the source stays; {WITHOUT_TAGS}")
        else:
            yield SourceKept(receipt.source)
