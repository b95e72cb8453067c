# SPDX-License-Identifier: Apache-2.0
"""Pictures of what `yolact-ros bench` measured."""

from __future__ import annotations

import io
from collections.abc import Container, Mapping
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .text import STAGE_ORDER, describe_settings

_DPI = 120
_SMALL = 0.04
"""Part of the longest bar below which a stage gets no number of its own."""


def speed_picture(result: Mapping[str, Any]) -> bytes:
    """Medians of the stages as one bar a way, and once more without the network, as PNG."""
    bars = {"yolact-ros": result["stages"]}
    if "baseline" in result:
        bars["baseline"] = result["baseline"]["stages"]
    panels = {
        "all but the overlay": _without(bars, ("overlay",)),
        "all but the network and the overlay": _without(bars, ("overlay", "network")),
        "the overlay, drawn only when subscribed": _without(bars, set(STAGE_ORDER) - {"overlay"}),
    }
    panels = {title: ways for title, ways in panels.items() if any(ways.values())}
    height = 1.0 + (0.7 + 0.45 * len(bars)) * len(panels)
    figure = Figure(figsize=(9, height), layout="constrained")
    all_axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axes, (title, ways) in zip(all_axes, panels.items(), strict=True):
        axes.set_title(title, fontsize=8, loc="left")
        _draw_bars(axes, ways)
    all_axes[-1].set_xlabel("ms a call, medians", fontsize=8)
    figure.suptitle(describe_settings(result), fontsize=8)
    shown = [name for name in STAGE_ORDER if any(name in stages for stages in bars.values())]
    handles = [Patch(color=_color(name)) for name in shown]
    figure.legend(handles, shown, loc="outside lower center", ncols=len(shown), fontsize=7,
                  frameon=False)  # fmt: skip
    return figure_png(figure)


def growth_picture(result: Mapping[str, Any]) -> bytes:
    """One panel a series of `measure_growth`: medians of the stages but the network, as PNG."""
    series = result["series"]
    figure = Figure(figsize=(10, 3.2 * ((len(series) + 1) // 2)), layout="constrained")
    panels: list[Axes] = list(figure.subplots((len(series) + 1) // 2, 2, squeeze=False).flat)
    for axes, one in zip(panels, series, strict=False):
        _draw_series(axes, one)
    for axes in panels[len(series) :]:
        axes.set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, fontsize=7, frameon=False)
    settings = result["settings"]
    figure.suptitle(
        f"{settings['preset']}, {settings['precision']} on {result['machine']['name']}; medians of "
        f"{settings['frames']} calls",
        fontsize=9,
    )
    return figure_png(figure)


def _without(
    bars: Mapping[str, Mapping[str, Any]], names: Container[str]
) -> dict[str, dict[str, float]]:
    return {
        way: {name: row["p50_ms"] for name, row in stages.items() if name not in names}
        for way, stages in bars.items()
    }


def _draw_bars(axes: Axes, times: Mapping[str, Mapping[str, float]]) -> None:
    longest = max(sum(row.values()) for row in times.values())
    for place, row in enumerate(times.values()):
        left = 0.0
        for name in STAGE_ORDER:
            width = row.get(name, 0.0)
            axes.barh(place, width, left=left, color=_color(name), edgecolor="white", linewidth=0.5)
            if width > _SMALL * longest:
                axes.text(left + width / 2, place, _number(width), ha="center", va="center",
                          fontsize=7)  # fmt: skip
            left += width
        axes.text(left, place, f" {_number(left)}", ha="left", va="center", fontsize=8)
    axes.set_yticks(range(len(times)), list(times), fontsize=8)
    axes.set_xlim(0, longest * 1.1 or 1)
    axes.invert_yaxis()
    axes.tick_params(axis="x", labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_series(axes: Axes, series: Mapping[str, Any]) -> None:
    places = [point["x"] for point in series["points"]]
    # The network's time is large and the same at every point but those of the batch.
    known = series["points"][0]["stages"]
    names = [name for name in STAGE_ORDER if name in known and name != "network"]
    heights = [[point["stages"][name]["p50_ms"] for point in series["points"]] for name in names]
    axes.stackplot(places, heights, labels=names, colors=[_color(name) for name in names])
    axes.set_title(series["title"], fontsize=8)
    axes.set_xlabel(series["unit"], fontsize=8)
    axes.set_ylabel("ms a call without the network", fontsize=8)
    axes.set_xlim(min(places), max(places))
    axes.set_ylim(bottom=0)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def _number(milliseconds: float) -> str:
    return f"{milliseconds:.0f}" if milliseconds >= 100 else f"{milliseconds:.3g}"


def _color(stage: str) -> Any:
    return colormaps["tab10"](STAGE_ORDER.index(stage))


def figure_png(figure: Figure) -> bytes:
    """A figure as a PNG file."""
    # The canvas by itself: pyplot keeps state and looks for a display.
    canvas = FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.set_dpi(_DPI)
    canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()
