# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros dataset import` and `merge`: other tools' labels, and several files, to one file."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yolact_ros.choices import LABEL_FORMATS

from .options import Kind, existing_file, existing_folder, require_new, shared

_SHOWN = 5  # places of each cause that are written out

_OUT_FILE: dict[str, Any] = {
    "type": Kind(
        "JSON", Path, "a file name that ends in .json", lambda path: path.suffix == ".json"
    ),
    "help": "File to write, in COCO format.",
}
_CLASSES: dict[str, Any] = {"help": "Take these classes only; unless given, all are taken."}


def register_import(actions: Any) -> None:
    """Add `dataset import` to `argparse`'s subparsers."""
    parser = actions.add_parser(
        "import",
        help="make a data set of another tool's labels",
        description="Write the labels of another tool to a JSON file in COCO format. The pictures "
        "stay where they are. What has no outline is left out and counted.",
        examples=(
            "yolact-ros dataset import labelled --out labels.json",
            "yolact-ros dataset import yolo/data.yaml --part train --out train.json",
            "yolact-ros dataset import masks --images pictures --class-names cup --out labels.json",
        ),
        parents=[
            shared(
                "--images",
                "--out",
                "--class-names",
                "--classes",
                "--force",
                images={
                    "required": False,
                    "help": "Folder of the pictures, if they are not where the labels say.",
                },
                out=_OUT_FILE,
                class_names={
                    "help": "YOLO and Pascal VOC: names of the classes in order, if the files do "
                    "not say. Masks: the class of all, or the classes to look for in their names."
                },
                classes=_CLASSES,
            )
        ],
    )
    parser.add_argument(
        "source",
        type=Kind("SOURCE", Path, "an existing file or folder", Path.exists),
        metavar="SOURCE",
        help="Folder of the labels, or LabelMe's JSON file or YOLO's data.yaml.",
    )
    parser.add_argument(
        "--format",
        choices=LABEL_FORMATS,
        default="auto",
        help="LabelMe's JSON files, YOLO's polygons, Pascal VOC's folders, or mask files: one "
        "with the numbers of all objects for each picture, or one for each object; auto tells "
        "from the files.",
    )
    parser.add_argument(
        "--part",
        type=Kind("NAME", str, "a name", lambda text: re.fullmatch(r"\w[\w.-]*", text) is not None),
        help="YOLO and Pascal VOC: take this part of the data set, such as train; unless given, "
        "all.",
    )
    parser.add_argument(
        "--separate",
        action="store_true",
        help="Masks: make an object of each connected part of a mask.",
    )
    parser.set_defaults(run=run_import)


def run_import(arguments: argparse.Namespace) -> int:
    """Run `dataset import`."""
    from yolact_ros.datasets.classes import keep_classes
    from yolact_ros.datasets.formats.reading import read_labels
    from yolact_ros.datasets.writing import write_content

    out: Path = arguments.out
    require_new(out, arguments.force)
    imported = read_labels(
        arguments.source,
        arguments.format,
        images=arguments.images,
        embedded=out.with_name(f"{out.stem}_pictures"),
        part=arguments.part,
        class_names=arguments.class_names,
        separate=arguments.separate,
    )
    [content] = keep_classes([imported.content], arguments.classes)
    write_content(out, content, "dataset import")
    for cause, places in imported.left_out.items():
        print(f"left out: {cause}: {len(places)}")
        for place in places[:_SHOWN]:
            print(f"  {place}")
        if len(places) > _SHOWN:
            print(f"  ... and {len(places) - _SHOWN} more")
    _print_written(content, imported.image_folder, out)
    return 0


def register_merge(actions: Any) -> None:
    """Add `dataset merge` to `argparse`'s subparsers."""
    parser = actions.add_parser(
        "merge",
        help="join several data sets to one",
        description="Write the labels of several data sets to one JSON file in COCO format. "
        "Classes of the same name are one class, and a picture that several files label is one "
        "picture with all their labels. The pictures stay where they are.",
        examples=(
            "yolact-ros dataset merge lab.json yard.json --images lab yard --out labels.json",
            "yolact-ros dataset merge cups.json spoons.json --images pictures --out labels.json",
        ),
        parents=[
            shared(
                "--images",
                "--out",
                "--classes",
                "--force",
                images={
                    "nargs": "+",
                    "type": existing_folder,
                    "help": "Folder of the images of each file, or one for all.",
                },
                out=_OUT_FILE,
                classes=_CLASSES,
            )
        ],
    )
    parser.add_argument(
        "annotations",
        nargs="+",
        type=existing_file,
        metavar="JSON",
        help="Annotations of the data sets, JSON files in COCO format.",
    )
    parser.set_defaults(run=run_merge)


def run_merge(arguments: argparse.Namespace) -> int:
    """Run `dataset merge`."""
    from yolact_ros.datasets.classes import names_alike
    from yolact_ros.datasets.merge import merge_content, read_labelled_folders
    from yolact_ros.datasets.problems import examine
    from yolact_ros.datasets.writing import write_content

    require_new(arguments.out, arguments.force)
    parts = read_labelled_folders(arguments.annotations, arguments.images, arguments.classes)
    sound = []
    for part in parts:
        examined = examine(part.content, part.image_folder)
        examined.require_use(part.annotation_file)
        sound.append(part._replace(content=examined.sound))
    merged = merge_content(sound)
    write_content(arguments.out, merged.content, "dataset merge")
    for names in names_alike(each["name"] for each in merged.content["categories"]):
        print(f"warning: classes that may be one: {' and '.join(map(repr, names))}")
    if merged.shared:
        print(
            f"pictures that several files label: {len(merged.shared)}, such as {merged.shared[0]}; "
            f"annotations that were there already: {merged.repeated}"
        )
    _print_written(merged.content, merged.image_folder, arguments.out)
    return 0


def _print_written(content: Mapping[str, Any], image_folder: Path, out: Path) -> None:
    """Say what a file holds, and which folder belongs to it."""
    names = [each["name"] for each in content["categories"]]
    images, objects = len(content["images"]), len(content["annotations"])
    print(f"{images} images, {objects} objects of {len(names)} classes: {', '.join(names)}")
    relative = os.path.relpath(image_folder)
    folder = image_folder if relative.startswith("..") else relative
    print(f"written: {out}; its images are in --images {folder}")
