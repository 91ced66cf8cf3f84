"""`transfer rm`: remove objects, tell each one, and sum up."""

from __future__ import annotations

from typing import Annotated

import typer

from transfer.cli.exit_codes import ExitCode
from transfer.cli.flags import ConnectionFlags, OutputFlags
from transfer.cli.run import run
from transfer.cli.settling import settle_all
from transfer.model.locations import parse_s3_location

EXAMPLES = """
Examples:
  transfer rm s3://bucket/old.txt
  transfer rm 's3://bucket/logs/2019-*'
  transfer rm -r s3://bucket/tmp/

A key whose only wildcard is [ is taken as it is when it exists (this costs one
request); --raw takes all keys so.
Removed objects cannot be brought back unless the bucket keeps versions.
See first what a pattern means: transfer ls 's3://bucket/logs/2019-*'
"""


def rm(
    urls: Annotated[list[str], typer.Argument(metavar="URL...", help="Objects, patterns, or prefixes with -r.")],
    connection: ConnectionFlags,
    output: OutputFlags,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="All objects below a prefix.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Take *, ? and [ in keys as they are.")] = False,
) -> int:
    """Remove objects."""
    writer = output.output()
    for url in urls:
        parse_s3_location(url)
    options = connection.options()

    async def work() -> ExitCode:
        return await settle_all(
            "rm", writer, options, lambda transfer: transfer.remove_many(urls, recursive=recursive, raw=raw)
        )

    return run(writer, work)
