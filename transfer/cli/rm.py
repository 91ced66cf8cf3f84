"""`transfer rm`: remove objects, tell each one, and sum up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from transfer.cli.exit_codes import ExitCode
from transfer.cli.filter_flags import FilterFlags
from transfer.cli.flags import ConnectionFlags, OutputFlags
from transfer.cli.run import run
from transfer.cli.settling import settle_all
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
  transfer rm -r s3://bucket/logs/ --older-than 90d --exclude keep/

A key whose only wildcard is [ is taken as it is when it exists (this costs one
request); --raw takes all keys so.
Removed objects cannot be brought back unless the bucket keeps versions.
See first what a pattern means: transfer ls 's3://bucket/logs/2019-*'
"""


def rm(
    connection: ConnectionFlags,
    output: OutputFlags,
    filtering: FilterFlags,
    urls: Annotated[
        list[str] | None, typer.Argument(metavar="[URL...]", help="Objects, patterns, or prefixes with -r.")
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="All objects below a prefix.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Take *, ? and [ in keys as they are.")] = False,
    from_file: Annotated[
        str | None,
        typer.Option("--from-file", metavar="FILE", help="Remove what the lines of FILE name; - is standard input."),
    ] = None,
) -> int:
    """Remove objects."""
    writer = output.output()
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
            return transfer.remove_listed(from_file, recursive=recursive, raw=raw)
        return transfer.remove_many(urls or (), recursive=recursive, raw=raw)

    async def work() -> ExitCode:
        return await settle_all("rm", writer, options, begin, filters)

    return run(writer, work)
