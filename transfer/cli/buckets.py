"""`transfer mb` and `transfer rb` share all but the verb: their common run is here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from transfer.cli.exit_codes import ExitCode
from transfer.cli.flags import ConnectionFlags, OutputFlags
from transfer.cli.messages import BucketChanged
from transfer.cli.run import run
from transfer.model.errors import UsageError
from transfer.model.locations import S3_SCHEME, parse_s3_location

if TYPE_CHECKING:
    from transfer.engine.transfer import Transfer


def change_bucket(
    command: str,
    url: str,
    flags: tuple[ConnectionFlags, OutputFlags],
    change: Callable[[Transfer, str], Awaitable[None]],
) -> ExitCode:
    """Change one bucket and say so.

    Args:
        command: What the user typed, `mb` or `rb`.
        url: `s3://bucket`, with or without a slash at its end.
        flags: Those of the command.
        change: What to ask of the engine.

    Raises:
        UsageError: The URL names no bucket, or more than one.
    """
    connection, told = flags
    location = parse_s3_location(url)
    if location.key:
        raise UsageError("a key, where a bucket is wanted", subject=url, remedy=f"write {S3_SCHEME}{location.bucket}")
    output = told.output()
    options = connection.options()

    async def work() -> ExitCode:
        from transfer.engine.transfer import Transfer

        async with Transfer(connection=options, on_event=output.event) as transfer:
            await change(transfer, location.bucket)
        output.show(BucketChanged(command, f"{S3_SCHEME}{location.bucket}"))
        return ExitCode.DONE

    return run(output, work)
