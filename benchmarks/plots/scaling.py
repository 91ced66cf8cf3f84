"""Lines: throughput against requests in flight or processes, one panel per workload, one line per peer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from benchmarks.campaign import Outcome
from benchmarks.plots.bars import Quantity
from benchmarks.plots.style import add_legend, colour_of, make_figure

COLUMNS = 2
PANEL_WIDTH_INCHES = 5.6
PANEL_HEIGHT_INCHES = 3.4
MARKERS = "osD^vPX*<>"


def draw_scaling(
    title: str,
    axis: str,
    outcomes: Sequence[Outcome],
    setting: Callable[[Outcome], int | None],
    quantity_of: Callable[[Outcome], Quantity],
) -> Figure | None:
    """Draw the outcomes that have the setting; None where no peer has two values of it."""
    chosen = [one for one in outcomes if setting(one) is not None]
    if len({setting(one) for one in chosen}) < 2:
        return None
    names = list(dict.fromkeys(one.workload.name for one in chosen))
    peers = list(dict.fromkeys(one.peer_name for one in chosen))
    columns = min(COLUMNS, len(names))
    rows = ceil(len(names) / columns)
    figure = make_figure(title, max(columns * PANEL_WIDTH_INCHES, 7.5), rows * PANEL_HEIGHT_INCHES + 1.0)
    places = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, name in zip(places, names, strict=False):
        panel = [one for one in chosen if one.workload.name == name]
        _draw_panel(axes, panel, peers, setting, quantity_of(panel[0]))
        axes.set_xlabel(axis, fontsize=9)
    for axes in places[len(names) :]:
        axes.set_visible(False)
    handles, labels = places[0].get_legend_handles_labels()
    add_legend(figure, handles, labels)
    return figure


def _draw_panel(
    axes: Axes,
    panel: Sequence[Outcome],
    peers: Sequence[str],
    setting: Callable[[Outcome], int | None],
    quantity: Quantity,
) -> None:
    ticks: set[int] = set()
    for index, peer in enumerate(peers):
        points = sorted((setting(one) or 0, sorted(quantity.values(one))) for one in panel if one.peer_name == peer)
        places = [place for place, _ in points]
        middles = [median(values) for _, values in points]
        below = [middle - values[0] for middle, (_, values) in zip(middles, points, strict=True)]
        above = [values[-1] - middle for middle, (_, values) in zip(middles, points, strict=True)]
        axes.errorbar(
            places,
            middles,
            yerr=[below, above],
            label=peer,
            color=colour_of(peer),
            marker=MARKERS[index % len(MARKERS)],
            markersize=5,
            linewidth=1.6,
            elinewidth=0.8,
            capsize=2,
        )
        ticks.update(places)
    # Values double, so that equal steps are equal factors.
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(sorted(ticks)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_ylim(bottom=0)
    axes.set_ylabel(quantity.unit, fontsize=9)
    axes.set_title(panel[0].workload.name, fontsize=10, loc="left")
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#dddddd", linewidth=0.6)
