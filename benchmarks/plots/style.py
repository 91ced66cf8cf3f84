"""How plots look: one colour for one peer everywhere, and a caption that says where the figures come from."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.artist import Artist
from matplotlib.figure import Figure

from benchmarks.peers.finding import FORGETFUL, PEER_NAMES, SUBJECT
from benchmarks.report import Report

SUBJECT_COLOUR = "#d1495b"
FORGETFUL_COLOUR = "#e8a0a9"
OTHER_COLOURS = (
    "#30638e",
    "#edae49",
    "#00798c",
    "#66a182",
    "#5e4b8b",
    "#8d6a4f",
    "#9aa5b1",
    "#3c3c3c",
)
REVISION_COLOURS = ("#7f2a3a", "#b5838d", "#6d597a", "#355070")
CAPTION_INCHES = 0.9
LEGEND_INCHES = 0.35
INCH_CHARACTERS = 15.0
DOTS_PER_INCH = 150


def colour_of(peer_name: str) -> str:
    """Return the colour of a peer; that of a revision depends on its name alone."""
    if peer_name == SUBJECT:
        return SUBJECT_COLOUR
    if peer_name == FORGETFUL:
        return FORGETFUL_COLOUR
    others = [name for name in PEER_NAMES if name not in (SUBJECT, FORGETFUL)]
    if peer_name in others:
        return OTHER_COLOURS[others.index(peer_name) % len(OTHER_COLOURS)]
    return REVISION_COLOURS[sum(peer_name.encode()) % len(REVISION_COLOURS)]


def caption_of(report: Report, width_inches: float) -> str:
    """Return what a reader must know: endpoint, runs, machine and versions."""
    how = (
        f"Endpoint {report.endpoint}; sizes of files and counts of trees times {report.scale:g}; medians of {report.runs} runs, whiskers from least "
        "to most; whole processes, in turn."
    )
    lines = [how, str(report.machine), report.versions()]
    width = int(width_inches * INCH_CHARACTERS)
    return "\n".join(line for text in lines for line in textwrap.wrap(text, width))


def make_figure(title: str, width_inches: float, height_inches: float) -> Figure:
    """Return a figure with its title and room for the caption."""
    figure = Figure(figsize=(width_inches, height_inches + CAPTION_INCHES))
    figure.suptitle(title, fontsize=13, fontweight="bold")
    return figure


def add_legend(figure: Figure, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """Put one legend for all panels between them and the caption."""
    place = (0.5, CAPTION_INCHES / figure.get_size_inches()[1])
    figure.legend(
        handles, labels, loc="lower center", bbox_to_anchor=place, ncols=len(labels), fontsize=8, frameon=False
    )


def save(figure: Figure, report: Report, folder: Path, name: str) -> list[Path]:
    """Write the figure with its caption as PNG and SVG; return both paths."""
    width, height = figure.get_size_inches()
    bottom = CAPTION_INCHES / height
    content = bottom + (LEGEND_INCHES / height if figure.legends else 0.0)
    figure.set_layout_engine("constrained", rect=(0, content, 1, 1 - content))
    caption = caption_of(report, width)
    figure.text(0.01, bottom * 0.9, caption, fontsize=7.5, color="#555555", va="top", linespacing=1.35)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png", folder / f"{name}.svg"]
    for path in paths:
        figure.savefig(path, dpi=DOTS_PER_INCH)
    return paths
