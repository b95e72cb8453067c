# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros dataset mend`, and how `check` and `mend` read a data set."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from .options import existing_file, file_ending, require_new, shared

if TYPE_CHECKING:
    from yolact_ros.datasets.problems import Examination


def register(actions: Any) -> None:
    """Add the action to the subparsers of `dataset`."""
    parser = actions.add_parser(
        "mend",
        help="write the set without its errors",
        description="Write a JSON file of what can be used of a data set: what `check` names as "
        "an error is left out or put right, and counted by cause. The images stay where they are.",
        examples=(
            "yolact-ros dataset mend labels.json --images pictures --out clean.json",
            "yolact-ros dataset mend cvat.json --images pictures --out clean.json "
            "--crowds-as-objects",
        ),
        parents=[
            shared(
                "--images",
                "--classes",
                "--out",
                classes={"help": "Keep these classes only; unless given, all."},
                out={
                    "type": file_ending(".json"),
                    "help": "JSON file to write, which must be new.",
                },
            )
        ],
    )
    add_reading(parser)
    parser.set_defaults(run=run)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the data set's file and what it lacks."""
    parser.add_argument(
        "annotations",
        type=existing_file,
        metavar="JSON",
        help="Annotations of the data set, a JSON file in COCO format.",
    )
    parser.add_argument(
        "--class-names",
        nargs="+",
        default=(),
        metavar="NAME",
        help="Classes of a file without categories, in the order of the ids that it uses, which "
        "begin at 0 or 1.",
    )
    parser.add_argument(
        "--crowds-as-objects",
        action="store_true",
        help="Read crowd regions (iscrowd 1) as objects: for files of CVAT, which marks each "
        "painted mask so.",
    )


def examined(arguments: argparse.Namespace) -> Examination:
    """Examine the data set that the arguments describe."""
    from yolact_ros.datasets.classes import keep_classes
    from yolact_ros.datasets.problems import examine, read_content

    content = read_content(arguments.annotations, arguments.class_names)
    [content] = keep_classes([content], arguments.classes)
    return examine(
        content, arguments.images, mend=True, crowds_as_objects=arguments.crowds_as_objects
    )


def run(arguments: argparse.Namespace) -> int:
    """Run `dataset mend`."""
    from yolact_ros.datasets.mending.completion import completed
    from yolact_ros.datasets.writing import write_content

    require_new(arguments.out)
    examination = examined(arguments)
    examination.require_use(arguments.annotations, mend=True)
    write_content(arguments.out, completed(examination.sound), "dataset mend")
    for remark in examination.remarks() or ("nothing had to be mended",):
        print(remark)
    print(f"kept: {examination.kept}")
    print(f"written: {arguments.out}")
    return 0
