"""`transfer resume`: carry the command of an unfinished job out again, where it was given."""

from __future__ import annotations

from typing import Annotated

import typer

from transfer.cli.copy_flags import StateDir
from transfer.cli.exit_codes import ExitCode
from transfer.cli.flags import OutputFlags
from transfer.cli.jobs import chosen_by_number
from transfer.cli.messages import JobRepeated, NoJobs
from transfer.cli.output import Output
from transfer.cli.run import run
from transfer.cli.surroundings import folder_of, variables_of
from transfer.engine.state import state_folder
from transfer.model.errors import ConfigurationError, TransferError, UsageError
from transfer.model.events import Warned
from transfer.model.receipts import Skip
from transfer.model.unfinished import UnfinishedJob

EXAMPLES = """
Examples:
  transfer resume
  transfer resume 3

Without a number, all unfinished jobs are gone on with, one after the other.
Each command runs as it was given, in the folder it was given in. Variables that
name an endpoint, a profile, a region or a file of AWS are as they were then:
those set only now are left out. Credentials are never remembered: they are
looked for anew. A command that now goes to another store, or means another job,
leaves the old one unfinished: that is told and counts as a failure.
--json, -q and -v hold for each command as if they stood in it.
The exit code is that of the command that ended worst.
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
    code, found = _look(writer, folder)
    if code is not ExitCode.DONE:
        return code
    chosen = _chosen(found, job)
    if not found:
        writer.show(NoJobs())
    for one in found:
        if job is None and one.holder is not None:
            writer.show(Skip(f"job {one.id}", f"process {one.holder.process_id} works on it"))
    worst = ExitCode.DONE
    for one in chosen:
        worst = min(worst, _repeat(writer, output, folder, one), key=_WORST_FIRST.index)
        if worst is ExitCode.INTERRUPTED:
            break
    return worst


def _look(writer: Output, folder: str) -> tuple[ExitCode, list[UnfinishedJob]]:
    """What is unfinished; the code says whether that could be found out."""
    found: list[UnfinishedJob] = []

    async def look() -> ExitCode:
        from transfer.engine.jobs import list_jobs

        found.extend(await list_jobs(folder, lambda message: writer.event(Warned(message))))
        return ExitCode.DONE

    return run(writer, look), found


def _chosen(found: list[UnfinishedJob], number: int | None) -> list[UnfinishedJob]:
    if number is None:
        return [job for job in found if job.holder is None]
    return chosen_by_number(found, [number])


def _repeat(writer: Output, output: OutputFlags, folder: str, job: UnfinishedJob) -> ExitCode:
    from transfer.cli.app import run_command_line

    try:
        command = _command_of(job)
        with variables_of(job.description), folder_of(job.description, folder):
            writer.show(JobRepeated(job))
            code = ExitCode(run_command_line([*output.words(), *command], repeats=command))
        return _ended(writer, folder, job, code) if code in (ExitCode.DONE, ExitCode.WARNINGS) else code
    except TransferError as error:
        error.subject = f"job {job.id}: {error.subject}" if error.subject else f"job {job.id}"
        writer.show(error)
        return ExitCode.FAILED


def _ended(writer: Output, folder: str, job: UnfinishedJob, code: ExitCode) -> ExitCode:
    """Make sure that a command which ended well was this job's; the code that it all ends with.

    A job that was taken up bears the time of that: if it is still there, its run has told why.

    Raises:
        ConfigurationError: The job is there as it was.
    """
    looked, found = _look(writer, folder)
    for one in found:
        if one.id == job.id and one.holder is None and one.touched_seconds == job.touched_seconds:
            raise ConfigurationError(
                "still unfinished: its command went elsewhere or is another job now, "
                f"while this one went to {job.description.endpoint}",
                remedy="compare the endpoint and profile with those of then, or give it up with: "
                f"transfer clean {job.id}",
            )
    return code if looked is ExitCode.DONE else looked


def _command_of(job: UnfinishedJob) -> tuple[str, ...]:
    if not job.description.command:
        raise UsageError(
            "it was begun by a Python program", remedy=f"run that program again, or: transfer clean {job.id}"
        )
    return job.description.command
