# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros predict`: overlay pictures or videos, and results in COCO's formats."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolact_ros.errors import InputError

from .options import build_segmenter, segmenter_options, shared

if TYPE_CHECKING:
    from yolact_ros.inference import Segmenter

    from .prediction.known_images import KnownImages
    from .prediction.overlays import Report
    from .prediction.result_files import Predictions
    from .prediction.sources import Source
    from .prediction.tasks import Task


def register(commands: Any) -> None:
    """Add the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "predict",
        help="segment images, folders of images and videos",
        description="Segment images, folders of images and videos. Writes to the output folder, "
        "image by image: the overlays, results.json (COCO results format, masks as RLE) and "
        "images.json (the file of each image id); or, with --format coco, a data set. The exit "
        "status is 0 if all files were read whole, 1 if not or if writing failed, and 130 or 143 "
        "after Ctrl-C or SIGTERM; what was found until then is there. To compare results with "
        "labels, see `yolact-ros eval`, or keep the ids of the labels' file (--annotations).",
        examples=(
            "yolact-ros predict picture.png pictures/ video.mp4 --out predictions",
            "yolact-ros predict picture.png --preset yolact_base --classes person car",
            "yolact-ros predict video.mp4 --format coco --out prelabelled",
        ),
        parents=[
            shared(
                *("--out", "--quiet", "--annotations"),
                out={"required": False, "default": Path("predictions")},
                annotations={
                    "required": False,
                    "help": "Data set in COCO format whose images are segmented under its image "
                    "and category ids; it needs no annotations, and other inputs are left out.",
                },
            ),
            *segmenter_options(score_threshold=0.3),
        ],
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        type=str,  # a Path would change addresses, which get an answer of their own
        metavar="INPUT",
        help="Image, video, or folder to search for them with all its subfolders.",
    )
    parser.add_argument(
        "--no-overlay", action="store_true", help="Write the results alone, no overlays."
    )
    parser.add_argument(
        "--format",
        choices=("results", "coco"),
        default="results",
        help="Write results for programs, or a data set to look at and correct in an annotation "
        "tool: annotations.json, and in images/ the pictures and the videos' frames.",
    )
    parser.add_argument(
        "--outlines",
        choices=("polygons", "rle"),
        default="polygons",
        help="Masks in a data set: polygons, which tools edit best and which fill holes, or run "
        "lengths.",
    )
    parser.add_argument(
        "--force", action="store_true", help="Replace a data set's annotations.json if it exists."
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; `description` tells the exit status."""
    # FFmpeg prints what it cannot do; it is said below, with the file's name.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    from .prediction.known_images import KnownImages
    from .prediction.overlays import Report

    report = Report()
    known = KnownImages(arguments.annotations) if arguments.annotations else None
    tasks = _plan(arguments, known, report)
    segmenter = build_segmenter(arguments)
    category_ids = _category_ids(segmenter, known)
    arguments.out.mkdir(parents=True, exist_ok=True)
    with closing(_open_predictions(arguments, category_ids)) as predictions:
        status = _predict_all(arguments, segmenter, category_ids, tasks, predictions, report)
    report.print_failures()
    return status


def _plan(arguments: argparse.Namespace, known: KnownImages | None, report: Report) -> list[Task]:
    """Find the inputs and choose the outputs, before the network is loaded."""
    from .prediction.sources import find_sources
    from .prediction.tasks import plan_tasks

    data_set = arguments.format == "coco"
    written = ["annotations.json"] if data_set else ["results.json", "images.json"]
    for path in (arguments.out / name for name in written):
        if arguments.annotations and path.resolve() == arguments.annotations.resolve():
            raise InputError(f"--out: expected a folder without the file {path}, which is read")
        if data_set and path.exists() and not arguments.force:
            raise InputError(
                f"--out: expected a folder without a data set, got {path}; --force replaces it"
            )
    found = find_sources(arguments.inputs, arguments.out)
    for note in found.notes():
        report.note(note)
    sources: Sequence[tuple[Source, dict[str, Any] | None]]
    if known is None:
        sources = [(source, None) for source in found.sources]
    else:
        sources = known.select(found.sources)
        left_out = len(found.sources) - len(sources)
        if left_out:
            report.note(f"{left_out} inputs left out that {known.path} does not list")
        if known.not_found:
            report.note(f"{known.not_found} images of {known.path} are not in the inputs")
    return plan_tasks(sources, arguments.out, overlays=not arguments.no_overlay, data_set=data_set)


def _category_ids(segmenter: Segmenter, known: KnownImages | None) -> dict[str, int]:
    """Return the category id of each class; the segmenter is restricted to those that have one."""
    if not known or not known.categories:
        return dict(zip(segmenter.class_names, segmenter.preset.category_ids, strict=True))
    ids = {category["name"]: category["id"] for category in known.categories}
    options = segmenter.options
    common = tuple(name for name in options.classes or segmenter.class_names if name in ids)
    if not common:
        raise InputError(
            f"--annotations: expected some categories of {known.path} among the network's "
            f"classes, got {', '.join(ids)}"
        )
    segmenter.options = replace(options, classes=common)
    return ids


def _open_predictions(arguments: argparse.Namespace, category_ids: dict[str, int]) -> Predictions:
    from .prediction.result_files import DataSetFile, ResultFiles

    if arguments.format == "results":
        return ResultFiles(arguments.out)
    return DataSetFile(
        arguments.out / "annotations.json",
        [{"id": number, "name": name} for name, number in category_ids.items()],
        polygons=arguments.outlines == "polygons",
    )


def _predict_all(
    arguments: argparse.Namespace,
    segmenter: Segmenter,
    category_ids: dict[str, int],
    tasks: list[Task],
    predictions: Predictions,
    report: Report,
) -> int:
    """Segment all inputs and return the exit status."""
    from tqdm import tqdm

    from .prediction.predictor import Predictor, count_images
    from .stopping import StopSignals

    total = count_images(tasks)
    with (
        tqdm(total=total, unit="image", disable=arguments.quiet, file=sys.stderr) as progress,
        StopSignals() as stop,
    ):
        predictor = Predictor(segmenter, category_ids, predictions, report, progress, stop)
        for task in tasks:
            try:
                predictor.predict(task)
            except InputError as error:
                report.failures.append(f"skipped: {error}")
            except OSError as error:
                report.failures.append(f"stopped: {error}")
                break
            if stop.number:
                report.failures.append(
                    f"stopped by {stop.number.name} after {predictor.images} of {total} images"
                )
                break
    print(f"{predictor.images} images, {predictor.instances} instances, results in {arguments.out}")
    return 128 + stop.number if stop.number else int(bool(report.failures))
