# SPDX-License-Identifier: Apache-2.0
"""A picture of what `yolact-ros bench node` measured."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from .node_text import STAGE_SUMS, describe_node_settings, ordered_stages
from .plot import figure_png

_FATES = {
    "processed": ("processed", "tab:green"),
    "replaced": ("replaced in the node", "tab:olive"),
    "too_old": ("too old", "tab:purple"),
    "bad": ("bad", "tab:brown"),
    "failed": ("failed", "tab:red"),
    "unwanted": ("unwanted", "tab:gray"),
    "lost_in_dds": ("lost in DDS", "black"),
}


def node_speed_picture(result: Mapping[str, Any]) -> bytes:
    """Ages, fate of the frames and stages, a row for each way to serve the cameras, as PNG."""
    ways = result["set_ups"]
    figure = Figure(figsize=(13, 0.9 + 3.6 * len(ways)), layout="constrained")
    rows = figure.subplots(len(ways), 3, squeeze=False)
    oldest = max(
        (camera["age_ms"]["max"] for way in ways for camera in way["cameras"] if camera["age_ms"]),
        default=1.0,
    )
    longest = max(
        (times["p95_ms"] for way in ways for times in way["stages"].values()), default=1.0
    )
    for (ages, fates, stages), way in zip(rows, ways, strict=True):
        _draw_ages(ages, way, oldest)
        _draw_fates(fates, way["cameras"])
        _draw_stages(stages, way["stages"], longest)
    lines = textwrap.wrap(describe_node_settings(result), 190)
    figure.suptitle("\n".join(lines), fontsize=8)
    return figure_png(figure)


def _draw_ages(axes: Axes, way: Mapping[str, Any], oldest: float) -> None:
    colors = colormaps["tab10"]
    for place, camera in enumerate(way["cameras"]):
        curve, ages = camera["age_curve_ms"], camera["age_ms"]
        if not curve:
            continue
        label = f"{camera['name']}: p50 {ages['p50']:.0f}, p99 {ages['p99']:.0f}"
        color = colors(place % 10)
        axes.plot(curve, np.linspace(0, 1, len(curve)), color=color, label=label, linewidth=1.2)
        axes.plot([ages["p50"], ages["p99"]], [0.5, 0.99], "o", color=color, markersize=3)
    axes.set_title(
        f"{way['name']}: {way['frames_per_second']:.1f} frames/s", fontsize=9, loc="left"
    )
    axes.set_xlabel("age of a result on arrival, ms", fontsize=8)
    axes.set_ylabel("results at most so old", fontsize=8)
    axes.set_xlim(0, oldest * 1.02)
    axes.set_ylim(0, 1.01)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7, frameon=False, loc="lower right")
    _tidy(axes)


def _draw_fates(axes: Axes, cameras: Sequence[Mapping[str, Any]]) -> None:
    names = [camera["name"] for camera in cameras]
    left = np.zeros(len(cameras))
    for key, (label, color) in _FATES.items():
        counts = np.array([max(0, camera[key]) for camera in cameras])
        if not counts.any():
            continue
        bars = axes.barh(names, counts, left=left, color=color, label=label)
        labels = [str(count) if count > 0.06 * _most_frames(cameras) else "" for count in counts]
        axes.bar_label(bars, labels, label_type="center", fontsize=7, color="white")
        left += counts
    axes.set_title("what became of the frames published", fontsize=9, loc="left")
    axes.set_xlabel("frames", fontsize=8)
    axes.invert_yaxis()
    axes.legend(fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3)
    _tidy(axes)


def _most_frames(cameras: Sequence[Mapping[str, Any]]) -> int:
    """Frames of the camera that published most."""
    return max(camera["published"] for camera in cameras)


def _draw_stages(axes: Axes, stages: Mapping[str, Mapping[str, float]], longest: float) -> None:
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
    axes.set_yticks(places, list(stages), fontsize=7)
    axes.set_xlim(0, longest * 1.15)
    axes.invert_yaxis()
    axes.set_title("stages by the node's counters: median and p95", fontsize=9, loc="left")
    axes.set_xlabel("ms", fontsize=8)
    _tidy(axes)


def _tidy(axes: Axes) -> None:
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
