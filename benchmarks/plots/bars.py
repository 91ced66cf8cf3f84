"""Bars: one panel per workload, one bar per entrant in the report's order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.campaign import Outcome
from benchmarks.plots.style import colour_of, make_figure

COLUMNS = 3
PANEL_INCHES = 4.3
BAR_INCHES = 0.24
PANEL_MARGIN_INCHES = 0.75
ROOM_FOR_LABELS = 1.28


@dataclass(frozen=True, slots=True)
class Quantity:
    """What the bars of one panel show.

    Attributes:
        unit: Under the panel.
        values: Of one outcome, one for each of its samples.
    """

    unit: str
    values: Callable[[Outcome], list[float]]


def draw_bars(title: str, outcomes: Sequence[Outcome], quantity_of: Callable[[Outcome], Quantity]) -> Figure:
    """Draw the panels of all workloads that have samples; `outcomes` must have some."""
    names = list(dict.fromkeys(one.workload.name for one in outcomes))
    panels = [[one for one in outcomes if one.workload.name == name] for name in names]
    columns = min(COLUMNS, len(panels))
    rows = ceil(len(panels) / columns)
    bars = max(len(panel) for panel in panels)
    height = rows * (bars * BAR_INCHES + PANEL_MARGIN_INCHES) + 0.5
    figure = make_figure(title, columns * PANEL_INCHES, height)
    places = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, panel in zip(places, panels, strict=False):
        _draw_panel(axes, panel, quantity_of(panel[0]))
    for axes in places[len(panels) :]:
        axes.set_visible(False)
    return figure


def _draw_panel(axes: Axes, panel: Sequence[Outcome], quantity: Quantity) -> None:
    rows = [sorted(quantity.values(one)) for one in panel]
    middles = [median(row) for row in rows]
    below = [middle - row[0] for middle, row in zip(middles, rows, strict=True)]
    above = [row[-1] - middle for middle, row in zip(middles, rows, strict=True)]
    places = range(len(panel))
    axes.barh(
        places,
        middles,
        xerr=[below, above],
        color=[colour_of(one.peer_name) for one in panel],
        height=0.72,
        error_kw={"ecolor": "#444444", "elinewidth": 0.8, "capsize": 1.5},
    )
    most = max(row[-1] for row in rows) or 1.0
    for place, middle, row in zip(places, middles, rows, strict=True):
        axes.text(row[-1] + most * 0.02, place, _number(middle), va="center", fontsize=8)
    axes.set_xlim(0, most * ROOM_FOR_LABELS)
    axes.set_yticks(places, [one.label for one in panel], fontsize=8)
    axes.invert_yaxis()
    axes.set_title(panel[0].workload.name, fontsize=10, loc="left")
    axes.set_xlabel(quantity.unit, fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.locator_params(axis="x", nbins=5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
