# SPDX-License-Identifier: Apache-2.0
"""Small data sets in COCO's format."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from yolact_ros.datasets.coco import CocoDataset, dataset_from_content


def coco_content(
    sizes: Iterable[tuple[int, int]],
    categories: Mapping[int, str],
    annotations: Iterable[Mapping[str, Any]],
) -> dict[str, Any]:
    """What an annotation file says of images 1.png, 2.png... of the given (height, width).

    Annotations without an id are counted from 0, which pycocotools alone would never find.
    """
    return {
        "images": [
            {"id": number, "file_name": f"{number}.png", "width": width, "height": height}
            for number, (height, width) in enumerate(sizes, 1)
        ],
        "categories": [{"id": number, "name": name} for number, name in categories.items()],
        "annotations": [{"id": index, **each} for index, each in enumerate(annotations)],
    }


def write_pictures(folder: Path, images: Sequence[np.ndarray]) -> None:
    """Write RGB images as 1.png, 2.png..."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images, 1):
        assert cv2.imwrite(str(folder / f"{number}.png"), image[..., ::-1])


def write_dataset(
    folder: Path,
    images: Sequence[np.ndarray],
    categories: Mapping[int, str],
    annotations: Iterable[Mapping[str, Any]],
) -> CocoDataset:
    """A data set of RGB images, written to the folder, and of annotations, which are not."""
    write_pictures(folder, images)
    content = coco_content([image.shape[:2] for image in images], categories, annotations)
    return dataset_from_content(content, folder / "annotations.json", folder)
