# SPDX-License-Identifier: Apache-2.0
"""Reads the labels of any of the known formats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from yolact_ros.errors import InputError

from .collection import Imported
from .labelme import is_labelme, read_labelme
from .mask_files import MASK_SUFFIXES
from .masks import read_masks
from .voc import is_voc, read_voc
from .yolo import description_of, is_yolo, read_yolo

_LOOKED_AT = 20  # files of a kind, to tell what they are


def read_labels(
    source: Path,
    label_format: str,
    *,
    images: Path | None,
    embedded: Path,
    part: str | None,
    class_names: Sequence[str],
    separate: bool,
) -> Imported:
    """Read another tool's labels.

    Args:
        source: A folder or a file.
        label_format: One of `choices.LABEL_FORMATS`; "auto": what the files look like.
        images: Folder of the pictures, where the labels do not say it.
        embedded: Folder to write pictures to that are within LabelMe's files alone.
        part: Part of the data set to read, for "yolo" and "voc"; None: all.
        class_names: Names of the classes, for all but "labelme".
        separate: Whether connected parts are objects of their own, for "masks".

    Raises:
        InputError: The format is none of these, an option does not belong to it or is missing, or
            there is no labelled picture.
    """
    if label_format == "auto":
        label_format = _format_of(source)
    for option, given, formats in (
        ("--part", part is not None, ("yolo", "voc")),
        ("--class-names", bool(class_names), ("yolo", "voc", "masks")),
        ("--separate", separate, ("masks",)),
    ):
        if given and label_format not in formats:
            raise InputError(
                f"{option}: expected labels of the format {' or '.join(formats)}, "
                f"got {label_format}"
            )
    if label_format == "labelme":
        return read_labelme(source, images, embedded)
    if label_format == "yolo":
        return read_yolo(source, images, part=part, class_names=class_names)
    if label_format == "voc":
        return read_voc(source, images, part=part, class_names=class_names)
    if images is None:
        raise InputError("--images: expected the folder of the pictures of these masks, got none")
    return read_masks(source, images, class_names=class_names, separate=separate)


def _format_of(source: Path) -> str:
    """Tell the format from the files."""
    files = [source] if source.is_file() else list(islice(source.rglob("*.json"), _LOOKED_AT))
    contents = [_json_content(file) for file in files if file.suffix.lower() == ".json"]
    if any(is_labelme(content) for content in contents):
        return "labelme"
    if is_voc(source):
        return "voc"
    if description_of(source) or is_yolo(source):
        return "yolo"
    if any(isinstance(each, dict) and "annotations" in each for each in contents):
        raise InputError(
            f"{source}: expected another tool's labels, got a file in COCO's format, which all "
            "commands read as it is"
        )
    if source.is_dir() and any(p.suffix.lower() in MASK_SUFFIXES for p in source.rglob("*")):
        return "masks"
    raise InputError(
        f"{source}: expected LabelMe's JSON files, YOLO's text files, Pascal VOC's folders or mask "
        "files, found none of them"
    )


def _json_content(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
