"""`transfer clean`: give unfinished jobs up, with what they left at the store and on the disk."""

from __future__ import annotations

import dataclasses
import time
from typing import Annotated

import typer

from transfer.cli.copy_flags import StateDir
from transfer.cli.exit_codes import ExitCode
from transfer.cli.flags import ConnectionFlags, OutputFlags
from transfer.cli.messages import JobForgotten
from transfer.cli.numbers import age_seconds
from transfer.cli.output import Output
from transfer.cli.run import run
from transfer.engine.state import state_folder
from transfer.model.errors import TransferError
from transfer.model.events import Warned
from transfer.model.options import ConnectionOptions, TransferOptions
from transfer.model.unfinished import UnfinishedJob

EXAMPLES = """
Examples:
  transfer clean --dry-run
  transfer clean --older-than 7d

Aborts the multipart uploads and removes the temporary files of unfinished jobs,
then forgets them. Finished objects and files are never touched. A job that a
running process works on is left alone. --older-than counts from the last run.
"""


def clean(
    connection: ConnectionFlags,
    output: OutputFlags,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="AGE", help="Only jobs untouched for so long: 7d, 12h, 30m or 90s."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be given up.")] = False,
    state_dir: StateDir = None,
) -> int:
    """Give unfinished jobs up."""
    cleaning = _Cleaning(
        output.output(),
        connection.options(),
        state_folder(None if state_dir is None else str(state_dir)),
        age_seconds("--older-than", older_than) or 0.0,
        dry_run,
    )
    return run(cleaning.output, cleaning.work)


@dataclasses.dataclass(frozen=True, slots=True)
class _Cleaning:
    """One run of `clean`."""

    output: Output
    connection: ConnectionOptions
    folder: str
    age_seconds: float
    is_dry_run: bool

    async def work(self) -> ExitCode:
        from transfer.engine.jobs import list_jobs

        code = ExitCode.DONE
        for job in await list_jobs(self.folder, self._warn):
            if job.holder is not None or time.time() - job.touched_seconds < self.age_seconds:
                continue
            try:
                await self._forget(job)
            except TransferError as error:
                self.output.show(error)
                code = ExitCode.FAILED
        return code

    async def _forget(self, job: UnfinishedJob) -> None:
        if not self.is_dry_run:
            from transfer.engine.jobs import forget_job
            from transfer.engine.transfer import Transfer

            options = TransferOptions(resume=False)
            async with Transfer(
                connection=self._connection_of(job), options=options, on_event=self.output.event
            ) as transfer:
                await forget_job(self.folder, job, transfer.abort_upload, self._warn)
        self.output.show(JobForgotten(job, self.is_dry_run))

    def _connection_of(self, job: UnfinishedJob) -> ConnectionOptions:
        """What the job's own command and environment named, where this command names nothing."""
        given = dict(job.description.environment) | _connection_flags(job.description.command)
        return dataclasses.replace(
            self.connection,
            endpoint_url=self.connection.endpoint_url
            or given.get("--endpoint-url")
            or given.get("AWS_ENDPOINT_URL_S3")
            or given.get("AWS_ENDPOINT_URL"),
            profile=self.connection.profile or given.get("--profile") or given.get("AWS_PROFILE"),
            region=self.connection.region
            or given.get("--region")
            or given.get("AWS_REGION")
            or given.get("AWS_DEFAULT_REGION"),
        )

    def _warn(self, message: str) -> None:
        self.output.event(Warned(message))


def _connection_flags(command: tuple[str, ...]) -> dict[str, str]:
    """The options of a command line that say where it goes, in either way of writing them."""
    found: dict[str, str] = {}
    for index, word in enumerate(command):
        name, equals, value = word.partition("=")
        if name not in ("--endpoint-url", "--profile", "--region"):
            continue
        if equals:
            found[name] = value
        elif index + 1 < len(command):
            found[name] = command[index + 1]
    return found
