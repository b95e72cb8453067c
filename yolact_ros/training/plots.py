# SPDX-License-Identifier: Apache-2.0
"""Plots losses and average precision over the steps of a run."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from matplotlib.figure import Figure

from yolact_ros.visualization.figure import figure_png

Points = dict[str, dict[int, float]]


def read_log(folder: Path) -> Points:
    """Read the values of each name by step; later starts of a run replace earlier ones."""
    points: Points = defaultdict(dict)
    starts = sorted(
        folder.glob("from_step_*/metrics.csv"),
        key=lambda file: int(file.parent.name.rpartition("_")[2]),
    )
    for file in starts:
        whole, _, _ = file.read_text().rpartition("\n")  # without a line that a power cut took
        for row in csv.DictReader(whole.splitlines()):
            for name, value in row.items():
                if value and name not in ("step", "epoch"):
                    points[name][int(row["step"])] = float(value)
    return dict(points)


def draw_curve(log: Path, picture: Path) -> None:
    """Draw the logged losses and average precisions.

    Args:
        log: Log folder of the run.
        picture: PNG file to write.
    """
    points = read_log(log)
    figure = Figure(figsize=(10, 4), layout="constrained")
    losses, precision = figure.subplots(1, 2)
    for name in sorted(points):
        steps = sorted(points[name])
        values = [points[name][step] for step in steps]
        if name.startswith("loss_"):
            losses.plot(steps, values, label=name.removeprefix("loss_"), linewidth=1)
        elif name in ("mask_ap", "mask_ap50", "box_ap"):
            precision.plot(steps, values, marker=".", label=name.replace("_", " "))
    losses.set(xlabel="step", ylabel="loss, weighted", yscale="log")
    precision.set(xlabel="step", ylabel="validation", ylim=(0, 1))
    for axes in (losses, precision):
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    picture.write_bytes(figure_png(figure, 110))
