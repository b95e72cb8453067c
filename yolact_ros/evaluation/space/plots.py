# SPDX-License-Identifier: Apache-2.0
"""Draws the figures of all groups as one picture: a row for each quantity."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import StrMethodFormatter

from yolact_ros.visualization.figure import figure_png

from .figures import Figures, Group, Spread, with_masks
from .sets import NETWORK, TRUE

_DPI = 110
_STYLE = {
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "font.size": 8,
    "grid.color": "#e4e7eb",
    "xtick.labelsize": 7,
}
_COLORS = {TRUE: "tab:blue", NETWORK: "tab:orange", "naive": "tab:gray"}
_ASIDE = {TRUE: -0.16, NETWORK: 0.16}

Quantity = Callable[[Figures], Spread | float]


def _percent(spread: Spread) -> Spread:
    return Spread(spread.count, 100 * spread.median, 100 * spread.p95, 100 * spread.largest)


_ROWS: Mapping[str, Quantity] = {
    "centre, mm": lambda figures: figures.centre,
    "worst axis, % of the longest edge": lambda figures: _percent(figures.size),
    "yaw of elongated things, °": lambda figures: figures.yaw,
    "recall, %": lambda figures: 100 * figures.recall,
    "NEES / 3": lambda figures: figures.covariance.nees,
}


@rc_context(_STYLE)  # type: ignore[arg-type]
def groups_plot(groups: Mapping[str, Sequence[Group]]) -> bytes:
    """Draw medians and 95th percentiles of all groups, as PNG.

    Args:
        groups: As `grouped` parts them: a column of the picture for each title.
    """
    figure = Figure(figsize=(3.2 * len(groups), 2.6 * len(_ROWS)), layout="constrained")
    grid = figure.subplots(len(_ROWS), len(groups), squeeze=False, sharey="row", sharex="col")
    for column, (title, some) in enumerate(groups.items()):
        condensed = [
            {masks: Figures.of(with_masks(group.measured, masks)) for masks in (TRUE, NETWORK)}
            for group in some
        ]
        for row, (name, quantity) in enumerate(_ROWS.items()):
            axes = grid[row, column]
            for place, of_masks in enumerate(condensed):
                for masks, figures in of_masks.items():
                    at = place + _ASIDE[masks]
                    _draw(axes, at, quantity(figures), _COLORS[masks])
                    if row == 0 and masks == NETWORK:
                        _draw(axes, at + 0.16, figures.naive, _COLORS["naive"])
            if column == 0:
                axes.set_ylabel(name)
        grid[0, column].set_title(title)
        labels = [group.name for group in some]
        grid[-1, column].set_xticks(range(len(some)), labels, rotation=90)
    for axes in (*grid[0], *grid[-1]):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    for axes in (*grid[1], *grid[2]):
        axes.set_ylim(bottom=0)
    for axes in grid[-1]:
        axes.axhspan(0.5, 2, color="tab:green", alpha=0.12, linewidth=0)
    for axes in grid[-2]:
        axes.set_ylim(0, 104)
    figure.legend(handles=_handles(), loc="outside lower center", ncols=5)
    return figure_png(figure, _DPI)


def _draw(axes: Axes, at: float, value: Spread | float, color: str) -> None:
    if isinstance(value, float):
        axes.plot([at], [value], "o", color=color, markersize=4)
    elif not math.isnan(value.median):
        axes.plot([at, at], [value.median, value.p95], color=color, linewidth=2)
        axes.plot([at], [value.median], "o", color=color, markersize=4)
        axes.plot([at], [value.p95], "_", color=color, markersize=8, markeredgewidth=2)


def _handles() -> list[Line2D]:
    words = {
        TRUE: "true masks",
        NETWORK: "the network's masks",
        "naive": "the naive way, with them",
    }
    kinds = [Line2D([], [], color=_COLORS[name], linewidth=3, label=words[name]) for name in words]
    ink = "black"
    return [
        *kinds,
        Line2D([], [], color=ink, marker="o", linestyle="", markersize=4, label="median, or mean"),
        Line2D([], [], color=ink, marker="_", linestyle="", markersize=8, label="95th percentile"),
    ]
