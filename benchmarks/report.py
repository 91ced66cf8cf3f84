"""Turns outcomes into a Markdown table and JSON. Pure, apart from asking what machine this is."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from benchmarks.campaign import Outcome
from benchmarks.measure import Measurement
from benchmarks.peers import SUBJECT, MissingPeer

MIB = 1 << 20

_HEADINGS = (
    "Workload",
    "Peer",
    "Wall s",
    "CPU s",
    "Peak MiB",
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


METRICS = (
    Metric("wall_seconds", lambda sample: sample.wall_seconds, 3),
    Metric("cpu_seconds", lambda sample: sample.cpu_seconds, 3),
    Metric("peak_memory_mib", lambda sample: sample.peak_memory_bytes / MIB, 1),
)


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it ran."""

    cores: int
    python: str
    kernel: str
    architecture: str

    @classmethod
    def here(cls) -> Machine:
        """Describe this machine; cores are those this process may use."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        kernel = f"{platform.system()} {platform.release()}"
        return cls(cores, platform.python_version(), kernel, platform.machine())

    def __str__(self) -> str:
        return f"{self.cores} cores ({self.architecture}), Python {self.python}, {self.kernel}"


@dataclass(frozen=True, slots=True)
class Report:
    """All that one invocation found.

    Attributes:
        floor_bytes: The smallest peak memory that can be seen.
        runs: Counted runs per peer and workload.
    """

    machine: Machine
    outcomes: Sequence[Outcome]
    missing: Sequence[MissingPeer]
    floor_bytes: int
    runs: int
    scale: float
    endpoint: str

    def markdown(self) -> str:
        """Return the table with what is needed to read it."""
        lines = [
            f"Machine: {self.machine}",
            "",
            self._legend(),
            "",
            _row(_HEADINGS),
            _row(["---"] * len(_HEADINGS)),
            *(self._line(outcome) for outcome in self.outcomes),
        ]
        if self.missing:
            lines += ["", *(f"Skipped peer {peer.name}: {peer.reason}" for peer in self.missing)]
        if problems := [outcome for outcome in self.outcomes if outcome.problem]:
            lines += ["", *(_describe_problem(outcome) for outcome in problems)]
        return "\n".join(lines) + "\n"

    def _legend(self) -> str:
        return (
            f"Median [min-max] of {self.runs} counted runs after one warm-up, peers interleaved; "
            f"sizes times {self.scale:g}; endpoint: {self.endpoint}. "
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
            "floor_bytes": self.floor_bytes,
            "missing": [asdict(peer) for peer in self.missing],
            "outcomes": [self._outcome_as_json(outcome) for outcome in self.outcomes],
        }

    def ratios(self, outcome: Outcome) -> dict[str, float]:
        """Return the subject's medians over this peer's, by metric; empty where nothing can be compared."""
        subjects = (one for one in self.outcomes if one.peer_name == SUBJECT)
        subject = next((one for one in subjects if one.workload == outcome.workload), None)
        if subject is None or subject is outcome or not subject.samples or not outcome.samples:
            return {}
        pairs = {metric.name: (_median(subject, metric), _median(outcome, metric)) for metric in METRICS}
        return {name: ours / theirs for name, (ours, theirs) in pairs.items() if theirs}

    def _line(self, outcome: Outcome) -> str:
        names = [outcome.workload.name, outcome.peer_name]
        if not outcome.samples:
            return _row([*names, outcome.state.value, *[""] * (len(_HEADINGS) - 3)])
        ratios = self.ratios(outcome)
        cells = [f"{ratios[metric.name]:.2f}" if metric.name in ratios else "" for metric in METRICS]
        return _row([*names, *(_summary(outcome, metric) for metric in METRICS), *cells])

    def _outcome_as_json(self, outcome: Outcome) -> dict[str, object]:
        return {
            "workload": outcome.workload.name,
            "size_bytes": outcome.workload.size_bytes,
            "files": outcome.workload.files,
            "peer": outcome.peer_name,
            "state": outcome.state.value,
            "problem": outcome.problem,
            "samples": [asdict(sample) for sample in outcome.samples],
            "medians": {metric.name: _median(outcome, metric) for metric in METRICS} if outcome.samples else {},
            f"{SUBJECT}_ratios": self.ratios(outcome),
        }


def _median(outcome: Outcome, metric: Metric) -> float:
    return median(metric.read(sample) for sample in outcome.samples)


def _summary(outcome: Outcome, metric: Metric) -> str:
    values = [metric.read(sample) for sample in outcome.samples]
    middle, low, high = (f"{value:.{metric.digits}f}" for value in (median(values), min(values), max(values)))
    return f"{middle} [{low}-{high}]"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _describe_problem(outcome: Outcome) -> str:
    text = "\n".join(f"    {line}" for line in outcome.problem.splitlines())
    return f"{outcome.workload.name}, {outcome.peer_name}, {outcome.state.value}:\n\n{text}\n"
