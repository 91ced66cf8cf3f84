"""Turns outcomes into a Markdown table and JSON. Pure, apart from asking what machine this is."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.campaign import Outcome, State
from benchmarks.measure import Measurement
from benchmarks.peers.finding import SUBJECT
from benchmarks.peers.peer import MissingPeer
from benchmarks.workloads import GIB, MIB, Action, Workload

_HEADINGS = (
    "Workload",
    "Peer",
    "Wall s",
    "CPU s",
    "Peak MiB",
    "GiB/s",
    "Objects/s",
    f"{SUBJECT} / peer: wall",
    "CPU",
    "memory",
)


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured quantity: its name in JSON, how to read it and how it is printed."""

    name: str
    read: Callable[[Measurement], float]
    digits: int


WALL = Metric("wall_seconds", lambda sample: sample.wall_seconds, 3)
CPU = Metric("cpu_seconds", lambda sample: sample.cpu_seconds, 3)
LEAST_RATE = 0.001
METRICS = (
    WALL,
    CPU,
    Metric("peak_memory_mib", lambda sample: sample.peak_memory_bytes / MIB, 1),
)


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it ran."""

    processor: str
    cores: int
    python: str
    kernel: str
    architecture: str

    @classmethod
    def here(cls) -> Machine:
        """Describe this machine; cores are those this process may use."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        kernel = f"{platform.system()} {platform.release()}"
        return cls(_processor(), cores, platform.python_version(), kernel, platform.machine())

    def __str__(self) -> str:
        return f"{self.cores} cores ({self.processor}, {self.architecture}), Python {self.python}, {self.kernel}"


