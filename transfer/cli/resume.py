"""`transfer resume`: carry the command of an unfinished job out again, where it was given."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from transfer.cli.copy_flags import StateDir
from transfer.cli.exit_codes import ExitCode
from transfer.cli.flags import OutputFlags
from transfer.cli.output import Output
from transfer.cli.run import run
from transfer.engine.state import STATE_FOLDER_VARIABLE, state_folder
from transfer.model.errors import LocalFileError, TransferError, UsageError
from transfer.model.events import Warned
from transfer.model.unfinished import UnfinishedJob

EXAMPLES = """
Examples:
  transfer resume
  transfer resume 3

Without a number, all unfinished jobs are gone on with, one after the other.
Each command runs as it was given, in the folder it was given in, and with the
endpoint, profile and region that the environment named then. Credentials are
never remembered: they are looked for anew.
"""

_WORST_FIRST = (ExitCode.INTERRUPTED, ExitCode.FAILED, ExitCode.USAGE, ExitCode.WARNINGS, ExitCode.DONE)


def resume(
    output: OutputFlags,
    job: Annotated[int | None, typer.Argument(metavar="[JOB]", help="A number that transfer jobs shows.")] = None,
    state_dir: StateDir = None,
) -> int:
    """Go on with unfinished jobs."""
    writer = output.output()
    folder = state_folder(None if state_dir is None else str(state_dir))
    found: list[UnfinishedJob] = []

    async def look() -> ExitCode:
        from transfer.engine.jobs import list_jobs

        found.extend(await list_jobs(folder, lambda message: writer.event(Warned(message))))
        return ExitCode.DONE

    code = run(writer, look)
    if code is not ExitCode.DONE:
        return code
    return _worst([_repeat(writer, folder, one) for one in _chosen(found, job)])


def _chosen(found: list[UnfinishedJob], number: int | None) -> list[UnfinishedJob]:
    if number is None:
        return [job for job in found if job.holder is None]
    chosen = [job for job in found if job.id == number]
    if not chosen:
        raise UsageError("there is no such unfinished job", subject=str(number), remedy="see: transfer jobs")
    return chosen


def _repeat(writer: Output, folder: str, job: UnfinishedJob) -> ExitCode:
    from transfer.cli.app import run_command_line

    try:
        command = _command_of(job)
        with _where_it_was_given(job, folder):
            return ExitCode(run_command_line(command))
    except TransferError as error:
        writer.show(error)
        return ExitCode.FAILED


def _command_of(job: UnfinishedJob) -> tuple[str, ...]:
    if not job.description.command:
        raise UsageError(
            "it was begun by a Python program", subject=f"job {job.id}", remedy="run that program again, or clean it up"
        )
    return job.description.command


@contextmanager
def _where_it_was_given(job: UnfinishedJob, folder: str) -> Iterator[None]:
    """The folder and the variables of the command, for as long as it runs."""
    back, kept = os.getcwd(), dict(os.environ)  # noqa: PTH109 - as text
    remembered = dict(job.description.environment)
    try:
        os.chdir(job.description.folder)
    except OSError as error:
        raise LocalFileError.from_os_error(error, job.description.folder) from error
    try:
        os.environ.update(remembered)
        os.environ[STATE_FOLDER_VARIABLE] = os.path.join(back, folder)  # noqa: PTH118 - as text
        yield
    finally:
        os.chdir(back)
        os.environ.clear()
        os.environ.update(kept)


def _worst(codes: list[ExitCode]) -> ExitCode:
    return min(codes, key=_WORST_FIRST.index, default=ExitCode.DONE)
