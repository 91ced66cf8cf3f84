"""`transfer ls`: buckets, or what is in one."""

from __future__ import annotations

from typing import Annotated

import typer

from transfer.cli.exit_codes import ExitCode
from transfer.cli.filter_flags import FilterFlags
from transfer.cli.flags import ConnectionFlags, OutputFlags
from transfer.cli.messages import ListedBucket, ListedPage
from transfer.cli.output import Output
from transfer.cli.run import closing, run
from transfer.model.errors import TransferError, UsageError
from transfer.model.locations import S3_SCHEME, S3Location, has_wildcard, parse_s3_location
from transfer.model.options import ConnectionOptions, TransferOptions

EXAMPLES = """
Examples:
  transfer ls
  transfer ls s3://bucket/photos/
  transfer ls -r -H s3://bucket/photos/
  transfer ls 's3://bucket/photos/*.jpg'
  transfer ls -r --min-size 1GiB --older-than 30d s3://bucket

Columns: local date and time, size in bytes (or with units, -H), key.
PRE marks a folder: all keys that go on below that name.
Filters choose among objects: with --recursive or a pattern.
"""


class NothingListedError(TransferError):
    """No key matches what was to be listed."""

    kind = "not_found"


def ls(
    chosen: FilterFlags,
    connection: ConnectionFlags,
    output: OutputFlags,
    url: Annotated[
        str | None,
        typer.Argument(metavar="[URL]", help="s3://bucket, a prefix or a pattern in it; your buckets if left out."),
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="All keys below, without folders.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Take *, ? and [ in keys as they are.")] = False,
    human_readable: Annotated[bool, typer.Option("--human-readable", "-H", help="Sizes with units.")] = False,
) -> int:
    """List buckets or objects."""
    writer = output.output()
    connected = connection.options()
    options = TransferOptions(filters=chosen.filters())
    location = None if url in (None, S3_SCHEME) else parse_s3_location(url or "")
    if location is None and not options.filters.is_open:
        raise UsageError("filters choose among objects, not buckets", remedy="name a bucket: s3://bucket")

    async def work() -> ExitCode:
        if location is None:
            await _list_buckets(writer, connected)
        else:
            await _list_objects(
                writer, connected, options, location, recursive=recursive, raw=raw, human_sizes=human_readable
            )
        return ExitCode.DONE

    return run(writer, work)


async def _list_buckets(output: Output, connection: ConnectionOptions) -> None:
    from transfer.engine.transfer import Transfer

    async with Transfer(connection=connection, on_event=output.event) as transfer:
        for bucket in await transfer.list_buckets():
            output.show(ListedBucket(bucket))


async def _list_objects(
    output: Output,
    connection: ConnectionOptions,
    options: TransferOptions,
    location: S3Location,
    *,
    recursive: bool,
    raw: bool,
    human_sizes: bool,
) -> None:
    from transfer.engine.transfer import Transfer

    # Like aws s3 ls: names below the listed folder, whole keys when folders are not kept together.
    is_pattern = has_wildcard(location.key) and not raw
    hidden = 0 if recursive or is_pattern else location.key.rfind("/") + 1
    found = False
    async with (
        Transfer(connection=connection, options=options, on_event=output.event) as transfer,
        closing(transfer.list_batches(str(location), recursive=recursive, raw=raw)) as batches,
    ):
        async for batch in batches:
            if batch:
                found = True
                output.show(ListedPage(location.bucket, batch, hidden, human_sizes))
    if location.key and not found and options.filters.is_open:
        raise NothingListedError("no such key or prefix", subject=str(location), remedy="check it with: transfer ls")