@dataclass(frozen=True, slots=True)
class Report:
    """All that one invocation found.

    Attributes:
        floor_bytes: The smallest peak memory that can be seen.
        runs: Counted runs per peer and workload.
        releases: The versions of the peers, by name.
    """

    machine: Machine
    outcomes: Sequence[Outcome]
    missing: Sequence[MissingPeer]
    floor_bytes: int
    runs: int
    scale: float
    endpoint: str
    releases: Mapping[str, str]

    def markdown(self) -> str:
        """Return the table with what is needed to read it."""
        lines = [
            f"Machine: {self.machine}",
            "",
            f"Versions: {self.versions()}",
            "",
            self._legend(),
            "",
            _row(_HEADINGS),
            _row(["---"] * len(_HEADINGS)),
            *(self._line(outcome) for outcome in self.outcomes),
        ]
        if self.missing:
            lines += ["", *(f"Skipped peer {peer.name}: {peer.reason}" for peer in self.missing)]
        told = (State.MEASURED, State.UNABLE)
        if problems := [outcome for outcome in self.outcomes if outcome.state not in told]:
            lines += ["", *(_describe_problem(outcome) for outcome in problems)]
        return "\n".join(lines) + "\n"

    def has_failures(self) -> bool:
        """Tell whether anybody failed, or there was no room; a peer without such a command is neither."""
        unable = (State.MEASURED, State.UNABLE)
        return any(outcome.state not in unable for outcome in self.outcomes)

    def versions(self) -> str:
        """Return the peers with their versions."""
        return ", ".join(f"{name} {release}".rstrip() for name, release in self.releases.items())

    def _legend(self) -> str:
        return (
            f"Median [min-max] of {self.runs} counted runs after one warm-up, peers interleaved; "
            f"sizes of files and counts of trees times {self.scale:g}; endpoint: {self.endpoint}. "
            f"Ratios are those of the medians; below 1, {SUBJECT} needs less. "
            f"Peak memory below {self.floor_bytes / MIB:.1f} MiB cannot be seen."
        )

    def as_json(self) -> dict[str, object]:
        """Return everything as values that JSON can hold, each sample included."""
        return {
            "machine": asdict(self.machine),
            "runs": self.runs,
            "scale": self.scale,
            "endpoint": self.endpoint,
            "releases": dict(self.releases),
            "floor_bytes": self.floor_bytes,
            "missing": [asdict(peer) for peer in self.missing],
            "outcomes": [self._outcome_as_json(outcome) for outcome in self.outcomes],
        }

    def ratios(self, outcome: Outcome) -> dict[str, float]:
        """Return the subject's medians over this peer's, by metric; empty where nothing can be compared."""
        subjects = [one for one in self.outcomes if one.peer_name == SUBJECT and one.processes is None]
        alike = (one for one in subjects if (one.workload, one.concurrency) == (outcome.workload, outcome.concurrency))
        subject = next(alike, None)
        if subject is None or subject is outcome or not subject.samples or not outcome.samples:
            return {}
        pairs = {metric.name: (median_of(subject, metric), median_of(outcome, metric)) for metric in METRICS}
        return {name: ours / theirs for name, (ours, theirs) in pairs.items() if theirs}

    def _line(self, outcome: Outcome) -> str:
        names = [outcome.workload.name, outcome.label]
        if not outcome.samples:
            return _row([*names, outcome.state.value, *[""] * (len(_HEADINGS) - 3)])
        ratios = self.ratios(outcome)
        cells = [f"{ratios[metric.name]:.2f}" if metric.name in ratios else "" for metric in METRICS]
        rates = [_rate(value) for value in (gib_per_second(outcome), objects_per_second(outcome))]
        return _row([*names, *(_summary(outcome, metric) for metric in METRICS), *rates, *cells])

    def _outcome_as_json(self, outcome: Outcome) -> dict[str, object]:
        return {
            "workload": outcome.workload.name,
            "sizes_bytes": outcome.workload.sizes_bytes,
            "files": outcome.workload.files,
            "total_bytes": outcome.workload.total_bytes,
            "peer": outcome.peer_name,
            "concurrency": outcome.concurrency,
            "processes": outcome.processes,
            "state": outcome.state.value,
            "problem": outcome.problem,
            "samples": [asdict(sample) for sample in outcome.samples],
            "medians": {metric.name: median_of(outcome, metric) for metric in METRICS} if outcome.samples else {},
            "gib_per_second": gib_per_second(outcome),
            "objects_per_second": objects_per_second(outcome),
            f"{SUBJECT}_ratios": self.ratios(outcome),
        }


def median_of(outcome: Outcome, metric: Metric) -> float:
    """Return the median of one metric; there must be samples."""
    return median(metric.read(sample) for sample in outcome.samples)


def gib_per_second(outcome: Outcome) -> float:
    """Return the bytes moved per median second; 0 where none move."""
    return _per_second(outcome, outcome.workload.total_bytes / GIB)


def objects_per_second(outcome: Outcome) -> float:
    """Return the objects moved or listed per median second; 0 where there are none."""
    return _per_second(outcome, moved_objects(outcome.workload))


def moved_objects(workload: Workload) -> int:
    """Return how many objects a workload moves or lists."""
    return 0 if workload.action is Action.VERSION else workload.files


def _per_second(outcome: Outcome, amount: float) -> float:
    return amount / median_of(outcome, WALL) if outcome.samples else 0.0


def _summary(outcome: Outcome, metric: Metric) -> str:
    values = [metric.read(sample) for sample in outcome.samples]
    middle, low, high = (f"{value:.{metric.digits}f}" for value in (median(values), min(values), max(values)))
    return f"{middle} [{low}-{high}]"


def _processor() -> str:
    """Return the processor's name: what `platform` says is empty on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "processor unknown"


def _rate(value: float) -> str:
    if value < LEAST_RATE:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _describe_problem(outcome: Outcome) -> str:
    text = "\n".join(f"    {line}" for line in outcome.problem.splitlines())
    return f"{outcome.workload.name}, {outcome.label}, {outcome.state.value}:\n\n{text}\n"
