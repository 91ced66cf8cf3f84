"""Which plots a report has: throughput, processor time, and scaling where settings were given."""

from __future__ import annotations

from pathlib import Path

from benchmarks.campaign import Outcome
from benchmarks.plots.bars import Quantity, draw_bars
from benchmarks.plots.scaling import draw_scaling
from benchmarks.plots.style import save
from benchmarks.report import Report, moved_objects
from benchmarks.workloads import GIB, MIB

SMALL_OBJECT_BYTES = MIB
"""Below this mean size objects are counted, not bytes."""


def draw_plots(report: Report, folder: Path) -> list[Path]:
    """Write all plots that the report has samples for into `folder`; return their paths."""
    measured = [one for one in report.outcomes if one.samples]
    moving = [one for one in measured if moved_objects(one.workload)]
    figures = {}
    if moving:
        figures["throughput"] = draw_bars("Throughput (more is better)", moving, throughput_of)
        figures["processor"] = draw_bars("Processor time (less is better)", moving, processor_time_of)
    scalings = {
        "concurrency": ("Scaling with requests in flight", "requests in flight", lambda one: one.concurrency),
        "processes": ("Scaling with processes", "processes", lambda one: one.processes),
    }
    for name, (title, axis, setting) in scalings.items():
        figure = draw_scaling(title, axis, moving, setting, throughput_of)
        if figure:
            figures[f"scaling-{name}"] = figure
    return [path for name, figure in figures.items() for path in save(figure, report, folder, name)]


def throughput_of(outcome: Outcome) -> Quantity:
    """Return bytes per second of large objects, objects per second of small ones."""
    small = is_small(outcome)
    unit = "objects/s" if small else "GiB/s"
    amount = float(moved_objects(outcome.workload)) if small else outcome.workload.total_bytes / GIB
    return Quantity(unit, lambda one: [amount / sample.wall_seconds for sample in one.samples])


def processor_time_of(outcome: Outcome) -> Quantity:
    """Return CPU seconds per GiB of large objects, per 1000 of small ones, of user and system together."""
    amount, unit = moved_objects(outcome.workload) / 1000, "CPU seconds per 1000 objects"
    if not is_small(outcome):
        amount, unit = outcome.workload.total_bytes / GIB, "CPU seconds per GiB"
    return Quantity(unit, lambda one: [sample.cpu_seconds / amount for sample in one.samples])


def is_small(outcome: Outcome) -> bool:
    """Tell whether what counts is the number of objects. That of a single file that was scaled down is not."""
    workload = outcome.workload
    return (workload.is_tree or workload.name.startswith("cp-")) and workload.total_bytes < (
        SMALL_OBJECT_BYTES * workload.files
    )
