# SPDX-License-Identifier: Apache-2.0
"""Data sets in COCO's format: a JSON file of annotations beside a folder of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from yolact_ros.datasets.problems import DatasetError, find_problems, read_content
from yolact_ros.errors import InputError

Segmentation = Sequence[Sequence[float] | npt.NDArray[np.float64]] | Mapping[str, Any]
"""Polygons (x1, y1, x2, y2, ... in pixels), or run lengths, compressed or not."""


@dataclass(frozen=True, slots=True)
class CocoObject:
    """One annotation.

    Attributes:
        id: The annotation's id in the file.
        class_id: 0-based, background not counted: the position of the category among all, by id.
        box: x1, y1, x2, y2 in pixels, as the file has it; where it has none, about the outline.
        segmentation: Polygons as arrays, or compressed run lengths.
        crowd: Whether it is a region where objects are not told apart.
        area: In pixels, as the file has it; where it has none, the mask's.
    """

    id: int
    class_id: int
    box: tuple[float, float, float, float]
    segmentation: Segmentation
    crowd: bool
    area: float


@dataclass(frozen=True, slots=True)
class CocoImage:
    """One image with its annotations.

    Attributes:
        id: The image's id in the file.
        file_name: Relative to the folder of images.
        width, height: In pixels.
        objects: Annotations in the order of the file, crowds among them.
    """

    id: int
    file_name: str
    width: int
    height: int
    objects: tuple[CocoObject, ...]


@dataclass(frozen=True)
class CocoDataset:
    """A data set in COCO's format, without problems (see `find_problems`).

    Attributes:
        annotation_file: The JSON file.
        image_folder: What the images' file names are relative to.
        class_names: By class id.
        category_ids: The file's category id of each class id, ascending.
        images: In the order of the file.
    """

    annotation_file: Path
    image_folder: Path
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    images: tuple[CocoImage, ...]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def content(self) -> dict[str, Any]:
        """What COCO's tools and JSON take, made anew at each call.

        The file's other fields, which no tool of ours reads, are not in it.
        """
        annotations = [
            {
                "id": thing.id,
                "image_id": image.id,
                "category_id": self.category_ids[thing.class_id],
                "bbox": _corner_and_size(thing.box),
                "area": thing.area,
                "iscrowd": int(thing.crowd),
                "segmentation": _json_segmentation(thing.segmentation),
            }
            for image in self.images
            for thing in image.objects
        ]
        images = [
            {"id": image.id, "file_name": image.file_name, "width": image.width,
             "height": image.height}
            for image in self.images
        ]  # fmt: skip
        categories = [
            {"id": category_id, "name": name}
            for category_id, name in zip(self.category_ids, self.class_names, strict=True)
        ]
        return {"images": images, "annotations": annotations, "categories": categories}

    def read_image(self, image: CocoImage) -> npt.NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB, as stored: the orientation in EXIF data is not applied, as in COCO.

        Raises:
            ValueError: The file cannot be read or has another size than the annotations say.
        """
        path = self.image_folder / image.file_name
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if pixels is None:
            raise InputError(f"{path}: expected an image, got something that cannot be read")
        if pixels.shape[:2] != (image.height, image.width):
            raise InputError(
                f"{path}: expected {image.width}x{image.height} pixels as in "
                f"{self.annotation_file}, got {pixels.shape[1]}x{pixels.shape[0]}"
            )
        rgb: npt.NDArray[np.uint8] = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
        return rgb


def read_dataset(annotations: Path, images: Path) -> CocoDataset:
    """Reads a data set, after looking for problems.

    Args:
        annotations: The JSON file.
        images: The folder that the images' file names are relative to.

    Raises:
        DatasetError: It cannot be trained or measured on; names the file and the first annotations.
    """
    content = read_content(annotations)
    problems = find_problems(content, images)
    if problems:
        raise DatasetError(annotations, problems)
    return dataset_from_content(content, annotations, images)


def decode_segmentation(
    segmentation: Segmentation, height: int, width: int
) -> npt.NDArray[np.uint8]:
    """Polygons or run lengths to an (H, W) uint8 mask of 0 and 1, as COCO's tools rasterise them.

    Polygons are joined: a pixel that lies in several is 1.
    """
    mask: npt.NDArray[np.uint8] = coco_mask.decode(_run_lengths(segmentation, height, width))
    return mask


def dataset_from_content(
    content: Mapping[str, Any], annotation_file: Path, image_folder: Path
) -> CocoDataset:
    """Arranges a file's content that has no problems."""
    categories = sorted(content["categories"], key=lambda category: category["id"])
    class_ids = {category["id"]: index for index, category in enumerate(categories)}
    sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    objects: dict[int, list[CocoObject]] = {image["id"]: [] for image in content["images"]}
    for annotation in content["annotations"]:
        size = sizes[annotation["image_id"]]
        segmentation = _compact(annotation["segmentation"], *size)
        box = annotation.get("bbox") or _enclosing_box(segmentation)
        x, y, width, height = box
        area = annotation.get("area")
        if area is None:
            area = float(coco_mask.area(_run_lengths(segmentation, *size)))
        objects[annotation["image_id"]].append(
            CocoObject(
                id=annotation["id"],
                class_id=class_ids[annotation["category_id"]],
                box=(x, y, x + width, y + height),
                segmentation=segmentation,
                crowd=bool(annotation.get("iscrowd", 0)),
                area=area,
            )
        )
    return CocoDataset(
        annotation_file=annotation_file,
        image_folder=image_folder,
        class_names=tuple(category["name"] for category in categories),
        category_ids=tuple(category["id"] for category in categories),
        images=tuple(
            CocoImage(
                id=image["id"],
                file_name=image["file_name"],
                width=image["width"],
                height=image["height"],
                objects=tuple(objects[image["id"]]),
            )
            for image in content["images"]
        ),
    )


def _run_lengths(segmentation: Segmentation, height: int, width: int) -> dict[str, Any]:
    """Compressed run lengths of all of it."""
    if isinstance(segmentation, Mapping):
        runs = dict(segmentation)
        if isinstance(runs["counts"], list):
            runs = coco_mask.frPyObjects(runs, height, width)
        return runs
    polygons = [np.asarray(polygon, float).tolist() for polygon in segmentation]
    joined: dict[str, Any] = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
    return joined


def _compact(segmentation: Segmentation, height: int, width: int) -> Segmentation:
    """The same in less memory: a list of Python's numbers takes four times that of an array."""
    if not isinstance(segmentation, Mapping):
        return tuple(np.array(polygon, np.float64) for polygon in segmentation)
    counts = _run_lengths(segmentation, height, width)["counts"]
    text = counts if isinstance(counts, str) else counts.decode("ascii")
    return {"size": [height, width], "counts": text}


def _json_segmentation(segmentation: Segmentation) -> list[list[float]] | dict[str, Any]:
    if isinstance(segmentation, Mapping):
        return dict(segmentation)
    return [np.asarray(polygon).tolist() for polygon in segmentation]


def _enclosing_box(segmentation: Segmentation) -> list[float]:
    """x, y, width, height."""
    if isinstance(segmentation, Mapping):
        box: list[float] = coco_mask.toBbox(segmentation).tolist()
        return box
    points = np.concatenate([np.reshape(polygon, (-1, 2)) for polygon in segmentation])
    left, top = points.min(axis=0).tolist()
    right, bottom = points.max(axis=0).tolist()
    return _corner_and_size((left, top, right, bottom))


def _corner_and_size(box: tuple[float, float, float, float]) -> list[float]:
    x1, y1, x2, y2 = box
    return [x1, y1, x2 - x1, y2 - y1]
