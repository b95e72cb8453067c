# SPDX-License-Identifier: Apache-2.0
"""Measurements as plots: those of the stages, of their growth, of space and of the node."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from yolact_ros.visualization.figure import figure_png

from .tables import CALL_STAGES, COUNTS, LEVELS, describe_node_settings, describe_settings

_DPI = 120
_STYLE: dict[Any, Any] = {
    "axes.labelsize": 8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 8,
    "figure.constrained_layout.use": True,
    "figure.titlesize": 8,
    "font.size": 8,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
}
_STAGE_COLORS = {name: colormaps["tab10"](place) for place, name in enumerate(CALL_STAGES)}
_FATE_COLORS = {
    "processed": "tab:green",
    "replaced": "tab:olive",
    "too_old": "tab:purple",
    "bad": "tab:brown",
    "failed": "tab:red",
    "unwanted": "tab:gray",
    "lost_in_dds": "tab:orange",
}


@rc_context(_STYLE)
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
    figure = Figure(figsize=(9, 1.0 + (0.7 + 0.45 * len(bars)) * len(panels)))
    rows = figure.subplots(len(panels), squeeze=False)
    for [axes], (title, shown) in zip(rows, panels.items(), strict=True):
        _draw_bars(axes, bars, {name: _STAGE_COLORS[name] for name in CALL_STAGES if name in shown})
        axes.set(title=title, xlabel="ms per call, medians")
    figure.suptitle(describe_settings(result))
    _add_legend(figure, names)
    return figure_png(figure, _DPI)


@rc_context(_STYLE)
def growth_plot(result: Mapping[str, Any]) -> bytes:
    """A panel for each series of `measure_growth`: medians of all stages but the network, as PNG.

    The network's time is large, and the same at every point but those of the batch.
    """
    series = result["series"]
    rows = (len(series) + 1) // 2
    known = series[0]["points"][0]["stages"]
    colors = {name: _STAGE_COLORS[name] for name in known if name != "network"}
    figure = Figure(figsize=(10, 3.2 * rows))
    for axes, one in zip(figure.subplots(rows, 2).flat, series, strict=False):
        points = one["points"]
        times = [[point["stages"][name]["p50_ms"] for point in points] for name in colors]
        axes.stackplot([point["x"] for point in points], times, colors=list(colors.values()))
        axes.set(title=one["title"], xlabel=one["unit"], ylabel="ms per call without the network")
        axes.margins(x=0)
        axes.set_ylim(bottom=0)
    settings, machine = result["settings"], result["machine"]["name"]
    network = f"{settings['preset']}, {settings['precision']} on {machine}"
    figure.suptitle(f"{network}; medians of {settings['frames']} calls")
    _add_legend(figure, colors)
    return figure_png(figure, _DPI)


@rc_context(_STYLE)
def space_plot(result: Mapping[str, Any]) -> bytes:
    """A panel for each series of `measure_space`'s growth: medians on one thread, as PNG."""
    figure = Figure(figsize=(9, 3.4))
    panels = figure.subplots(1, len(result["growth"]), sharey=True)
    for axes, series, key in zip(panels, result["growth"], ("instances", "pixels"), strict=True):
        points = series["points"]
        for name in points[0]["stages"]:
            times = [point["stages"][name]["p50_ms"] for point in points]
            axes.plot([point[key] for point in points], times, marker=".", label=name)
        axes.set(xlabel=series["title"], ylim=(0, None))
        axes.grid(color="#e4e7eb", linewidth=0.8)
    panels[0].set_ylabel("ms per frame")
    panels[0].legend()
    settings, machine = result["settings"], result["machine"]["processor"]
    height, width = settings["image_size"]
    figure.suptitle(f"{width}x{height}, one thread of {machine}; medians")
    return figure_png(figure, _DPI)


@rc_context(_STYLE)
def tracking_plot(result: Mapping[str, Any]) -> bytes:
    """Medians and 95th percentiles of `measure_tracking`'s growth on one thread, as PNG."""
    figure = Figure(figsize=(7, 3.6))
    axes, growth = figure.subplots(), result["growth"]
    counts = [point["instances"] for point in growth]
    for number, name in enumerate(growth[0]["stages"]):
        p50, p95 = (
            [point["stages"][name][key] for point in growth] for key in ("p50_ms", "p95_ms")
        )
        axes.plot(counts, p50, marker=".", color=f"C{number}", label=name)
        axes.fill_between(counts, p50, p95, color=f"C{number}", alpha=0.2, linewidth=0)
    axes.set(xlabel="things known and found", ylabel="ms per image", ylim=(0, None))
    axes.grid(color="#e4e7eb", linewidth=0.8)
    axes.legend()
    frames, machine = result["settings"]["frames"], result["machine"]["processor"]
    figure.suptitle(f"{frames} images, one thread of {machine}; medians to 95th percentiles")
    return figure_png(figure, _DPI)


