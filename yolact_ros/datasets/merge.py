# SPDX-License-Identifier: Apache-2.0
"""Joins several data sets to one."""

from __future__ import annotations

import json
from collections.abc import Collection, Container, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from yolact_ros.errors import InputError

from .classes import keep_classes
from .coco import CocoDataset, SoundContent, checked_content
from .first_images import first_images
from .paths import common_folder, relative_name
from .problems import read_content


class LabelledFolder(NamedTuple):
    """A data set to join.

    Attributes:
        annotation_file: Its file, for messages.
        content: The file's content, without errors.
        image_folder: Folder that its file names are relative to.
    """

    annotation_file: Path
    content: Mapping[str, Any]
    image_folder: Path


class Merged(NamedTuple):
    """The result of `merge_content`.

    Attributes:
        content: Of all files. Images and annotations are numbered anew, from 1.
        image_folder: Folder around all image folders, which the file names are relative to.
        shared: File names of the pictures that more than one of the files have.
        repeated: Annotations that were left out, as they were there already.
    """

    content: dict[str, Any]
    image_folder: Path
    shared: list[str]
    repeated: int


def merge_content(parts: Sequence[LabelledFolder]) -> Merged:
    """Join data sets.

    Classes are the same if their names are. A picture that several files have is one picture with
    the annotations of all. Other fields of images, but for licences, and of annotations stay.

    Args:
        parts: One or more.

    Raises:
        InputError: Two files state different sizes of a picture.
    """
    folder = common_folder(part.image_folder for part in parts)
    categories: dict[str, dict[str, Any]] = {}
    images: dict[str, dict[str, Any]] = {}
    annotations: list[dict[str, Any]] = []
    shared: dict[str, int] = {}
    for part in parts:
        category_ids = _add_categories(categories, part.content)
        image_ids = {}
        for image in part.content["images"]:
            name = relative_name(part.image_folder / image["file_name"], folder)
            number = len(images) + 1
            if name in images:
                number = shared[name] = images[name]["id"]
                _require_equal_sizes(images[name], image, part.annotation_file)
            # `license` would be a number in the list of another file
            entry = {key: value for key, value in image.items() if key != "license"}
            images.setdefault(name, {**entry, "id": number, "file_name": name})
            image_ids[image["id"]] = number
        annotations += (
            {
                **annotation,
                "image_id": image_ids[annotation["image_id"]],
                "category_id": category_ids[annotation["category_id"]],
            }
            for annotation in part.content["annotations"]
        )
    kept = _without_repeated(annotations, set(shared.values()))
    content = {
        "images": list(images.values()),
        "annotations": [{**entry, "id": number} for number, entry in enumerate(kept, start=1)],
        "categories": list(categories.values()),
    }
    return Merged(content, folder, list(shared), len(annotations) - len(kept))


def _without_repeated(
    annotations: Sequence[dict[str, Any]], shared: Container[int]
) -> list[dict[str, Any]]:
    """Leave out the annotations of shared pictures that say the same as one before."""
    seen: set[str] = set()
    kept = []
    for entry in annotations:
        if entry["image_id"] in shared:
            outline = [entry["segmentation"], bool(entry.get("iscrowd"))]
            key = json.dumps([entry["image_id"], entry["category_id"], *outline])
            if key in seen:
                continue
            seen.add(key)
        kept.append(entry)
    return kept


def _add_categories(
    categories: dict[str, dict[str, Any]], content: Mapping[str, Any]
) -> dict[int, int]:
    """Add the classes of a file; return the new id of each of its ids.

    The first file's ids stay; what later ones add is numbered on.
    """
    first = not categories
    new_ids = {}
    for category in sorted(content["categories"], key=lambda each: each["id"]):
        if category["name"] not in categories:
            following = max((each["id"] for each in categories.values()), default=0) + 1
            number = category["id"] if first else following
            categories[category["name"]] = {**category, "id": number}
        new_ids[category["id"]] = categories[category["name"]]["id"]
    return new_ids


def _require_equal_sizes(one: Mapping[str, Any], other: Mapping[str, Any], file: Path) -> None:
    sizes = [f"{entry['width']}x{entry['height']}" for entry in (one, other)]
    if sizes[0] != sizes[1]:
        raise InputError(
            f"{file}: expected {sizes[0]} pixels for {one['file_name']} as in a file before it, "
            f"got {sizes[1]}"
        )


def read_labelled_folders(
    annotations: Sequence[Path], images: Sequence[Path], classes: Collection[str] = ()
) -> list[LabelledFolder]:
    """Read the files to join, without a check.

    Args:
        annotations: The files.
        images: The image folder of each, or one of all.
        classes: Names of the classes to keep; none: all.

    Raises:
        DatasetError: A file is not in COCO's format.
        InputError: The folders do not fit the files, or the classes are not there.
    """
    if len(images) not in (1, len(annotations)):
        raise InputError(
            f"images: expected one folder, or one for each of {len(annotations)} files, got "
            f"{len(images)}"
        )
    folders = list(images) * (len(annotations) if len(images) == 1 else 1)
    contents = keep_classes([read_content(file) for file in annotations], classes)
    return list(map(LabelledFolder, annotations, contents, folders))


def read_datasets(
    annotations: Sequence[Path],
    images: Sequence[Path],
    classes: Collection[str] = (),
    *,
    mend: bool = False,
    limit: int | None = None,
) -> CocoDataset:
    """Read one or more data sets as one, with the checks of `read_dataset`.

    Several are joined as by `merge_content`; their `annotation_file` is the first.

    Args:
        annotations: The files.
        images: The image folder of each, or one of all.
        classes: Names of the classes to keep; none: all.
        mend: As for `read_dataset`.
        limit: Number of images of each file to take, the first ones; None: all. What is said of the
            others is not checked, and their files are not looked at.

    Raises:
        DatasetError: A file has errors.
        InputError: The folders do not fit the files, or the classes are not there.
    """
    return sound_content(annotations, images, classes, mend=mend, limit=limit).dataset()


def sound_content(
    annotations: Sequence[Path],
    images: Sequence[Path],
    classes: Collection[str] = (),
    *,
    mend: bool = False,
    limit: int | None = None,
) -> SoundContent:
    """Read and check as `read_datasets` does, without the conversion."""
    parts = [
        checked_content(
            part.content if limit is None else first_images(part.content, limit),
            part.annotation_file,
            part.image_folder,
            mend=mend,
        )
        for part in read_labelled_folders(annotations, images, classes)
    ]
    if len(parts) == 1:
        return parts[0]
    merged = merge_content(
        [LabelledFolder(each.annotation_file, each.content, each.image_folder) for each in parts]
    )
    return SoundContent(
        merged.content,
        annotations[0],
        merged.image_folder,
        turned=sum(each.turned for each in parts),
        mended=tuple(line for each in parts for line in each.mended),
        passed_over=tuple(path for each in parts for path in each.passed_over),
    )
