"""`transfer cat`: the bytes of objects on standard output, in order."""

from __future__ import annotations

from typing import Annotated

import typer

from transfer.cli.exit_codes import ExitCode
from transfer.cli.flags import ConnectionFlags, OutputFlags
from transfer.cli.run import run
from transfer.model.locations import parse_s3_location

EXAMPLES = """
Examples:
  transfer cat s3://bucket/notes.txt
  transfer cat s3://bucket/logs/1.gz s3://bucket/logs/2.gz | zcat | less

The bytes are verified while they pass; the first failure ends the command.
With --json, errors are JSON lines on standard error.
"""


def cat(
    urls: Annotated[list[str], typer.Argument(metavar="URL...", help="Objects, as s3://bucket/key.")],
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """Write objects to standard output."""
    writer = output.output()
    writer.leave_stdout_to_data()
    for url in urls:
        parse_s3_location(url)
    options = connection.options()

    async def work() -> ExitCode:
        from transfer.engine.standard_streams import standard_output
        from transfer.engine.transfer import Transfer

        write = standard_output().write
        async with Transfer(connection=options, on_event=writer.event) as transfer:
            for url in urls:
                await transfer.cat(url, write)
        return ExitCode.DONE

    return run(writer, work)
