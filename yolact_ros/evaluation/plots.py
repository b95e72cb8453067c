# SPDX-License-Identifier: Apache-2.0
"""Draws curves and the confusion matrix as PNG files in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from yolact_ros.visualization.figure import figure_png

from .coco import PrecisionRecall

_DPI = 150
_MOST_IN_LEGEND = 16
_MOST_WITH_NUMBERS = 25
_INK = "#1f2933"
_GREY = "#9aa5b1"


def precision_recall_plot(curves: PrecisionRecall, iou: float) -> bytes:
    """Draw precision over recall: one curve per class with truth, and their mean.

    Args:
        curves: The curves.
        iou: IoU that a match requires, one of `curves.ious`.
    """
    figure = Figure(figsize=(5.2, 4.9), layout="constrained")
    axes = figure.add_subplot()
    precision = curves.at(iou)
    known = [k for k in range(len(curves.class_names)) if precision[0, k] > -1]
    few = len(known) <= _MOST_IN_LEGEND
    colors = colormaps["tab10" if len(known) <= 10 else "tab20"].colors  # type: ignore[attr-defined]
    for number, k in enumerate(known):
        axes.plot(
            curves.recalls,
            precision[:, k],
            color=colors[number] if few else _GREY,
            alpha=1 if few else 0.4,
            linewidth=1.4,
            label=f"{precision[:, k].mean():.3f} {_plain(curves.class_names[k])}" if few else None,
        )
    if known:
        mean = precision[:, known].mean(axis=1)
        label = f"{mean.mean():.3f} mean of {len(known)}"
        axes.plot(curves.recalls, mean, color=_INK, linewidth=2.6, label=label)
        axes.legend(loc="lower left", fontsize=8, title="AP")
    _label(axes, f"masks at IoU {iou:.2f}", "recall", "precision")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), aspect="equal")
    axes.grid(color="#e4e7eb", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure_png(figure, _DPI)


def confusion_plot(matrix: npt.NDArray[np.int64], class_names: Sequence[str]) -> bytes:
    """Draw the confusion matrix with its background row and column.

    Colours are shares of a row, that is of the true class; numbers are counts.

    Args:
        matrix: As `confusion_matrix` returns it.
        class_names: Class names without the background.
    """
    names = [_plain(name) for name in class_names]
    side = min(16.0, 3.6 + 0.42 * len(matrix))
    figure = Figure(figsize=(side + 0.8, side), layout="compressed")
    axes = figure.add_subplot()
    parts = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    # small parts must show, where many classes share a row
    norm = LogNorm(1e-3, 1) if len(matrix) > _MOST_WITH_NUMBERS else None
    shown = axes.imshow(parts, cmap="Blues", norm=norm, vmin=None if norm else 0,
                        vmax=None if norm else 1)  # fmt: skip
    if len(matrix) <= _MOST_WITH_NUMBERS:
        for (row, column), count in np.ndenumerate(matrix):
            if count:
                ink = "white" if parts[row, column] > 0.55 else _INK
                axes.text(column, row, str(count), ha="center", va="center", color=ink, fontsize=9)
    size = 9 if len(matrix) <= _MOST_WITH_NUMBERS else 6
    ticks = range(len(matrix))
    axes.set_xticks(ticks, [*names, "false negative"], rotation=90, fontsize=size)
    axes.set_yticks(ticks, [*names, "false positive"], fontsize=size)
    # apart from the classes
    for line in (axes.axhline, axes.axvline):
        line(len(class_names) - 0.5, color=_GREY, linewidth=1)
    _label(axes, "", "found class", "true class")
    figure.colorbar(shown, ax=axes, fraction=0.046, label="share of the row")
    return figure_png(figure, _DPI)


def _label(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=11, color=_INK)
    axes.set_xlabel(x, fontsize=10)
    axes.set_ylabel(y, fontsize=10)


def _plain(name: str) -> str:
    """Escape a name so that matplotlib does not take it for a formula."""
    return name.replace("$", r"\$")
