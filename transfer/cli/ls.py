"""`transfer ls`: buckets, or what is in one."""

from __future__ import annotations

from typing import Annotated

import typer

from transfer.cli.exit_codes import ExitCode
from transfer.cli.flags import ConnectionFlags, OutputFlags
from transfer.cli.messages import Listed
from transfer.cli.output import Output
from transfer.cli.run import closing, run
from transfer.model.errors import TransferError
from transfer.model.locations import S3_SCHEME, S3Location, has_wildcard, parse_s3_location
from transfer.model.objects import CommonPrefix, ListedObject
from transfer.model.options import ConnectionOptions

EXAMPLES = """
Examples:
  transfer ls
  transfer ls s3://bucket/photos/
  transfer ls -r -H s3://bucket/photos/
  transfer ls 's3://bucket/photos/*.jpg'

Columns: local date and time, size in bytes (or with units, -H), key.
PRE marks a folder: all keys that go on below that name.
"""


class NothingListedError(TransferError):
    """No key matches what was to be listed."""

    kind = "not_found"


def ls(
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
    options = connection.options()
    location = None if url in (None, S3_SCHEME) else parse_s3_location(url or "")

    async def work() -> ExitCode:
        if location is None:
            await _list_buckets(writer, options)
        else:
            await _list_objects(writer, options, location, recursive=recursive, raw=raw, human_sizes=human_readable)
        return ExitCode.DONE

    return run(writer, work)


async def _list_buckets(output: Output, options: ConnectionOptions) -> None:
    from transfer.engine.transfer import Transfer

    async with Transfer(connection=options, on_event=output.event) as transfer:
        for bucket in await transfer.list_buckets():
            output.show(Listed("", bucket, bucket.name))


async def _list_objects(
    output: Output, options: ConnectionOptions, location: S3Location, *, recursive: bool, raw: bool, human_sizes: bool
) -> None:
    from transfer.engine.transfer import Transfer

    # Like aws s3 ls: names below the listed folder, whole keys when folders are not kept together.
    is_pattern = has_wildcard(location.key) and not raw
    hidden = 0 if recursive or is_pattern else location.key.rfind("/") + 1
    found = False
    async with (
        Transfer(connection=options, on_event=output.event) as transfer,
        closing(transfer.list_objects(str(location), recursive=recursive, raw=raw)) as entries,
    ):
        async for entry in entries:
            found = True
            output.show(Listed(location.bucket, entry, _name(entry)[hidden:], human_sizes))
    if location.key and not found:
        raise NothingListedError("no such key or prefix", subject=str(location), remedy="check it with: transfer ls")


def _name(entry: ListedObject | CommonPrefix) -> str:
    return entry.prefix if isinstance(entry, CommonPrefix) else entry.key
