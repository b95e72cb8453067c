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

Segmentation = Sequence[Sequence[float]] | Mapping[str, Any]
"""Polygons (x1, y1, x2, y2, ... in pixels), or run lengths, compressed or not."""


@dataclass(frozen=True)
class CocoObject:
    """One annotation.

    Attributes:
        id: The annotation's id in the file.
        class_id: 0-based, background not counted: the position of the category among all, by id.
        box: x1, y1, x2, y2 in pixels, as the file has it.
        segmentation: As the file has it.
        crowd: Whether it is a region where objects are not told apart.
        area: In pixels, as the file has it.
    """

    id: int
    class_id: int
    box: tuple[float, float, float, float]
    segmentation: Segmentation
    crowd: bool
    area: float


@dataclass(frozen=True)
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
        content: The file's content, as COCO's tools take it.
    """

    annotation_file: Path
    image_folder: Path
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    images: tuple[CocoImage, ...]
    content: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.images)

    def read_image(self, image: CocoImage) -> npt.NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB, as stored: the orientation in EXIF data is not applied, as in COCO.

        Raises:
            ValueError: The file cannot be read or has another size than the annotations say.
        """
        path = self.image_folder / image.file_name
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if pixels is None:
            raise ValueError(f"{path}: expected an image, got something that cannot be read")
        if pixels.shape[:2] != (image.height, image.width):
            raise ValueError(
                f"{path}: expected {image.width}x{image.height} pixels as in "
                f"{self.annotation_file}, got {pixels.shape[1]}x{pixels.shape[0]}"
            )
        rgb: npt.NDArray[np.uint8] = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
        return rgb


def decode_segmentation(
    segmentation: Segmentation, height: int, width: int
) -> npt.NDArray[np.uint8]:
    """Polygons or run lengths to an (H, W) uint8 mask of 0 and 1, as COCO's tools rasterise them."""
    if not isinstance(segmentation, Mapping):
        runs = coco_mask.merge(coco_mask.frPyObjects(list(segmentation), height, width))
    elif isinstance(segmentation["counts"], list):
        runs = coco_mask.frPyObjects(dict(segmentation), height, width)
    else:
        runs = dict(segmentation)
    mask: npt.NDArray[np.uint8] = coco_mask.decode(runs)
    return mask


def dataset_from_content(
    content: Mapping[str, Any], annotation_file: Path, image_folder: Path
) -> CocoDataset:
    """Arranges a file's content that has no problems."""
    categories = sorted(content["categories"], key=lambda category: category["id"])
    class_ids = {category["id"]: index for index, category in enumerate(categories)}
    objects: dict[int, list[CocoObject]] = {image["id"]: [] for image in content["images"]}
    for annotation in content["annotations"]:
        x, y, width, height = annotation["bbox"]
        objects[annotation["image_id"]].append(
            CocoObject(
                id=annotation["id"],
                class_id=class_ids[annotation["category_id"]],
                box=(x, y, x + width, y + height),
                segmentation=annotation["segmentation"],
                crowd=bool(annotation.get("iscrowd", 0)),
                area=annotation.get("area", width * height),
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
        content=content,
    )
