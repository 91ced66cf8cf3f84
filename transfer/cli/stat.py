"""`transfer stat`: all a store tells of an object, stored checksums included."""

from __future__ import annotations

from typing import Annotated

import typer

from transfer.cli.exit_codes import ExitCode
from transfer.cli.flags import ConnectionFlags, OutputFlags
from transfer.cli.messages import Described
from transfer.cli.run import run
from transfer.model.errors import TransferError, UsageError
from transfer.model.locations import parse_s3_location
from transfer.model.receipts import Failure

EXAMPLES = """
Examples:
  transfer stat s3://bucket/report.pdf
  transfer stat --json s3://bucket/a s3://bucket/b | jq .checksums
"""


def stat(
    urls: Annotated[list[str], typer.Argument(metavar="URL...", help="Objects, as s3://bucket/key.")],
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """Show size, checksums and metadata of objects."""
    writer = output.output()
    for url in urls:
        parse_s3_location(url)
    options = connection.options()

    async def work() -> ExitCode:
        from transfer.engine.transfer import Transfer

        code = ExitCode.DONE
        async with Transfer(connection=options, on_event=writer.event) as transfer:
            for url in urls:
                try:
                    writer.show(Described(url, await transfer.stat(url)))
                except UsageError:
                    raise
                except TransferError as error:
                    writer.show(Failure(url, "", error))
                    code = ExitCode.FAILED
        return code

    return run(writer, work)
