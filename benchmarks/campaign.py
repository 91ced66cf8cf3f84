"""Runs every workload with every entrant, interleaved, and checks that each run did its work.

Owns the files of the workloads below one folder, and removes each as soon as it is not needed. One entrant's
failure is a result like others and never stops the rest.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from benchmarks.downloads import download_problem
from benchmarks.endpoints import BUCKET, Endpoint
from benchmarks.entrants import Entrant, label_of
from benchmarks.measure import CommandFailedError, Measurement, measure
from benchmarks.pattern import Pattern
from benchmarks.peers.task import Task
from benchmarks.room import free_bytes, warm_memory
from benchmarks.workloads import Action, Workload

SPARE_BYTES = 64 << 20


class State(StrEnum):
    """What became of one entrant with one workload."""

    MEASURED = "measured"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNABLE = "no such command"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The counted runs of one entrant with one workload.

    Attributes:
        samples: Empty unless `state` is MEASURED.
        problem: Why there are no samples; empty when there are.
    """

    workload: Workload
    peer_name: str
    state: State
    samples: tuple[Measurement, ...] = ()
    problem: str = ""
    concurrency: int | None = None
    processes: int | None = None

    @property
    def label(self) -> str:
        """The entrant's name in the report."""
        return label_of(self.peer_name, self.concurrency, self.processes)


