# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros eval-demo`: AP and recall on unseen synthetic scenes."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .options import add_segmenter_arguments, build_segmenter

if TYPE_CHECKING:
    from yolact_ros.evaluation.scenes import SceneMetrics


def register(commands: Any) -> None:
    """Adds the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "eval-demo",
        help="measure weights of yolact_demo on unseen synthetic scenes",
        description="Renders scenes that training never sees, segments them, and prints COCO's "
        "AP of masks and boxes.",
    )
    parser.add_argument("--scenes", type=int, default=300, help="default: %(default)s")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_segmenter_arguments(parser, score_threshold=0.05)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    from yolact_ros.evaluation.scenes import evaluate_unseen

    if arguments.scenes < 1:
        raise ValueError(f"scenes: expected 1 or more, got {arguments.scenes}")
    segmenter = build_segmenter(arguments)
    metrics = evaluate_unseen(segmenter, arguments.scenes, progress=not arguments.quiet)
    print(describe(metrics))
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(asdict(metrics), indent=1))
    return 0


def describe(metrics: SceneMetrics) -> str:
    """A few lines for people."""
    lines = [
        f"{metrics.scenes} unseen scenes, {metrics.objects} objects",
        f"{'':6}{'AP':>7}{'AP50':>7}{'AP75':>7}{'small':>7}{'medium':>7}{'large':>7}",
    ]
    for name, figures in (("mask", metrics.mask), ("box", metrics.box)):
        values = (
            figures.ap,
            figures.ap50,
            figures.ap75,
            figures.ap_small,
            figures.ap_medium,
            figures.ap_large,
        )
        lines.append(f"{name:6}" + "".join(f"{value:7.3f}" for value in values))
    classes = ", ".join(f"{name} {ap:.3f}" for name, ap in metrics.mask.ap_per_class.items())
    lines += [
        f"mask AP of each class: {classes}",
        f"clearly visible objects: recall {metrics.recall:.3f}, "
        f"mean mask IoU {metrics.mean_iou:.3f} at score 0.3",
        f"time an image: network {metrics.network_ms:.1f} ms, in all {metrics.total_ms:.1f} ms",
    ]
    return "\n".join(lines)
