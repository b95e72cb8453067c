# SPDX-License-Identifier: Apache-2.0
"""Measurements as plots: those of the stages, of their growth, and of the node."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Container, Mapping
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from .tables import (
    CALL_STAGES,
    STAGE_SUMS,
    describe_node_settings,
    describe_settings,
    ordered_stages,
)

_DPI = 120
_SMALL = 0.04
"""Part of the longest bar below which a part of a bar gets no number of its own."""
_STAGE_COLORS = {name: colormaps["tab10"](place) for place, name in enumerate(CALL_STAGES)}
_FATES = {
    "processed": ("processed", "tab:green"),
    "replaced": ("replaced in the node", "tab:olive"),
    "too_old": ("too old", "tab:purple"),
    "bad": ("bad", "tab:brown"),
    "failed": ("failed", "tab:red"),
    "unwanted": ("unwanted", "tab:gray"),
    "lost_in_dds": ("lost in DDS", "tab:orange"),
}
_FATE_COLORS = dict(_FATES.values())


def speed_plot(result: Mapping[str, Any]) -> bytes:
    """Medians of `measure_speed` as stacked bars, with and without the network, as PNG."""
    sides = {"yolact-ros": result}
    if "baseline" in result:
        sides["baseline"] = result["baseline"]
    bars = {
        side: {name: times["p50_ms"] for name, times in one["stages"].items()}
        for side, one in sides.items()
    }
    names = {name for parts in bars.values() for name in parts}
    panels = {
        "all but the overlay": names - {"overlay"},
        "all but the network and the overlay": names - {"overlay", "network"},
        "the overlay, drawn only when subscribed": names & {"overlay"},
    }
    panels = {title: shown for title, shown in panels.items() if shown}
    height = 1.0 + (0.7 + 0.45 * len(bars)) * len(panels)
    figure = Figure(figsize=(9, height), layout="constrained")
    for axes, (title, shown) in zip(_grid(figure, len(panels), 1), panels.items(), strict=True):
        _draw_bars(axes, bars, {name: _STAGE_COLORS[name] for name in CALL_STAGES if name in shown})
        _finish(axes, title, "ms per call, medians")
    figure.suptitle(describe_settings(result), fontsize=8)
    _add_legend(figure, names)
    return _png(figure)


def growth_plot(result: Mapping[str, Any]) -> bytes:
    """A panel for each series of `measure_growth`: medians of all stages but the network, as PNG.

    The network's time is large, and the same at every point but those of the batch.
    """
    series = result["series"]
    rows = (len(series) + 1) // 2
    figure = Figure(figsize=(10, 3.2 * rows), layout="constrained")
    for axes, one in zip(_grid(figure, rows, 2), series, strict=False):
        points = one["points"]
        known = points[0]["stages"]
        names = [name for name in CALL_STAGES if name in known and name != "network"]
        times = [[point["stages"][name]["p50_ms"] for point in points] for name in names]
        colors = [_STAGE_COLORS[name] for name in names]
        axes.stackplot([point["x"] for point in points], times, colors=colors)
        axes.set_ylabel("ms per call without the network", fontsize=8)
        axes.margins(x=0)
        axes.set_ylim(bottom=0)
        _finish(axes, one["title"], one["unit"])
    settings, machine = result["settings"], result["machine"]["name"]
    network = f"{settings['preset']}, {settings['precision']} on {machine}"
    figure.suptitle(f"{network}; medians of {settings['frames']} calls", fontsize=9)
    _add_legend(figure, set(series[0]["points"][0]["stages"]) - {"network"})
    return _png(figure)


def node_plot(result: Mapping[str, Any]) -> bytes:
    """Ages, fate of the frames and stages, a row for each arrangement of nodes, as PNG."""
    arrangements = result["set_ups"]
    figure = Figure(figsize=(13, 0.9 + 3.6 * len(arrangements)), layout="constrained")
    panels = _grid(figure, len(arrangements), 3)
    ages, fates, stages = panels[::3], panels[1::3], panels[2::3]
    for row, arrangement in enumerate(arrangements):
        _draw_ages(ages[row], arrangement)
        _draw_fates(fates[row], arrangement["cameras"])
        _draw_stages(stages[row], arrangement["stages"])
    for column in (ages, stages):  # the same scale in all rows
        right = max(axes.get_xlim()[1] for axes in column)
        for axes in column:
            axes.set_xlim(0, right)
    lines = textwrap.wrap(describe_node_settings(result), 190)
    figure.suptitle("\n".join(lines), fontsize=8)
    return _png(figure)


def _draw_bars(
    axes: Axes, bars: Mapping[str, Mapping[str, float]], colors: Mapping[str, Any]
) -> None:
    """Horizontal bars of coloured parts, with the number of each part and the sum behind them."""
    longest = max(sum(parts.get(name, 0.0) for name in colors) for parts in bars.values())
    left = np.zeros(len(bars))
    for name, color in colors.items():
        widths = np.array([parts.get(name, 0.0) for parts in bars.values()])
        if not widths.any():
            continue
        drawn = axes.barh(list(bars), widths, left=left, color=color, label=name, linewidth=0.5,
                          edgecolor="white")  # fmt: skip
        numbers = [_number(width) if width > _SMALL * longest else "" for width in widths]
        axes.bar_label(drawn, numbers, label_type="center", fontsize=7)
        left += widths
    for place, length in enumerate(left):
        axes.text(length, place, f" {_number(length)}", va="center", fontsize=8)
    axes.set_xlim(0, longest * 1.1 or 1)
    axes.invert_yaxis()


def _draw_ages(axes: Axes, arrangement: Mapping[str, Any]) -> None:
    colors = colormaps["tab10"]
    for place, camera in enumerate(arrangement["cameras"]):
        curve, ages = camera["age_curve_ms"], camera["age_ms"]
        if not curve:
            continue
        label = f"{camera['name']}: p50 {ages['p50']:.0f}, p99 {ages['p99']:.0f}"
        color = colors(place % 10)
        axes.plot(curve, np.linspace(0, 1, len(curve)), color=color, label=label, linewidth=1.2)
        axes.plot([ages["p50"], ages["p99"]], [0.5, 0.99], "o", color=color, markersize=3)
        axes.legend(fontsize=7, frameon=False, loc="lower right")
    axes.set_ylabel("share of results at most this old", fontsize=8)
    axes.set_ylim(0, 1.01)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    rate = f"{arrangement['frames_per_second']:.1f} frames/s"
    _finish(axes, f"{arrangement['name']}: {rate}", "age of a result on arrival, ms")


def _draw_fates(axes: Axes, cameras: list[Mapping[str, Any]]) -> None:
    bars = {
        camera["name"]: {label: max(0, camera[key]) for key, (label, _) in _FATES.items()}
        for camera in cameras
    }
    _draw_bars(axes, bars, _FATE_COLORS)
    axes.legend(fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3)
    _finish(axes, "what became of the frames published", "frames")


def _draw_stages(axes: Axes, stages: Mapping[str, Mapping[str, float]]) -> None:
    stages = ordered_stages(stages)
    medians = [times["p50_ms"] for times in stages.values()]
    worst = [times["p95_ms"] for times in stages.values()]
    colors = ["tab:blue" if name in STAGE_SUMS else "tab:cyan" for name in stages]
    places = np.arange(len(stages))
    axes.barh(places, medians, color=colors)
    axes.hlines(places, medians, worst, color="gray", linewidth=1)
    axes.plot(worst, places, "|", color="gray", markersize=5)
    for place, (median, high) in enumerate(zip(medians, worst, strict=True)):
        axes.text(max(median, high), place, f"  {median:.3g}", va="center", fontsize=7)
    axes.set_yticks(places, list(stages))
    axes.set_xlim(0, 1.15 * max(worst, default=1.0))
    axes.invert_yaxis()
    _finish(axes, "stages by the node's counters: median and p95", "ms")


def _grid(figure: Figure, rows: int, columns: int) -> list[Axes]:
    return list(figure.subplots(rows, columns, squeeze=False).flat)


def _finish(axes: Axes, title: str, unit: str) -> None:
    axes.set_title(title, fontsize=8, loc="left")
    axes.set_xlabel(unit, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def _add_legend(figure: Figure, names: Container[str]) -> None:
    """One legend of stages for all panels of a figure, at its bottom."""
    handles = [Patch(color=color, label=name) for name, color in _STAGE_COLORS.items()
               if name in names]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=7,
                  frameon=False)  # fmt: skip


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _png(figure: Figure) -> bytes:
    # The canvas by itself: pyplot keeps state and looks for a display.
    canvas = FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.set_dpi(_DPI)
    canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()