@rc_context(_STYLE)
def node_plot(result: Mapping[str, Any]) -> bytes:
    """Ages and fate of the frames, a row for each arrangement of nodes, as PNG."""
    arrangements = result["set_ups"]
    figure = Figure(figsize=(11, 0.9 + 3.6 * len(arrangements)))
    rows = figure.subplots(len(arrangements), 2, squeeze=False)
    for (ages, fates), arrangement in zip(rows, arrangements, strict=True):
        _draw_ages(ages, arrangement)
        _draw_fates(fates, arrangement["cameras"])
    right = max(axes.get_xlim()[1] for axes in rows[:, 0])
    for axes in rows[:, 0]:  # the same scale in all rows
        axes.set_xlim(0, right)
    figure.suptitle("\n".join(textwrap.wrap(describe_node_settings(result), 160)))
    return figure_png(figure, _DPI)


@rc_context(_STYLE)
def record_plot(result: Mapping[str, Any]) -> bytes:
    """Memory, ages, counters and levels of a node over time, as PNG; lines are a storm's calms."""
    record = result["record"]
    figure = Figure(figsize=(11, 8.5))
    rows = figure.subplots(4, 1, sharex=True, height_ratios=[3, 3, 3, 1])
    memory, ages, counters, levels = rows
    _draw_memory(memory, record)
    ages.plot(record["ages"]["seconds"], record["ages"]["max_ms"], color="0.7", label="largest")
    ages.plot(record["ages"]["seconds"], record["ages"]["p50_ms"], label="median")
    ages.set(title="age of results on arrival", ylabel="ms", yscale="log")
    ages.legend(loc="upper right")
    diagnostics = record["diagnostics"]
    for name, counts in diagnostics["counts"].items():
        if any(counts):
            label = name.replace("_", " ")
            counters.plot(diagnostics["seconds"], counts, label=f"{label} {counts[-1]}")
    counters.set(title="frames since the begin", yscale="symlog", ylim=(0, None))
    counters.legend(loc="upper left", ncols=4)
    levels.step(diagnostics["seconds"], diagnostics["level"], where="post", color="tab:red")
    levels.set(title="/diagnostics", xlabel="s", ylim=(-0.3, 2.3))
    levels.set_yticks(range(len(LEVELS)), LEVELS)
    for event in result.get("events", ()):
        if event["what"] == "calm":
            for axes in rows:
                axes.axvline(event["at_s"], color="0.85", linewidth=0.8, zorder=0)
    figure.suptitle("\n".join(textwrap.wrap(describe_node_settings(result), 160)))
    return figure_png(figure, _DPI)


def _draw_memory(axes: Axes, record: Mapping[str, Any]) -> None:
    memory, growth = record["memory"], record["growth"]
    for name, label in (("rss_mb", "in all (RSS)"), ("without_files_mb", "without files")):
        change = f", {growth[name]['growth']:+.2%}" if growth else ""
        [line] = axes.plot(memory["seconds"], memory[name], label=label + change)
        resting = [
            (at, value)
            for at, value, rests in zip(
                memory["seconds"], memory[name], memory["at_rest"], strict=True
            )
            if rests
        ]
        axes.plot(*zip(*resting, strict=True), "o", color=line.get_color()) if resting else None
    since = f" from {growth['from_s']:.0f} s to {growth['to_s']:.0f} s" if growth else ""
    axes.set(title=f"memory of the node, growth{since}; dots: at rest", ylabel="MB", ylim=(0, None))
    axes.legend(loc="lower right")


def _draw_bars(
    axes: Axes, bars: Mapping[str, Mapping[str, Any]], colors: Mapping[str, Any]
) -> None:
    """Horizontal bars of coloured parts, with their sums behind them."""
    left = np.zeros(len(bars))
    for name, color in colors.items():
        widths = np.array([parts.get(name, 0.0) for parts in bars.values()])
        drawn = axes.barh(list(bars), widths, left=left, color=color, label=COUNTS.get(name, name))
        left += widths
    sums = [f"{length:.0f}" if length >= 100 else f"{length:.3g}" for length in left]
    axes.bar_label(drawn, sums, padding=3)
    axes.set_xlim(0, 1.1 * left.max() or 1)
    axes.invert_yaxis()


def _draw_ages(axes: Axes, arrangement: Mapping[str, Any]) -> None:
    for camera in arrangement["cameras"]:
        curve, ages = camera["age_curve_ms"], camera["age_ms"]
        if not curve:
            continue
        label = f"{camera['name']}: p50 {ages['p50']:.0f}, p99 {ages['p99']:.0f}"
        axes.plot(curve, np.linspace(0, 1, len(curve)), label=label, markevery=[50, 99], marker=".")
        axes.legend(loc="upper left")
    axes.set(
        title=f"{arrangement['name']}: {arrangement['frames_per_second']:.1f} frames/s",
        xlabel="age of a result on arrival, ms",
        ylabel="share of results at most this old",
        ylim=(0, 1.01),
    )

    axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def _draw_fates(axes: Axes, cameras: list[Mapping[str, Any]]) -> None:
    _draw_bars(axes, {camera["name"]: camera for camera in cameras}, _FATE_COLORS)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=4)
    axes.set(title="what became of the frames published", xlabel="frames")


def _add_legend(figure: Figure, names: Collection[str]) -> None:
    """One legend of stages for all panels of a figure, at its bottom."""
    handles = [
        Patch(color=color, label=name) for name, color in _STAGE_COLORS.items() if name in names
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
