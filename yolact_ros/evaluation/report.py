# SPDX-License-Identifier: Apache-2.0
"""Writes an evaluation to a folder: metrics, results, plots and one page for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .evaluate import Evaluation
from .operating_point import worst_matches
from .page import render_report
from .pictures import compare
from .plots import confusion_plot, precision_recall_plot
from .summary import summarize

_CURVES_AT = (0.5, 0.75)  # IoU


def write_report(
    evaluation: Evaluation, run: Mapping[str, Any], folder: Path, *, pictures: int = 12
) -> Path:
    """Write a report; files of an earlier one are replaced.

    Args:
        evaluation: The measurements.
        run: Description of the run, see `describe_run`.
        folder: Receives ``index.html``, which needs none of the others, ``metrics.json``,
            ``results.json`` in COCO's results format, ``confusion_matrix.png``, and
            ``precision_recall_50.png`` and ``precision_recall_75.png``: at these IoU in percent.
        pictures: Maximum number of images on the page, worst first.

    Returns:
        The path of the page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    summary = {**summarize(evaluation), **run}
    curves = {iou: precision_recall_plot(evaluation.curves, iou) for iou in _CURVES_AT}
    confusion = confusion_plot(evaluation.confusion, evaluation.dataset.class_names)
    worst = worst_matches(evaluation.matches, pictures)
    page = render_report(
        summary,
        precision_recall=list(curves.values()),
        confusion=confusion,
        comparisons=[compare(evaluation.dataset, match) for match in worst],
    )
    (folder / "results.json").write_text(json.dumps(evaluation.segmented.results))
    (folder / "metrics.json").write_text(json.dumps(summary, indent=1))
    for iou, png in curves.items():
        (folder / f"precision_recall_{iou * 100:.0f}.png").write_bytes(png)
    (folder / "confusion_matrix.png").write_bytes(confusion)
    path = folder / "index.html"
    path.write_text(page, encoding="utf-8")
    return path
