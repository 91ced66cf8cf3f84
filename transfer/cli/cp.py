"""`transfer cp`: move objects and files, tell each outcome, and sum up."""

from __future__ import annotations

import asyncio
import time
from contextlib import nullcontext
from typing import Annotated

import typer

from transfer.cli.copy_flags import CopyFlags
from transfer.cli.exit_codes import ExitCode, code_of_end, code_of_tally
from transfer.cli.flags import ConnectionFlags, OutputFlags
from transfer.cli.manifest import Manifest
from transfer.cli.messages import KeptJob, Summary, Unproven
from transfer.cli.output import Output
from transfer.cli.run import closing, run
from transfer.cli.tally import Tally
from transfer.model.checksums import VerifiedBy
from transfer.model.errors import UsageError
from transfer.model.events import Event, JobKept, Warned
from transfer.model.options import ConnectionOptions, TransferOptions
from transfer.model.receipts import Failure, Outcome, Receipt

EXAMPLES = """
Examples:
  Upload a file, download an object:
    transfer cp report.pdf s3://bucket/docs/
    transfer cp s3://bucket/docs/report.pdf .

  Folders, prefixes and wildcards (quoted, so that the shell leaves them):
    transfer cp -r photos s3://bucket/photos/
    transfer cp -r s3://bucket/photos/ photos
    transfer cp 's3://bucket/logs/2024-*.gz' logs/

  From standard input, to standard output:
    pg_dump shop | transfer cp - s3://bucket/shop.sql
    transfer cp s3://bucket/shop.sql - | psql shop

  A store other than AWS, a proof per object kept in a file:
    transfer cp -r data s3://bucket/data/ --endpoint-url http://localhost:9000 \\
      --require-verified --manifest receipts.jsonl

A path that exists is taken as it is, wildcards or not; so is a key whose only
wildcard is [ (this costs one request). --raw takes all names so.
A DESTINATION that ends in / or is an existing folder keeps the sources' names.
Each upload and download is verified with a checksum; -v shows with which.
"""


def cp(
    locations: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE... DESTINATION", help="Paths, s3://bucket/key, or - for standard input or output."
        ),
    ],
    copying: CopyFlags,
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """Copy between disks and buckets, verified."""
    *sources, destination = locations
    if not sources:
        raise UsageError("no destination", subject=destination, remedy="write: transfer cp SOURCE... DESTINATION")
    copy = _Copy(sources, destination, copying, connection.options(), copying.options(), output.output())
    return run(copy.output, copy.work)


class _Copy:
    """One run of `cp`."""

    def __init__(
        self,
        sources: list[str],
        destination: str,
        flags: CopyFlags,
        connection: ConnectionOptions,
        options: TransferOptions,
        output: Output,
    ) -> None:
        self.output = output
        self._sources = sources
        self._destination = destination
        self._flags = flags
        self._connection = connection
        self._options = options
        self._tally = Tally()
        if destination == "-":
            output.leave_stdout_to_data()

    async def work(self) -> ExitCode:
        began = time.monotonic()
        with Manifest(self._flags.manifest) if self._flags.manifest else nullcontext() as manifest:
            try:
                await self._move(manifest)
            except BaseException as error:
                if not self._tally.is_empty:
                    self._sum_up(began, code_of_end(error))
                self._tell_of_lost_stream()
                raise
        code = code_of_tally(self._tally, require_verified=self._flags.require_verified)
        self._sum_up(began, code)
        if code is ExitCode.FAILED:
            self._tell_of_lost_stream()
        return code

    def _tell_of_lost_stream(self) -> None:
        """What came from standard input is gone: no later run can go on with it."""
        if "-" in self._sources:
            self.output.event(Warned("standard input cannot be read twice: give all of it again"))

    async def _move(self, manifest: Manifest | None) -> None:
        from transfer.cli.progress import shown
        from transfer.engine.transfer import Transfer

        async with Transfer(connection=self._connection, options=self._options, on_event=self._hear) as transfer:
            outcomes = transfer.copy_many(
                self._sources, self._destination, recursive=self._flags.recursive, raw=self._flags.raw
            )
            is_stream = "-" in self._sources
            async with shown(transfer.progress, self.output, is_stream=is_stream), closing(outcomes):
                try:
                    async for outcome in outcomes:
                        self._settle(outcome, manifest)
                except asyncio.CancelledError:
                    transfer.hurry()
                    raise
                finally:
                    self._tally.resumed = transfer.progress.items_resumed
                    self._tally.not_attempted = max(0, transfer.progress.items_planned - self._tally.settled)

    def _hear(self, event: Event) -> None:
        if isinstance(event, JobKept):
            self.output.keep(KeptJob(event.job_id, self._flags.unusual_state_folder()))
        else:
            self.output.event(event)

    def _settle(self, outcome: Outcome, manifest: Manifest | None) -> None:
        if isinstance(outcome, Failure) and self.output.is_cut_off(outcome.error):
            raise BrokenPipeError
        self._tally.add(outcome)
        if isinstance(outcome, Receipt) and manifest is not None:
            manifest.add(outcome)
        self.output.show(outcome)
        if (
            self._flags.require_verified
            and isinstance(outcome, Receipt)
            and outcome.verified_by is VerifiedBy.UNVERIFIED
        ):
            self.output.show(Unproven(outcome.source))

    def _sum_up(self, began: float, code: ExitCode) -> None:
        self.output.show(Summary("cp", self._tally, time.monotonic() - began, code))