class UnableError(Exception):
    """The peer has no command for this workload."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """How to run. `folder` is ours alone; `report` receives one line per event."""

    endpoint: Endpoint
    pattern: Pattern
    folder: Path
    runs: int
    timeout_seconds: float
    report: Callable[[str], None]

    def run(self, workloads: Sequence[Workload], entrants: Sequence[Entrant]) -> list[Outcome]:
        """Run all; outcomes are ordered by workload, then by entrant."""
        return [outcome for workload in workloads for outcome in self._run_workload(workload, entrants)]

    def _run_workload(self, workload: Workload, entrants: Sequence[Entrant]) -> list[Outcome]:
        free, needed = free_bytes(self.folder), needed_bytes(workload, keeps=self.endpoint.keeps)
        if needed + SPARE_BYTES > free:
            problem = f"{self.folder} has {free} bytes free and the data takes {needed}"
            self.report(f"{workload.name}: skipped: {problem}")
            return [_without_samples(workload, one, State.SKIPPED, problem) for one in entrants]
        source = self.folder / "source"
        key = ""
        try:
            if workload.action is Action.UPLOAD:
                self._fill(workload, source)
            elif workload.action in (Action.DOWNLOAD, Action.LIST):
                key = self.endpoint.prepare(workload, self.folder)
            return self._interleave(workload, entrants, source, key)
        finally:
            if source.is_dir():
                shutil.rmtree(source)
            source.unlink(missing_ok=True)
            if key:
                self.endpoint.forget(key)

    def _interleave(self, workload: Workload, entrants: Sequence[Entrant], source: Path, key: str) -> list[Outcome]:
        samples: dict[str, list[Measurement]] = {one.label: [] for one in entrants}
        ends: dict[str, Outcome] = {}
        for round_number in range(self.runs + 1):
            for one in rotated(entrants, round_number):
                if one.label in ends:
                    continue
                which = f"run {round_number}" if round_number else "warm-up"
                name = f"{workload.name}, {one.label}, {which}"
                try:
                    sample = self._run_once(workload, one, source, key, round_number)
                except CommandFailedError as error:
                    ends[one.label] = _without_samples(workload, one, State.FAILED, str(error))
                    self.report(f"{name}: FAILED: {error}")
                    continue
                except UnableError:
                    ends[one.label] = _without_samples(workload, one, State.UNABLE, "it has no such command")
                    continue
                self.report(f"{name}: {sample.wall_seconds:.3f} s")
                if round_number:
                    samples[one.label].append(sample)
        return [ends.get(one.label) or _measured(workload, one, samples[one.label]) for one in entrants]

    def _run_once(self, workload: Workload, one: Entrant, source: Path, key: str, round_number: int) -> Measurement:
        if workload.action is Action.UPLOAD:
            label = f"{one.peer.name.replace('@', '-')}-{one.concurrency or 0}-{one.processes or 0}-{round_number}"
            return self._upload(workload, one, source, self.endpoint.upload_key(workload, label))
        if workload.action is Action.DOWNLOAD:
            return self._download(workload, one, key)
        if workload.action is Action.LIST:
            return self._list(workload, one, key)
        command = one.peer.commands.version()
        return self._measure(one, command, self._task(workload, one))

    def _upload(self, workload: Workload, one: Entrant, source: Path, key: str) -> Measurement:
        task = self._task(workload, one, key, source)
        mark = self.endpoint.mark()
        command = one.peer.commands.command(task)
        if self.endpoint.keeps and command is not None:
            self._warm_memory(self.folder, workload)
        try:
            sample = self._measure(one, command, task)
            problem = self.endpoint.upload_problem(workload, key, mark)
        finally:
            self.endpoint.forget(key)
        if problem:
            raise CommandFailedError(command or [], problem)
        return sample

    def _download(self, workload: Workload, one: Entrant, key: str) -> Measurement:
        folder = self.folder / "downloaded"
        target = folder / "target"
        task = self._task(workload, one, key, target)
        command = one.peer.commands.command(task)
        folder.mkdir()
        try:
            if workload.is_tree:
                target.mkdir()
            self._warm_memory(folder, workload)
            sample = self._measure(one, command, task)
            problem = download_problem(workload, target, self.pattern)
        finally:
            shutil.rmtree(folder)
        if problem:
            raise CommandFailedError(command or [], problem)
        return sample

    def _warm_memory(self, folder: Path, workload: Workload) -> None:
        # Where there is no room for that, the run itself tells whether there is enough for it.
        with contextlib.suppress(OSError):
            warm_memory(folder / "room", workload.total_bytes, self.pattern)

    def _list(self, workload: Workload, one: Entrant, key: str) -> Measurement:
        task = self._task(workload, one, key)
        command = one.peer.commands.command(task)
        sample = self._measure(one, command, task)
        if sample.output_lines != workload.files:
            raise CommandFailedError(command or [], f"{sample.output_lines} lines for {workload.files} keys")
        return sample

    def _task(self, workload: Workload, one: Entrant, key: str = "", path: Path | None = None) -> Task:
        return Task(
            action=workload.action.value,
            endpoint_url=self.endpoint.url,
            bucket=BUCKET,
            key=key,
            path=str(path or ""),
            is_tree=workload.is_tree,
            concurrency=one.concurrency,
            ca_bundle=self.endpoint.ca_bundle,
        )

    def _measure(self, one: Entrant, command: Sequence[str] | None, task: Task) -> Measurement:
        if command is None:
            raise UnableError
        environment = one.peer.environment(os.environ, task, self.folder)
        return measure(command, environment, self.folder, self.timeout_seconds)

    def _fill(self, workload: Workload, source: Path) -> None:
        tree = workload.tree
        if not workload.is_tree:
            self.pattern.write(source, tree.total_bytes)
            return
        for number in range(tree.count):
            path = source / tree.name(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            self.pattern.write(path, tree.size_bytes(number))


def needed_bytes(workload: Workload, *, keeps: bool) -> int:
    """Return what a workload takes: its files, and once more where the store keeps them on this machine too."""
    return workload.total_bytes * (2 if keeps else 1)


def rotated(entrants: Sequence[Entrant], round_number: int) -> Sequence[Entrant]:
    """Return them in the order of one round: each comes first, and after each other one, in its turn."""
    first = round_number % len(entrants) if entrants else 0
    return [*entrants[first:], *entrants[:first]]


def _measured(workload: Workload, one: Entrant, samples: Sequence[Measurement]) -> Outcome:
    return Outcome(workload, one.peer.name, State.MEASURED, tuple(samples), "", one.concurrency, one.processes)


def _without_samples(workload: Workload, one: Entrant, state: State, problem: str) -> Outcome:
    return Outcome(workload, one.peer.name, state, (), problem, one.concurrency, one.processes)
