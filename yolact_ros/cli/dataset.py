# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros dataset`: data sets in COCO's format."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from yolact_ros.choices import (
    DEPTH_CAMERAS,
    EXTRA_KINDS,
    SCENE_KINDS,
    SHEET_PAGES,
    SHEET_PICTURES,
)
from yolact_ros.errors import InputError
from yolact_ros.presets import DEMO_CLASSES
from yolact_ros.provenance import usable_cores

from . import dataset_mend
from .dataset_import import register_import, register_merge
from .options import (
    ImageSize,
    Kind,
    existing_file,
    file_ending,
    natural,
    output_folder,
    parallel,
    positive_int,
    require_new,
    shared,
)


def register(commands: Any) -> None:
    """Add the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "dataset",
        help="import, check, mend, merge, split or render data sets in COCO format",
        description="Work on data sets in COCO format: a JSON file and a folder of images.",
        examples=(
            "yolact-ros dataset check labels.json --images pictures",
            "yolact-ros dataset mend labels.json --images pictures --out clean.json",
            "yolact-ros dataset synth scenes --images 100",
        ),
    )
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    register_import(actions)
    _register_check(actions)
    dataset_mend.register(actions)
    register_merge(actions)
    _register_split(actions)
    _register_synth(actions)


def _add_annotations(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "annotations",
        type=existing_file,
        metavar="JSON",
        help="Annotations of the data set, a JSON file in COCO format.",
    )


def _register_check(actions: Any) -> None:
    parser = actions.add_parser(
        "check",
        help="find problems, count objects, draw samples",
        description="Print the problems of a data set (training refuses errors and accepts "
        "warnings), with guesses at their origin, and the number and sizes of the objects of each "
        "class in the mended set. The exit status is 1 if there are errors.",
        examples=(
            "yolact-ros dataset check labels.json --images pictures",
            "yolact-ros dataset check labels.json --images pictures --out sheet.html --show 0",
        ),
        parents=[
            shared(
                "--images",
                "--classes",
                "--out",
                classes={"help": "Look at these classes only; unless given, all."},
                out={
                    "type": file_ending(*SHEET_PICTURES, *SHEET_PAGES),
                    "required": False,
                    "help": "Draw samples to this file: as one picture (.png, .jpg), or on a page "
                    "with tables (.html).",
                },
            )
        ],
    )
    dataset_mend.add_reading(parser)
    parser.add_argument(
        "--samples", type=positive_int, default=12, help="Number of images to draw as samples."
    )
    parser.add_argument(
        "--show", type=natural, default=10, help="Problems of each kind to print; 0 for all."
    )
    parser.set_defaults(run=run_check)


def run_check(arguments: argparse.Namespace) -> int:
    """Run `dataset check`."""
    from yolact_ros.datasets.coco import dataset_from_content
    from yolact_ros.datasets.statistics import statistics_of
    from yolact_ros.datasets.warnings import find_warnings

    from .dataset_page import write_page
    from .dataset_text import headline, problem_lines, statistics_lines, verdict

    examined = dataset_mend.examined(arguments)
    dataset = dataset_from_content(examined.sound, arguments.annotations, arguments.images)
    problems = examined.problems + find_warnings(dataset, examined.pictures, examined.emptied)
    statistics = statistics_of(dataset)
    for line in problem_lines(problems, examined.hints, arguments.show):
        print(line)
    if examined.remarks():
        print(f"mended: {examined.kept}")
    print(headline(dataset, statistics))
    for line in statistics_lines(statistics):
        print(line)
    if arguments.out is not None:
        write_page(
            arguments.out,
            dataset,
            statistics,
            problems,
            examined.hints,
            samples=arguments.samples,
        )
        print(f"samples in {arguments.out}")
    print(verdict(problems, mendable=examined.mendable))
    return int(any(problem.fatal for problem in problems))


def _register_split(actions: Any) -> None:
    parser = actions.add_parser(
        "split",
        help="divide the images into training and validation data",
        description="Write a JSON file for each part. An image is in one part with all its "
        "annotations, and every class is spread evenly over the parts as far as possible. The "
        "images stay where they are.",
        examples=(
            "yolact-ros dataset split labels.json --out parts",
            "yolact-ros dataset split labels.json --out parts --parts train=0.7 val=0.2 test=0.1",
            "yolact-ros dataset split labels.json --out parts --by recording --images pictures",
        ),
        parents=[
            shared(
                "--out",
                "--seed",
                "--images",
                "--classes",
                out={"help": "Folder to write to, one NAME.json per part."},
                images={
                    "required": False,
                    "help": "Folder of the images, to keep equal ones together; unless given, they "
                    "are not looked at.",
                },
                classes={"help": "Take these classes only; unless given, all are taken."},
            )
        ],
    )
    _add_annotations(parser)
    parser.add_argument(
        "--parts",
        type=Kind(
            "NAME=SHARE",
            Part.parse,
            "NAME=SHARE, such as train=0.8",
            lambda part: 0 < part.share < math.inf,
        ),
        nargs="+",
        default=[Part("train", 0.8), Part("val", 0.2)],
        help="Names and shares of the parts; the shares are divided by their sum.",
    )
    parser.add_argument(
        "--by",
        type=Kind("GROUP", _grouping, "recording, folder or a regular expression"),
        help="Keep images together: recording (names that differ in the number at the end alone), "
        "folder (of the file), or a regular expression (of which the group is what its brackets, "
        "or all of it, find in the file name).",
    )
    parser.set_defaults(run=run_split)


def _grouping(text: str) -> str:
    try:
        re.compile(text)
    except re.error:
        raise ValueError(text) from None
    return text


class Part(NamedTuple):
    """A part of a data set, typed and printed as NAME=SHARE."""

    name: str
    share: float

    @classmethod
    def parse(cls, text: str) -> Part:
        """Parse "train=0.8"; anything else raises ValueError."""
        name, _, share = text.partition("=")
        if not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
            raise ValueError(text)
        return cls(name, float(share))

    def __str__(self) -> str:
        return f"{self.name}={self.share:g}"


def run_split(arguments: argparse.Namespace) -> int:
    """Run `dataset split`."""
    from yolact_ros.datasets.classes import keep_classes
    from yolact_ros.datasets.problems import examine, read_content
    from yolact_ros.datasets.split import split_content
    from yolact_ros.datasets.writing import write_content

    from .dataset_text import split_lines, split_remarks

    shares = {part.name: part.share for part in arguments.parts}
    if len(shares) < len(arguments.parts):
        given = " ".join(map(str, arguments.parts))
        raise InputError(f"--parts: expected a different name for each part, got {given}")
    files = {name: arguments.out / f"{name}.json" for name in shares}
    for path in files.values():
        require_new(path)
    [content] = keep_classes([read_content(arguments.annotations)], arguments.classes)
    examined = examine(content, None)
    examined.require_use(arguments.annotations)
    groups = _groups(examined.sound["images"], arguments.by, arguments.images)
    parts = split_content(examined.sound, shares, seed=arguments.seed, groups=groups)
    for name, path in files.items():
        write_content(path, parts[name], "dataset split")
    for line in split_lines(parts):
        print(line)
    for line in split_remarks(parts, arguments.by):
        print(line)
    print(f"written: {', '.join(map(str, files.values()))}")
    return 0


def _groups(
    images: Sequence[Mapping[str, Any]], by: str | None, folder: Path | None
) -> list[str] | None:
    """Name the group of each image; None: each is for itself."""
    from yolact_ros.datasets.grouping import groups_by, join_equal_pictures

    if by is None and folder is None:
        return None
    groups = groups_by(images, by) if by else [str(image["id"]) for image in images]
    if folder is not None:
        groups, repeated = join_equal_pictures(images, groups, folder)
        if repeated:
            print(f"images that are there already, under another name: {repeated}; kept together")
    print(f"{len(images)} images in {len(set(groups))} groups that stay together")
    return groups


def _register_synth(actions: Any) -> None:
    parser = actions.add_parser(
        "synth",
        help="render synthetic scenes",
        description="Render synthetic RGB-D scenes with exact ground truth. Writes to OUT: "
        "images/*.png, depth/*.png (16 bits, millimetres, 0 where there is no depth) and "
        "annotations.json. The same command writes the same bytes.",
        examples=(
            "yolact-ros dataset synth scenes --images 4000",
            "yolact-ros dataset synth new --images 60 --seed 5000 --classes dumbbell mushroom",
            "yolact-ros dataset synth far --images 100 --distance 0.9-2 --depth-camera real",
        ),
        parents=[
            shared(
                "--seed",
                "--image-size",
                "--quiet",
                seed={"help": "Seed of the first scene; each further scene uses the next integer."},
                image_size={"default": ImageSize(width=640, height=480)},
            )
        ],
    )
    parser.add_argument(
        "out", type=output_folder, metavar="OUT", help="Folder to write to, empty or missing."
    )
    parser.add_argument(
        "--images", type=positive_int, required=True, help="Number of images, one per scene."
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        choices=(*DEMO_CLASSES, *EXTRA_KINDS),
        default=list(DEMO_CLASSES),
        metavar="NAME",
        help="Kinds of objects, with category ids 1, 2, ... in this order; some of %(choices)s.",
    )
    parser.add_argument(
        "--distance",
        type=Kind(
            "NEAR-FAR",
            _distances,
            "NEAR-FAR in metres from 0.3 to 3, such as 0.9-2",
            lambda distances: 0.3 <= distances[0] <= distances[1] <= 3,
        ),
        help="Least and greatest distance of the camera from the middle of the table in metres; "
        "unless given, 0.62 to 0.92.",
    )
    parser.add_argument(
        "--depth-camera",
        choices=DEPTH_CAMERAS,
        help="Flaws of the depth images; unless given, those of the scenes that trained the "
        "shipped network.",
    )
    parser.add_argument(
        "--scenes",
        choices=SCENE_KINDS,
        default="random",
        help="Things spread on a table (random), or passing before and behind one another (lanes).",
    )
    parser.add_argument(
        "--workers", type=parallel(1), help="Processes that render; unless given, one per core."
    )
    parser.set_defaults(run=run_synth)


def _distances(text: str) -> tuple[float, float]:
    near, _, far = text.partition("-")
    return float(near), float(far)


def run_synth(arguments: argparse.Namespace) -> int:
    """Run `dataset synth`."""
    from yolact_ros import __version__
    from yolact_ros.scenes.synth_set import SynthSet

    wanted = SynthSet(
        images=arguments.images,
        seed=arguments.seed,
        width=arguments.image_size.width,
        height=arguments.image_size.height,
        class_names=tuple(arguments.classes),
        distance=arguments.distance,
        depth_camera=arguments.depth_camera,
        kind=arguments.scenes,
    )
    path = wanted.write(
        arguments.out,
        workers=arguments.workers or usable_cores(),
        version=__version__,
        progress=not arguments.quiet,
    )
    print(f"{wanted.images} images of {', '.join(wanted.class_names)} in {path}")
    return 0
