"""`transfer mpu`: multipart uploads that nobody has finished, listed and aborted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from transfer.cli.exit_codes import ExitCode
from transfer.cli.flags import ConnectionFlags, OutputFlags, remember, with_flags
from transfer.cli.help_page import TeachingCommand, TeachingGroup
from transfer.cli.messages import ListedUpload
from transfer.cli.numbers import age_seconds
from transfer.cli.run import closing, run
from transfer.cli.settling import settle_all
from transfer.model.errors import StoreError
from transfer.model.locations import S3Location, parse_s3_location

if TYPE_CHECKING:
    from transfer.engine.transfer import Transfer
    from transfer.stores.s3.xml import PendingUpload

EXAMPLES = """
Examples:
  transfer mpu ls s3://bucket
  transfer mpu ls --parts s3://bucket/backups/
  transfer mpu abort --older-than 7d --dry-run s3://bucket
  transfer mpu abort --older-than 7d s3://bucket

Large objects go up in parts. An upload that was never completed nor aborted,
by whatever program, keeps its parts: they cost money and no ls shows them.
"""
LS_EXAMPLES = """
Examples:
  transfer mpu ls s3://bucket
  transfer mpu ls s3://bucket/backups/
  transfer mpu ls --parts s3://bucket
  transfer mpu ls --older-than 7d s3://bucket

Columns: local date and time of its beginning, with --parts the number of parts
and their bytes, the object it would become, upload id.
A prefix is taken as it is written, *, ? and [ too: s3://bucket/log means all
keys that start with log.
"""
ABORT_EXAMPLES = """
Examples:
  transfer mpu abort --older-than 7d s3://bucket
  transfer mpu abort --older-than 12h s3://bucket/backups/ s3://other
  transfer mpu abort --dry-run s3://bucket

Without --older-than, ALL unfinished uploads below the URL are aborted. Among
them are those that other programs are still sending: these fail then.
A prefix is taken as it is written, *, ? and [ too: s3://bucket/log means all
keys that start with log. See them first: transfer mpu ls, or --dry-run.
Finished objects are never touched.
"""

_SETTINGS = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(name="mpu", cls=TeachingGroup, epilog=EXAMPLES, rich_markup_mode=None, context_settings=_SETTINGS)


def _group(context: typer.Context, connection: ConnectionFlags, output: OutputFlags) -> int:
    """List and abort unfinished multipart uploads."""
    remember(context, connection, output)
    return ExitCode.DONE


def _ls(
    url: Annotated[str, typer.Argument(metavar="URL", help="s3://bucket or a prefix in it.")],
    connection: ConnectionFlags,
    output: OutputFlags,
    parts: Annotated[
        bool, typer.Option("--parts", help="Also count parts and bytes; costs a request or more per upload.")
    ] = False,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="AGE", help="Only those begun so long ago: 7d, 12h, 30m or 90s."),
    ] = None,
) -> int:
    """List unfinished uploads."""
    writer = output.output()
    location = parse_s3_location(url)
    options = connection.options()
    begun_before = time.time() - (age_seconds("--older-than", older_than) or 0.0)

    async def work() -> ExitCode:
        from transfer.engine.transfer import Transfer

        async with (
            Transfer(connection=options, on_event=writer.event) as transfer,
            closing(transfer.list_uploads(str(location))) as uploads,
        ):
            async for upload in uploads:
                if older_than is not None and upload.initiated_seconds > begun_before:
                    continue
                writer.show(await _described(transfer, location, upload, with_parts=parts))
        return ExitCode.DONE

    return run(writer, work)


def _abort(
    urls: Annotated[list[str], typer.Argument(metavar="URL...", help="s3://bucket or a prefix in it.")],
    connection: ConnectionFlags,
    output: OutputFlags,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="AGE", help="Only those begun so long ago: 7d, 12h, 30m or 90s."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only tell what would be aborted.")] = False,
) -> int:
    """Abort unfinished uploads and free their parts."""
    writer = output.output()
    for url in urls:
        parse_s3_location(url)
    age = age_seconds("--older-than", older_than)
    options = connection.options()

    async def work() -> ExitCode:
        return await settle_all(
            "mpu abort",
            writer,
            options,
            lambda transfer: transfer.abort_uploads(urls, older_than_seconds=age, dry_run=dry_run),
        )

    return run(writer, work)


async def _described(
    transfer: Transfer, location: S3Location, upload: PendingUpload, *, with_parts: bool
) -> ListedUpload:
    place = location.with_key(upload.key)
    known = (place.bucket, place.key, upload.upload_id, upload.initiated_seconds)
    if not with_parts:
        return ListedUpload(*known)
    try:
        held = await transfer.list_parts(str(place), upload.upload_id)
    except StoreError as error:
        if error.code != "NoSuchUpload":
            raise
        return ListedUpload(*known, with_parts=True)
    return ListedUpload(*known, True, len({part.number for part in held}), sum(part.size for part in held))


app.callback()(with_flags(_group))
for _name, _command, _examples in (("ls", _ls, LS_EXAMPLES), ("abort", _abort, ABORT_EXAMPLES)):
    app.command(_name, cls=TeachingCommand, epilog=_examples, context_settings=_SETTINGS)(with_flags(_command))
