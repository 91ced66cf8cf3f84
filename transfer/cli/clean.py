"""`transfer clean`: give unfinished jobs up, with what they left at the store and on the disk."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Annotated

import typer

from transfer.cli.copy_flags import StateDir
from transfer.cli.exit_codes import ExitCode
from transfer.cli.flags import ConnectionFlags, OutputFlags, filled_up
from transfer.cli.jobs import chosen_by_number
from transfer.cli.messages import JobForgotten, NoJobs
from transfer.cli.numbers import age_seconds
from transfer.cli.output import Output
from transfer.cli.run import run
from transfer.cli.surroundings import connection_of, destination_of, variables_of
from transfer.engine.state import state_folder
from transfer.model.errors import ConfigurationError, StoreError, TransferError, UsageError
from transfer.model.events import Warned
from transfer.model.locations import parse_s3_location
from transfer.model.options import ConnectionOptions, TransferOptions
from transfer.model.receipts import Skip
from transfer.model.unfinished import UnfinishedJob

if TYPE_CHECKING:
    from transfer.engine.jobs import AbortUpload
    from transfer.engine.transfer import Transfer

EXAMPLES = """
Examples:
  transfer clean --dry-run
  transfer clean 3 5
  transfer clean --older-than 7d

Without a number, all unfinished jobs are given up: transfer jobs shows them.
Aborts the multipart uploads and removes the temporary files of unfinished jobs,
then forgets them. Finished objects and files are never touched. A job that a
running process works on is left alone. --older-than counts from the last run.
The store is reached by each job's own options and by the variables that it had:
an endpoint, profile or region that is set only now is left out, one that is
given as an option here wins. If that leads to another address than the job's,
nothing of the job is given up.
"""


def clean(
    connection: ConnectionFlags,
    output: OutputFlags,
    jobs: Annotated[
        list[int] | None, typer.Argument(metavar="[JOB]...", help="Numbers that transfer jobs shows.")
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="AGE", help="Only jobs untouched for so long: 7d, 12h, 30m or 90s."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only tell what would be given up.")] = False,
    state_dir: StateDir = None,
) -> int:
    """Give unfinished jobs up, with what they left behind."""
    connection.options()
    if jobs and older_than is not None:
        raise UsageError("which jobs is told by numbers already", subject="--older-than", remedy="leave one out")
    cleaning = _Cleaning(
        output.output(),
        connection,
        tuple(jobs or ()),
        state_folder(None if state_dir is None else str(state_dir)),
        age_seconds("--older-than", older_than),
        dry_run,
    )
    return run(cleaning.output, cleaning.work)


@dataclasses.dataclass(frozen=True, slots=True)
class _Cleaning:
    """One run of `clean`; no `numbers` mean all jobs."""

    output: Output
    connection: ConnectionFlags
    numbers: tuple[int, ...]
    folder: str
    least_age_seconds: float | None
    is_dry_run: bool

    async def work(self) -> ExitCode:
        from transfer.engine.jobs import forget_empty_jobs, list_jobs

        code = ExitCode.DONE
        if not (self.is_dry_run or self.numbers):
            await forget_empty_jobs(self.folder, self._warn)
        found = await list_jobs(self.folder, self._warn)
        if self.numbers:
            found = tuple(chosen_by_number(found, self.numbers))
        elif not found:
            self.output.show(NoJobs())
        for job in found:
            if not self._is_old_enough(job):
                continue
            if job.holder is not None:
                self.output.show(Skip(f"job {job.id}", f"process {job.holder.process_id} works on it"))
                if self.numbers and code is ExitCode.DONE:
                    code = ExitCode.WARNINGS
                continue
            try:
                await self._give_up(job)
            except TransferError as error:
                error.subject = f"job {job.id}: {error.subject}" if error.subject else f"job {job.id}"
                self.output.show(error)
                code = ExitCode.FAILED
        return code

    def _is_old_enough(self, job: UnfinishedJob) -> bool:
        if self.least_age_seconds is None:
            return True
        # A clock that was set back makes no age below nothing.
        return max(0.0, time.time() - job.touched_seconds) >= self.least_age_seconds

    async def _give_up(self, job: UnfinishedJob) -> None:
        if self.is_dry_run:
            self.output.show(JobForgotten(job, is_dry_run=True))
            return
        if any(item.upload_id is not None for item in job.items):
            await self._forget_with_uploads(job)
        else:
            await self._forget(job, _abort_nothing)
        self.output.show(JobForgotten(job))

    async def _forget_with_uploads(self, job: UnfinishedJob) -> None:
        from transfer.engine.transfer import Transfer

        connection = self._connection_for(job)
        with variables_of(job.description):
            async with Transfer(
                connection=connection, options=TransferOptions(resume=False), on_event=self.output.event
            ) as transfer:
                await _check_address(transfer, job)

                async def abort(location: str, upload_id: str) -> None:
                    try:
                        await transfer.abort_upload(location, upload_id)
                    except StoreError as error:
                        if error.code != "NoSuchBucket":
                            raise

                await self._forget(job, abort)

    def _connection_for(self, job: UnfinishedJob) -> ConnectionOptions:
        """The options of the store that the job's uploads are at: its destination, if it has one of its own.

        What is given here wins, in either case.
        """
        first = connection_of(job.description)
        second = destination_of(job.description).options(first.options())
        if second is None:
            return filled_up(self.connection, first).options()
        given, default = self.connection.options(), ConnectionOptions()
        names = [field.name for field in dataclasses.fields(ConnectionOptions)]
        wanted = {name: getattr(given, name) for name in names if getattr(given, name) != getattr(default, name)}
        return dataclasses.replace(second, **wanted)

    async def _forget(self, job: UnfinishedJob, abort: AbortUpload) -> None:
        from transfer.engine.jobs import forget_job

        await forget_job(self.folder, job, abort, self._warn)

    def _warn(self, message: str) -> None:
        self.output.event(Warned(message))


async def _check_address(transfer: Transfer, job: UnfinishedJob) -> None:
    """Make sure that the job's own store is asked: another one truly says that it knows no such upload.

    Raises:
        ConfigurationError: The job's uploads are elsewhere, or no address can be named.
    """
    for item in job.items:
        if item.upload_id is None:
            continue
        there = item.identity.endpoint
        here = await transfer.address_of(parse_s3_location(item.identity.destination).bucket)
        if here != there:
            raise ConfigurationError(
                f"its upload is at {there}, but clean would ask {here}",
                subject=item.identity.destination,
                remedy="give the --endpoint-url, --profile or --region that leads there",
            )


async def _abort_nothing(location: str, upload_id: str) -> None:
    """For jobs without uploads: no store is asked."""
    raise AssertionError(f"{location}: upload {upload_id} was not listed")
