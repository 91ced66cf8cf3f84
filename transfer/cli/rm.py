"""`transfer rm`: remove objects, tell each one, and sum up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from transfer.cli.exit_codes import ExitCode
from transfer.cli.filter_flags import FilterFlags
from transfer.cli.flags import ConnectionFlags, OutputFlags
from transfer.cli.progress import Activity
from transfer.cli.run import check_list, run
from transfer.cli.settling import settle_all
from transfer.cli.tally import Tally
from transfer.model.errors import UsageError
from transfer.model.locations import parse_s3_location

if TYPE_CHECKING:
    from transfer.engine.outcomes import OutcomeStream
    from transfer.engine.transfer import Transfer
    from transfer.model.receipts import Outcome

EXAMPLES = """
Examples:
  transfer rm s3://bucket/old.txt
  transfer rm 's3://bucket/logs/2019-*'
  transfer rm -r s3://bucket/tmp/
  transfer rm --from-file doomed.txt
  transfer rm -r s3://bucket/logs/ --older-than 90d --exclude keep/ --dry-run

A key whose only wildcard is [ is taken as it is when it exists (this costs one
request); --raw takes all keys so.
Removed objects cannot be brought back unless the bucket keeps versions:
--dry-run tells first which they are.
"""


def rm(  # noqa: PLR0913, PLR0917 - each parameter is an option or a group of them
    filtering: FilterFlags,
    connection: ConnectionFlags,
    output: OutputFlags,
    urls: Annotated[
        list[str] | None, typer.Argument(metavar="[URL...]", help="Objects, patterns, or prefixes with -r.")
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="All objects below a prefix.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Take *, ? and [ in keys as they are.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Tell what would be removed, and stop.")] = False,
    from_file: Annotated[
        str | None,
        typer.Option("--from-file", metavar="FILE", help="Remove what the lines of FILE name; - is standard input."),
    ] = None,
) -> int:
    """Remove objects."""
    writer = output.output()
    check_list(from_file)
    if bool(urls) == (from_file is not None):
        raise UsageError(
            "no objects are named" if not urls else "objects are named in a file and on the command line",
            subject="rm",
            remedy="name them, or give --from-file",
        )
    for url in urls or ():
        parse_s3_location(url)
    options = connection.options()
    filters = filtering.filters()

    def begin(transfer: Transfer) -> OutcomeStream[Outcome]:
        if from_file is not None:
            return transfer.remove_listed(from_file, recursive=recursive, raw=raw, dry_run=dry_run)
        return transfer.remove_many(urls or (), recursive=recursive, raw=raw, dry_run=dry_run)

    # What a dry run has to tell scrolls by itself.
    activity = None if dry_run else Activity.REMOVING

    async def work() -> ExitCode:
        tally = Tally(is_dry_run=dry_run)
        return await settle_all("rm", writer, options, begin, filters, tally=tally, activity=activity)

    return run(writer, work)
