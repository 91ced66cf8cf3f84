"""A peer that is a library: one of the programs beside this file, started with the task as its argument."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from benchmarks.peers.task import Task


@dataclass(frozen=True, slots=True)
class LibraryCommands:
    """The program of one library.

    Attributes:
        module: Of the program, below `benchmarks.peers`.
        actions: What it can do.
    """

    module: str
    actions: tuple[str, ...]

    def command(self, task: Task) -> list[str] | None:
        """Return the command of a task."""
        if task.action not in self.actions:
            return None
        return [sys.executable, "-m", f"benchmarks.peers.{self.module}", task.to_json()]

    def version(self) -> list[str] | None:
        """A library has no command that prints its version."""
        return None
