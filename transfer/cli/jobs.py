"""`transfer jobs`: what is unfinished, how far it is, and since when."""

from __future__ import annotations

from collections.abc import Sequence

from transfer.cli.copy_flags import StateDir
from transfer.cli.exit_codes import ExitCode
from transfer.cli.flags import OutputFlags
from transfer.cli.messages import ListedJob, NoJobs
from transfer.cli.run import run
from transfer.engine.state import state_folder
from transfer.model.errors import UsageError
from transfer.model.events import Warned
from transfer.model.unfinished import UnfinishedJob

EXAMPLES = """
Examples:
  transfer jobs
  transfer jobs --json
  transfer resume 3
  transfer clean 3
  transfer clean --older-than 7d

A job is a cp, mv or sync that was interrupted, killed, or had failures. Running
the same command again goes on with it; so does transfer resume. For each large
file or object that was begun, a line below the job says how much of it is done.
"""


def jobs(output: OutputFlags, state_dir: StateDir = None) -> int:
    """List unfinished jobs."""
    writer = output.output()
    folder = state_folder(None if state_dir is None else str(state_dir))

    async def work() -> ExitCode:
        from transfer.engine.jobs import list_jobs

        found = await list_jobs(folder, lambda message: writer.event(Warned(message)))
        for job in found:
            writer.show(ListedJob(job))
        if not found:
            writer.show(NoJobs())
        return ExitCode.DONE

    return run(writer, work)


def chosen_by_number(found: Sequence[UnfinishedJob], numbers: Sequence[int]) -> list[UnfinishedJob]:
    """Those of the listed jobs that the user has named.

    Raises:
        UsageError: One that was named is not among them.
    """
    known = {job.id for job in found}
    for number in numbers:
        if number not in known:
            raise UsageError("there is no such unfinished job", subject=f"job {number}", remedy="see: transfer jobs")
    return [job for job in found if job.id in numbers]
