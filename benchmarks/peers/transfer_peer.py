"""The subject itself, of this tree or of another revision's, with and without its journal."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache

from benchmarks.peers.task import Task


@dataclass(frozen=True, slots=True)
class TransferCommands:
    """The command `transfer`.

    Attributes:
        flags: What each `cp` is told besides.
        processes: How many processes it is asked for; None leaves it to it.
    """

    flags: tuple[str, ...] = ()
    processes: int | None = None

    def command(self, task: Task) -> list[str] | None:
        """Return the command of a task; flags change copies alone, so with them there is no other."""
        url = f"s3://{task.bucket}/{task.key}"
        if task.action == "list":
            if self.flags:
                return None
            return [*_program(), "ls", "-r", url]
        flags = list(self.flags)
        flags += ["-r"] if task.is_tree else []
        flags += ["--concurrency", str(task.concurrency)] if task.concurrency else []
        flags += ["--processes", str(self.processes)] if self.processes else []
        local = f"{task.path}/" if task.is_tree else task.path
        places = [local, url] if task.action == "upload" else [url, local]
        return [*_program(), "cp", *flags, *places]

    def version(self) -> list[str] | None:
        """Return the command that prints the version."""
        return None if self.flags else [*_program(), "--version"]


@cache
def _program() -> tuple[str, ...]:
    # -P: PYTHONPATH alone says of which tree the package is, not the current folder.
    return (sys.executable, "-P", "-m", "transfer")
