"""The frame of commands that move things: run, show progress, tell each outcome, keep receipts, and sum up.

It never decides what is moved.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, ClassVar

from transfer.cli.copy_flags import TransferFlags
from transfer.cli.exit_codes import ExitCode, code_of_end, code_of_tally
from transfer.cli.manifest import Manifest
from transfer.cli.messages import KeptJob, Message, Summary, Unproven
from transfer.cli.output import Output
from transfer.cli.progress import Activity, shown
from transfer.cli.run import closing, deferred, run
from transfer.cli.tally import Tally
from transfer.model.checksums import VerifiedBy
from transfer.model.events import Event, JobKept, Warned
from transfer.model.options import ConnectionOptions, TransferOptions
from transfer.model.receipts import Failure, Outcome, Receipt
from transfer.system.memory import keep_freed_memory

if TYPE_CHECKING:
    from transfer.engine.outcomes import OutcomeStream
    from transfer.engine.transfer import Transfer
    from transfer.system.forking import Forked


class TransferRun(ABC):
    """One run of a command; those that follow say what it begins, and how it is named in the summary."""

    command: ClassVar[str]

    def __init__(
        self,
        sources: list[str],
        destination: str,
        flags: TransferFlags,
        connection: ConnectionOptions,
        options: TransferOptions,
        output: Output,
        second: ConnectionOptions | None = None,
    ) -> None:
        self.output = output
        self.sources = sources
        self.destination = destination
        self.flags = flags
        self._connection = connection
        self._second = second
        self._options = options
        self._workers: tuple[Forked, ...] = ()
        self.tally = Tally()
        self._may_have_read = False
        if destination == "-":
            output.leave_stdout_to_data()
        else:
            output.explain_cut_off()

    def run(self) -> ExitCode:
        """Do it all in an event loop, with other processes if they may be of use; the code for the process."""
        keep_freed_memory()
        if deferred.get() is not None or not self.may_share:
            return run(self.output, self.work)
        from transfer.engine.crew.hiring import hired

        with hired(self._options) as self._workers:
            return run(self.output, self.work)

    @property
    def may_share(self) -> bool:
        """Whether there may be work for several processes."""
        return not self.tally.is_dry_run and self._second is None and "-" not in (*self.sources, self.destination)

    async def work(self) -> ExitCode:
        """Do it all, and say how it ended; raises what ended it early."""
        began = time.monotonic()
        path = None if self.tally.is_dry_run else self.flags.manifest
        with nullcontext() if path is None else Manifest(path) as manifest:
            try:
                await self._move(manifest)
            except BaseException as error:
                if not self.tally.is_empty:
                    self._sum_up(began, code_of_end(error))
                self._tell_of_lost_stream()
                raise
        code = code_of_tally(self.tally, require_verified=self.flags.require_verified)
        self._sum_up(began, code)
        if code is ExitCode.FAILED:
            self._tell_of_lost_stream()
        return code

    def _tell_of_lost_stream(self) -> None:
        """What came from standard input is gone: no later run can go on with it."""
        if "-" in self.sources and self._may_have_read:
            self.output.event(Warned("standard input cannot be read twice: give all of it again"))

    async def _move(self, manifest: Manifest | None) -> None:
        from transfer.engine.transfer import Transfer

        async with Transfer(
            connection=self._connection,
            options=self._options,
            on_event=self._hear,
            destination=self._second,
            workers=self._workers,
        ) as transfer:
            outcomes = self.begin(transfer)
            # What is refused until here has read nothing.
            self._may_have_read = True
            is_stream = "-" in self.sources
            activity = Activity.PLANNING if self.tally.is_dry_run else Activity.MOVING
            async with shown(transfer.progress, self.output, activity, is_stream=is_stream), closing(outcomes):
                try:
                    while batch := await outcomes.next_batch():
                        self._settle(batch, manifest)
                except asyncio.CancelledError:
                    transfer.hurry()
                    # What is done is remembered as such: a later run tells nothing of it.
                    self._settle(await outcomes.rest(), manifest)
                    raise
                finally:
                    self.tally.resumed = transfer.progress.items_resumed
                    self.tally.equal = transfer.progress.items_equal
                    self.tally.not_attempted = max(0, transfer.progress.items_planned - self.tally.settled)
                    self.tally.found_all = transfer.progress.total_is_final

    @abstractmethod
    def begin(self, transfer: Transfer) -> OutcomeStream[Outcome]:
        """Start the work."""

    def notes(self, receipt: Receipt) -> Iterator[Message]:
        """What there is to say of a receipt besides the receipt."""
        if self.flags.require_verified and receipt.verified_by is VerifiedBy.UNVERIFIED:
            yield Unproven(receipt.source)

    def _hear(self, event: Event) -> None:
        if isinstance(event, JobKept):
            self.output.keep(KeptJob(event.job_id, self.flags.unusual_state_folder()))
        else:
            self.output.event(event)

    def _settle(self, batch: Sequence[Outcome], manifest: Manifest | None) -> None:
        cut_off = (isinstance(outcome, Failure) and self.output.is_cut_off(outcome.error) for outcome in batch)
        last = next((index for index, is_cut_off in enumerate(cut_off) if is_cut_off), len(batch))
        settled = batch[:last]
        self.tally.add_all(settled)
        try:
            if manifest is not None:
                manifest.add_all(outcome for outcome in settled if isinstance(outcome, Receipt))
        finally:
            self.output.show_all(self._with_notes(settled))
        if last < len(batch):
            raise BrokenPipeError

    def _with_notes(self, batch: Sequence[Outcome]) -> Iterator[Message]:
        for outcome in batch:
            yield outcome
            if isinstance(outcome, Receipt):
                yield from self.notes(outcome)

    def _sum_up(self, began: float, code: ExitCode) -> None:
        self.output.show(Summary(self.command, self.tally, time.monotonic() - began, code))
