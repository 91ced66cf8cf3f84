"""Draws what was measured with matplotlib, which is imported only when a picture is wanted."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final, TypeAlias

from transfer.model.bench import MIB, StepResult
from transfer.model.errors import ConfigurationError, LocalFileError, UsageError
from transfer.model.values import dataclass
from transfer.plan.sizes import format_size

FORMATS: Final = (".png", ".svg", ".pdf")
_LEGEND_COLUMNS: Final = 4
_LOG_FROM: Final = 20.0
"""Rates that lie further apart than this get a logarithmic axis: on a plain one the small ones are all zero."""

_Axes: TypeAlias = Any
"""matplotlib's Axes, which need not be installed."""


@dataclass(frozen=True, slots=True)
class Series:
    """One sweep as curves over the number of requests at once."""

    name: str
    levels: tuple[int, ...]
    objects_per_second: tuple[float, ...]
    mib_per_second: tuple[float, ...]
    p50_seconds: tuple[float, ...]
    p99_seconds: tuple[float, ...]


def check_plot(file: Path) -> None:
    """Refuse a picture that could not be drawn, before anything is measured.

    Raises:
        UsageError: The name tells no format.
        ConfigurationError: matplotlib is not installed.
    """
    if file.suffix.lower() not in FORMATS:
        known = ", ".join(FORMATS)
        raise UsageError(f"{str(file)!r} is no picture", subject="--plot", remedy=f"end the name with one of {known}")
    _figure_class()


def series_of(results: Sequence[StepResult]) -> list[Series]:
    """The curves of all sweeps; steps in which nothing ended well have no place in them."""
    found = []
    for (operation, size), sweep in groupby(results, lambda result: (result.operation, result.size_bytes)):
        steps = sorted(
            ((step, step.total.latency) for step in sweep if step.total.latency is not None),
            key=lambda pair: pair[0].concurrency,
        )
        found.append(
            Series(
                f"{operation.value} {format_size(size)}" if operation.depends_on_size else operation.value,
                tuple(step.concurrency for step, _ in steps),
                tuple(step.objects_per_second for step, _ in steps),
                tuple(step.bytes_per_second / MIB for step, _ in steps),
                tuple(latency.p50 for _, latency in steps),
                tuple(latency.p99 for _, latency in steps),
            )
        )
    return [series for series in found if series.levels]


def draw(results: Sequence[StepResult], title: str, file: Path) -> None:
    """Draw rates and latencies over the number of requests at once.

    Raises:
        ConfigurationError: matplotlib is not installed.
        LocalFileError: The file cannot be written.
    """
    curves = series_of(results)
    has_bytes = any(any(one.mib_per_second) for one in curves)
    legend_rows = -(-len(curves) // _LEGEND_COLUMNS)
    figure = _figure_class()(figsize=(15 if has_bytes else 10, 5 + 0.25 * legend_rows), layout="constrained")
    figure.suptitle(title)
    axes = list(figure.subplots(1, 3 if has_bytes else 2))
    _draw_rates(axes[0], curves, "objects/s", lambda one: one.objects_per_second)
    if has_bytes:
        _draw_rates(axes[1], curves, "MiB/s", lambda one: one.mib_per_second)
    _draw_latencies(axes[-1], curves)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=_LEGEND_COLUMNS)
    try:
        figure.savefig(file, dpi=120)
    except OSError as error:
        raise LocalFileError.from_os_error(error, str(file)) from error


def _draw_rates(axes: _Axes, curves: Sequence[Series], unit: str, rates: Callable[[Series], Sequence[float]]) -> None:
    drawn = [rate for one in curves for rate in rates(one) if rate > 0]
    for position, one in enumerate(curves):
        if any(rates(one)):
            axes.plot(one.levels, rates(one), marker="o", color=_color(position), label=one.name)
    if drawn and max(drawn) > _LOG_FROM * min(drawn):
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    _finish(axes, curves, unit)


def _draw_latencies(axes: _Axes, curves: Sequence[Series]) -> None:
    for style, name in (("-", "p50"), ("--", "p99")):
        axes.plot([], [], linestyle=style, color="grey", label=name)
    for position, one in enumerate(curves):
        for style, values in (("-", one.p50_seconds), ("--", one.p99_seconds)):
            milliseconds = [1000 * value for value in values]
            axes.plot(one.levels, milliseconds, marker="o", linestyle=style, color=_color(position))
    if curves:
        axes.set_yscale("log")
    axes.legend(loc="upper left")
    _finish(axes, curves, "latency in ms")


def _finish(axes: _Axes, curves: Sequence[Series], unit: str) -> None:
    levels = sorted({level for one in curves for level in one.levels})
    axes.set_xscale("log", base=2)
    axes.set_xticks(levels, [str(level) for level in levels])
    axes.set_xlabel("requests at once")
    axes.set_ylabel(unit)
    axes.grid(visible=True, which="major", alpha=0.3)


def _color(position: int) -> str:
    """A sweep has the same colour in all panels."""
    return f"C{position % 10}"


def _figure_class() -> Callable[..., Any]:
    """Matplotlib's Figure, which draws into files without a window or any global state."""
    try:
        module = importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise ConfigurationError(
            "matplotlib, which draws the picture, is not installed",
            subject="--plot",
            remedy="install it with: pip install 'transfer[plot]'",
        ) from error
    figure: Callable[..., Any] = module.Figure
    return figure
