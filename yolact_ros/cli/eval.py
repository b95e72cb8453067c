# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros eval`: how good a network is on a data set, as figures and as a page."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolact_ros.errors import InputError

from .options import add_segmenter_arguments, build_segmenter

if TYPE_CHECKING:
    from yolact_ros.datasets.coco import CocoDataset
    from yolact_ros.evaluation.evaluate import Evaluation
    from yolact_ros.inference import Segmenter


def register(commands: Any) -> None:
    """Adds the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "eval",
        help="measure weights on a data set in COCO's format",
        description="Segments the images of a data set in COCO's format and compares with the "
        "truth. Writes OUT/index.html (a page that needs no other file), OUT/metrics.json (COCO's "
        "twelve figures of masks and boxes, AP of each class, speed, and what was measured), "
        "OUT/results.json (COCO's results format) and the plots. Classes are told by their names.",
    )
    parser.add_argument(
        "--annotations", type=Path, required=True, metavar="JSON", help="the data set's file"
    )
    parser.add_argument(
        "--images", type=Path, required=True, metavar="DIR", help="folder of its images"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for everything written"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images")
    parser.add_argument(
        "--batch-size", type=int, default=1, metavar="N", help="images at once (default: 1)"
    )
    parser.add_argument(
        "--operating-score",
        type=float,
        default=0.3,
        metavar="S",
        help="score threshold of the confusion matrix and the pictures (default: %(default)s)",
    )
    parser.add_argument(
        "--pictures",
        type=int,
        default=12,
        metavar="N",
        help="show so many of the worst images (default: %(default)s)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_segmenter_arguments(parser, score_threshold=0.05)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    try:
        from yolact_ros.evaluation.report import write_report
    except ModuleNotFoundError as error:
        raise InputError(
            f"eval: expected the training requirements to be installed, got: {error}"
        ) from error
    from yolact_ros.datasets.coco import read_dataset
    from yolact_ros.evaluation.evaluate import evaluate
    from yolact_ros.evaluation.summary import describe_run

    _check(arguments)
    dataset = read_dataset(arguments.annotations, arguments.images)
    if arguments.limit:
        dataset = dataclasses.replace(dataset, images=dataset.images[: arguments.limit])
    segmenter = build_segmenter(arguments)
    _restrict(segmenter, dataset)
    arguments.out.mkdir(parents=True, exist_ok=True)
    evaluation = evaluate(
        segmenter,
        dataset,
        operating_score=arguments.operating_score,
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


def _check(arguments: argparse.Namespace) -> None:
    for name, least in (("limit", 1), ("batch_size", 1), ("pictures", 0)):
        value = getattr(arguments, name)
        if value is not None and value < least:
            raise InputError(f"{name}: expected {least} or more, got {value}")
    if not arguments.score_threshold <= arguments.operating_score <= 1:
        raise InputError(
            f"operating_score: expected the score threshold {arguments.score_threshold:g} to 1, "
            f"got {arguments.operating_score}"
        )
    if arguments.out.exists() and not arguments.out.is_dir():
        raise InputError(f"out: expected a folder, got the file {arguments.out}")


def _restrict(segmenter: Segmenter, dataset: CocoDataset) -> None:
    """Keeps the network to the data set's classes, and says which of them it does not know.

    Other classes would take places among the instances that an image may have.
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
    """The file that the network was loaded from."""
    from yolact_ros.checkpoints.download import find_weights
    from yolact_ros.inference import shipped_weights

    path = arguments.weights or shipped_weights(segmenter.preset) or find_weights(segmenter.preset)
    assert path is not None  # or there were no segmenter
    return Path(path)


def describe(evaluation: Evaluation) -> str:
    """A few lines for people."""
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
        "mask AP of each class: "
        + ", ".join(f"{name} {_figure(ap).strip()}" for name, ap in classes),
        f"at score {point.score:g}: recall {point.recall:.3f}, precision {point.precision:.3f}, "
        f"mean mask IoU {point.mean_iou:.3f}",
        f"median time an image: {total[len(total) // 2]:.1f} ms",
    ]
    return "\n".join(lines)


def _figure(value: float) -> str:
    return f"{'-':>7}" if value < 0 else f"{value:7.3f}"
