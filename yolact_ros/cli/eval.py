# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros eval`: the accuracy of a network on a data set, as numbers and as a page."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolact_ros.errors import InputError

from . import eval_space, eval_tracking
from .options import (
    build_segmenter,
    fraction,
    natural,
    positive_int,
    segmenter_options,
    shared,
    training_packages,
)

if TYPE_CHECKING:
    from yolact_ros.datasets.coco import CocoDataset
    from yolact_ros.evaluation.evaluate import Evaluation
    from yolact_ros.inference import Segmenter

_REQUIRED = ("--annotations", "--images", "--out")
_OPERATING_SCORE = 0.3


def register(commands: Any) -> None:
    """Add the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "eval",
        help="measure the accuracy of a network on a data set in COCO format",
        description="Segment the images of a data set in COCO format and compare the results with "
        "its annotations. Writes to the output folder: index.html (a self-contained page), "
        "metrics.json (COCO's twelve metrics of masks and boxes, AP per class, speed, and what was "
        "measured), results.json (COCO results format) and the plots. Classes are matched by name. "
        "PART measures something else.",
        examples=(
            "yolact-ros eval --weights run/best.safetensors --annotations parts/val.json "
            "--images pictures --out report",
            "yolact-ros eval --preset yolact_demo --annotations scenes/val/annotations.json "
            "--images scenes/val/images --out report --limit 100",
        ),
        parents=[
            shared(
                *(*_REQUIRED, "--quiet"),
                annotations={"required": False},
                images={"required": False},
                out={"required": False},
            ),
            *segmenter_options(score_threshold=0.05, in_fp32=True),
        ],
    )
    parser.add_argument(
        "--limit", type=positive_int, help="Measure the first N images only; unless given, all."
    )
    parser.add_argument(
        "--batch-size", type=positive_int, default=1, help="Images that are segmented at once."
    )
    parser.add_argument(
        "--operating-score",
        type=fraction,
        help="Score threshold of confusion matrix and pictures, at least --score-threshold; unless "
        "given, 0.3, or --score-threshold where that is more.",
    )
    parser.add_argument(
        "--pictures", type=natural, default=12, help="Images shown in the report, the worst first."
    )
    parser.set_defaults(run=partial(run, parser))
    parts = parser.add_subparsers(title="parts", metavar="PART")
    for part in (eval_space, eval_tracking):
        part.register(parts)


def run(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    """Run the command without a part, which needs what its parts do without."""
    missing = [name for name in _REQUIRED if getattr(arguments, name.removeprefix("--")) is None]
    if missing:
        parser.error(f"the following arguments are required: {', '.join(missing)}")
    operating_score = arguments.operating_score
    if operating_score is None:
        operating_score = max(_OPERATING_SCORE, arguments.score_threshold)
    if operating_score < arguments.score_threshold:
        raise InputError(
            f"--operating-score: expected --score-threshold ({arguments.score_threshold:g}) or "
            f"more, got {operating_score:g}"
        )
    with training_packages():
        from yolact_ros.evaluation.report import write_report
    from yolact_ros.datasets.merge import read_datasets
    from yolact_ros.evaluation.evaluate import evaluate
    from yolact_ros.evaluation.summary import describe_run

    dataset = read_datasets(
        [arguments.annotations], [arguments.images], arguments.classes, limit=arguments.limit
    )
    for remark in dataset.remarks:
        print(f"yolact-ros: {remark}", file=sys.stderr)
    segmenter = build_segmenter(arguments)
    _restrict(segmenter, dataset)
    arguments.out.mkdir(parents=True, exist_ok=True)
    evaluation = evaluate(
        segmenter,
        dataset,
        operating_score=operating_score,
        batch_size=arguments.batch_size,
        multiply_mask_scores=segmenter.options.rescoring == "published",
        progress=not arguments.quiet,
    )
    about = describe_run(
        segmenter,
        _weights(arguments, segmenter),
        dataset,
        command=arguments.command_line,
        batch_size=arguments.batch_size,
    )
    page = write_report(evaluation, about, arguments.out, pictures=arguments.pictures)
    print(describe(evaluation))
    print(f"report in {page}")
    return 0


def _restrict(segmenter: Segmenter, dataset: CocoDataset) -> None:
    """Restrict the network to the data set's classes, and warn about those it does not know.

    Other classes would use up part of the limit of instances per image.
    """
    from yolact_ros.evaluation.segment_dataset import unknown_classes

    asked = segmenter.options.classes or segmenter.class_names
    unknown = unknown_classes(asked, dataset)
    if unknown:
        print(
            f"yolact-ros: the network does not know {', '.join(unknown)}: counted as never found",
            file=sys.stderr,
        )
    if set(asked) - set(dataset.class_names):
        common = tuple(name for name in asked if name in dataset.class_names)
        segmenter.options = dataclasses.replace(segmenter.options, classes=common)


def _weights(arguments: argparse.Namespace, segmenter: Segmenter) -> Path:
    """Find the file that the network was loaded from."""
    from yolact_ros.checkpoints.download import find_weights
    from yolact_ros.inference import shipped_weights

    path = arguments.weights or shipped_weights(segmenter.preset) or find_weights(segmenter.preset)
    assert path is not None  # or there were no segmenter
    return Path(path)


def describe(evaluation: Evaluation) -> str:
    """Summarise an evaluation in a few lines of text."""
    titles = {"ap": "AP", "ap50": "AP50", "ap75": "AP75", "ap_small": "small",
              "ap_medium": "medium", "ap_large": "large", "ar_100": "AR"}  # fmt: skip
    objects = sum(not thing.crowd for image in evaluation.dataset.images for thing in image.objects)
    lines = [
        f"{len(evaluation.dataset)} images, {objects} objects",
        f"{'':5}" + "".join(f"{title:>7}" for title in titles.values()),
    ]
    for name, figures in (("mask", evaluation.mask), ("box", evaluation.box)):
        values = (getattr(figures, key) for key in titles)
        lines.append(f"{name:5}" + "".join(_figure(value) for value in values))
    classes = evaluation.mask.ap_per_class.items()
    point = evaluation.operating_point
    total = sorted(evaluation.segmented.milliseconds["total"])
    lines += [
        "mask AP per class: " + ", ".join(f"{name} {_figure(ap).strip()}" for name, ap in classes),
        f"at score {point.score:g}: recall {_figure(point.recall).strip()}, precision "
        f"{_figure(point.precision).strip()}, mean mask IoU {point.mean_iou:.3f}",
        f"median time per image: {total[len(total) // 2]:.1f} ms",
    ]
    if lack := evaluation.dataset.lack_of_objects:
        wrong = f"false positives at score {point.score:g}: {point.false_positives}"
        lines.append(f"nothing to find: {lack}; {wrong}")
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    """Print a figure; "-" where there is nothing to measure, which COCO's figures write as -1."""
    return f"{'-':>7}" if value is None or value < 0 else f"{value:7.3f}"
