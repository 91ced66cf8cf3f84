"""Runs every workload with every peer, interleaved, and checks that each run did its work.

Owns the files of the workloads below one folder, and removes each as soon as it is not needed. One peer's
failure is a result like others and never stops the rest.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from benchmarks.endpoints import Endpoint
from benchmarks.measure import CommandFailedError, Measurement, measure
from benchmarks.peers import Peer
from benchmarks.workloads import Action, Workload

BUCKET = "benchmark"
FILL_BYTES = 16 << 20
SPARE_BYTES = 64 << 20


class State(StrEnum):
    """What became of one peer with one workload."""

    MEASURED = "measured"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The counted runs of one peer with one workload.

    Attributes:
        samples: Empty unless `state` is MEASURED.
        problem: Why there are no samples; empty when there are.
    """

    workload: Workload
    peer_name: str
    state: State
    samples: tuple[Measurement, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Campaign:
    """How to run. `folder` is ours alone; `report` receives one line per event."""

    endpoint: Endpoint
    folder: Path
    runs: int
    timeout_seconds: float
    report: Callable[[str], None]

    def run(self, workloads: Sequence[Workload], peers: Sequence[Peer]) -> list[Outcome]:
        """Run all; outcomes are ordered by workload, then by peer."""
        return [outcome for workload in workloads for outcome in self._run_workload(workload, peers)]

    def _run_workload(self, workload: Workload, peers: Sequence[Peer]) -> list[Outcome]:
        free_bytes = shutil.disk_usage(self.folder).free
        if workload.total_bytes + SPARE_BYTES > free_bytes:
            problem = f"{self.folder} has {free_bytes} bytes free and the data takes {workload.total_bytes}"
            self.report(f"{workload.name}: skipped: {problem}")
            return [Outcome(workload, peer.name, State.SKIPPED, problem=problem) for peer in peers]
        source = self.folder / "source"
        try:
            if workload.action is Action.UPLOAD and workload.files > 1:
                fill_tree(source, workload.size_bytes, workload.files)
            elif workload.action is Action.UPLOAD:
                fill(source, workload.size_bytes)
            return self._interleave(workload, peers, source)
        finally:
            if source.is_dir():
                shutil.rmtree(source)
            source.unlink(missing_ok=True)

    def _interleave(self, workload: Workload, peers: Sequence[Peer], source: Path) -> list[Outcome]:
        samples: dict[str, list[Measurement]] = {peer.name: [] for peer in peers}
        problems: dict[str, str] = {}
        for round_number in range(self.runs + 1):
            for peer in rotated(peers, round_number):
                if peer.name in problems:
                    continue
                which = f"run {round_number}" if round_number else "warm-up"
                name = f"{workload.name}, {peer.name}, {which}"
                try:
                    sample = self._run_once(workload, peer, source, f"{peer.name}-{round_number}")
                except CommandFailedError as error:
                    problems[peer.name] = str(error)
                    self.report(f"{name}: FAILED: {error}")
                    continue
                self.report(f"{name}: {sample.wall_seconds:.3f} s")
                if round_number:
                    samples[peer.name].append(sample)
        return [
            Outcome(workload, peer.name, State.FAILED, problem=problems[peer.name])
            if peer.name in problems
            else Outcome(workload, peer.name, State.MEASURED, tuple(samples[peer.name]))
            for peer in peers
        ]

    def _run_once(self, workload: Workload, peer: Peer, source: Path, label: str) -> Measurement:
        key = f"{label}@{workload.size_bytes}"
        if workload.action is Action.VERSION:
            return self._measure(peer, peer.version())
        if workload.action is Action.UPLOAD:
            return self._upload(peer, peer.upload(source, BUCKET, key), workload.total_bytes)
        return self._download(peer, key, workload.size_bytes)

    def _upload(self, peer: Peer, command: Sequence[str], size_bytes: int) -> Measurement:
        before_bytes = self.endpoint.bytes_in()
        sample = self._measure(peer, command)
        # More is allowed: framing of signed chunks and parts sent again count too.
        arrived_bytes = self.endpoint.bytes_in() - before_bytes
        if arrived_bytes < size_bytes:
            raise CommandFailedError(command, f"the endpoint received {arrived_bytes} of {size_bytes} bytes")
        return sample

    def _download(self, peer: Peer, key: str, size_bytes: int) -> Measurement:
        folder = self.folder / "downloaded"
        target = folder / "target"
        command = peer.download(BUCKET, key, target)
        folder.mkdir()
        try:
            warm_memory(folder / "room", size_bytes)
            sample = self._measure(peer, command)
            found_bytes = target.stat().st_size if target.exists() else None
        finally:
            shutil.rmtree(folder)
        if found_bytes != size_bytes:
            found = "there is no file" if found_bytes is None else f"the file has {found_bytes} bytes"
            raise CommandFailedError(command, f"{found}, the object {size_bytes} bytes")
        return sample

    def _measure(self, peer: Peer, command: Sequence[str]) -> Measurement:
        environment = peer.environment(os.environ, self.endpoint.url, self.folder)
        return measure(command, environment, self.folder, self.timeout_seconds)


def rotated(peers: Sequence[Peer], round_number: int) -> Sequence[Peer]:
    """Return the peers in the order of one round: each comes first, and after each other one, in its turn."""
    first = round_number % len(peers) if peers else 0
    return [*peers[first:], *peers[:first]]


def warm_memory(path: Path, size_bytes: int) -> None:
    """Write a file of `size_bytes` and remove it, so that every run finds as much memory that is at hand.

    A virtual machine hands memory that lies free for some seconds back to its host, and the first to touch it again
    waits for its return: 1 GiB into a memory file system took 0.37 s in such memory that was at hand and 3.0 s
    otherwise. Without this the figure tells who ran after a pause.

    Raises:
        OSError: There is no room.
    """
    try:
        fill(path, size_bytes)
    finally:
        path.unlink(missing_ok=True)


def fill(path: Path, size_bytes: int) -> None:
    """Write `size_bytes` of noise that repeats, without holes, which cost nothing to read. Raises OSError."""
    block = os.urandom(min(FILL_BYTES, size_bytes))
    with path.open("wb") as file:
        for start in range(0, size_bytes, FILL_BYTES):
            file.write(block[: size_bytes - start])


def fill_tree(folder: Path, size_bytes: int, files: int) -> None:
    """Write `files` files of noise, a hundred to a folder. Raises OSError."""
    block = os.urandom(size_bytes)
    for number in range(files):
        place = folder / f"{number // 100:04d}"
        if number % 100 == 0:
            place.mkdir(parents=True)
        (place / f"{number:06d}").write_bytes(block)
