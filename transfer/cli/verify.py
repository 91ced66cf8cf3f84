"""`transfer verify`: compare what is in two places by stored checksums, tell what is wrong, and sum up."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from transfer.cli.audit_tally import AuditTally
from transfer.cli.destination_flags import DestinationFlags
from transfer.cli.exit_codes import ExitCode, code_of_end
from transfer.cli.filter_flags import FilterFlags
from transfer.cli.flags import ConnectionFlags, OutputFlags
from transfer.cli.messages import AuditSummary
from transfer.cli.output import Output
from transfer.cli.progress import Activity, shown
from transfer.cli.recorded import RecordedManifest
from transfer.cli.run import closing, run
from transfer.model.errors import UsageError
from transfer.model.events import Warned
from transfer.model.filters import Filters
from transfer.model.locations import parse_location
from transfer.model.options import ConnectionOptions, TransferOptions

if TYPE_CHECKING:
    from transfer.engine.outcomes import OutcomeStream
    from transfer.engine.transfer import Transfer
    from transfer.model.audits import Audit

EXAMPLES = """
Examples:
  transfer verify site s3://bucket/site            is the backup of the folder good?
  transfer verify s3://bucket/site site            is the folder what the bucket has?
  transfer verify movie.mov s3://bucket/films/     one file
  transfer verify s3://a/x/ s3://b/x/              two prefixes, no byte is read
  transfer verify site s3://bucket/site --exclude '*.tmp' --json

  What earlier runs of cp --manifest noted of what they did:
    transfer verify --manifest receipts.jsonl
    transfer verify --manifest receipts.jsonl s3://bucket/site/

No object is downloaded: files are read, and compared with the checksums that the
store keeps. One line tells of each name that is not proved to match:
  differs        the bytes are others
  missing        only the first place has it
  extra          only the second place has it
  unverifiable   the sizes agree, and the store keeps nothing that tells more
With a manifest, each DESTINATION in it is checked; with a location, those ends of
its receipts that are there.
Exit codes: 0 all match; 1 something differs, is missing or cannot be read;
3 nothing worse than unverifiable, extra or skipped names, or nothing to compare.
"""


def verify(
    filtering: FilterFlags,
    connection: ConnectionFlags,
    second: DestinationFlags,
    output: OutputFlags,
    locations: Annotated[
        list[str] | None, typer.Argument(metavar="FIRST SECOND", help="Files, folders, s3://bucket/key or a prefix.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option("--manifest", metavar="FILE", help="Check what the receipts in this file say.")
    ] = None,
    no_follow_symlinks: Annotated[
        bool, typer.Option("--no-follow-symlinks", help="Skip symbolic links below a folder.")
    ] = False,
) -> int:
    """Prove that two places hold the same, without downloading."""
    places = locations or []
    filters = filtering.filters()
    first = connection.options()
    other = second.options(first)
    options = TransferOptions(filters=filters, follow_symlinks=not no_follow_symlinks, resume=False)
    check = _Verification(output.output(), options)
    if manifest is None:
        if len(places) != 2:
            raise UsageError("two places are compared", remedy="write: transfer verify FIRST SECOND")
        return run(check.output, lambda: check.work(first, other, lambda transfer: transfer.verify(*places)))
    if len(places) > 1 or filters != Filters() or other is not None:
        raise UsageError(
            "it goes with one location at most, without filters and without a second store",
            subject="--manifest",
            remedy="write: transfer verify --manifest FILE [LOCATION]",
        )
    check.records = RecordedManifest(manifest, parse_location(places[0]) if places else None)
    records = check.records
    return run(check.output, lambda: check.work(first, None, lambda transfer: transfer.verify_records(records)))


class _Verification:
    """One run of `verify`."""

    def __init__(self, output: Output, options: TransferOptions) -> None:
        self.output = output
        self.records: RecordedManifest | None = None
        self._options = options
        self._tally = AuditTally()

    async def work(
        self,
        connection: ConnectionOptions,
        second: ConnectionOptions | None,
        begin: Callable[[Transfer], OutcomeStream[Audit]],
    ) -> ExitCode:
        began = time.monotonic()
        try:
            await self._compare(connection, second, begin)
        except BaseException as error:
            if self._tally.settled:
                self._sum_up(began, code_of_end(error))
            raise
        if not self._tally.settled:
            self.output.event(Warned("nothing was compared: there is nothing in these places that is wanted"))
        elif self.records is None and self._tally.is_disjoint:
            self.output.event(Warned("the two places have no name in common: are both spelt as they should be?"))
        self._sum_up(began, self._tally.code)
        return self._tally.code

    async def _compare(
        self,
        connection: ConnectionOptions,
        second: ConnectionOptions | None,
        begin: Callable[[Transfer], OutcomeStream[Audit]],
    ) -> None:
        from transfer.engine.transfer import Transfer

        transfer = Transfer(
            connection=connection, destination=second, options=self._options, on_event=self.output.event
        )
        async with transfer, closing(begin(transfer)) as found, self._shown(transfer):
            async for audit in found:
                self._settle(audit)
        for skip in self.records.skipped if self.records else ():
            self._settle(skip)

    def _shown(self, transfer: Transfer) -> AbstractAsyncContextManager[None]:
        return shown(transfer.progress, self.output, Activity.CHECKING)

    def _settle(self, audit: Audit) -> None:
        self._tally.add(audit)
        self.output.show(audit)

    def _sum_up(self, began: float, code: ExitCode) -> None:
        self.output.show(AuditSummary(self._tally, time.monotonic() - began, code))
