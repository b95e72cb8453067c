# SPDX-License-Identifier: Apache-2.0
"""Small sets of labels in the formats of other tools, as those write them."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .pictures import noise

SIZE = 48, 64
"""(height, width) of all pictures."""

Box = tuple[int, int, int, int]
"""x1, y1, x2, y2 in pixels, x2 and y2 exclusive."""


def write_picture(path: Path, seed: int = 0) -> Path:
    """Write a picture of random colours, and create its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(*SIZE, seed, block=8)).save(path)
    return path


def write_ids(path: Path, boxes: Sequence[tuple[Box, Any]], mode: str = "L") -> Path:
    """Write a mask file: boxes filled with a value, or a colour, each."""
    image = Image.new(mode, SIZE[::-1], 0)
    if mode == "P":
        image.putpalette([value for colour in range(256) for value in (colour, 255 - colour, 7)])
    for box, value in boxes:
        image.paste(value, box)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def corners(box: Box) -> list[list[float]]:
    """The corners of a box as points."""
    x1, y1, x2, y2 = box
    return [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]


def labelme_shape(label: str, points: Sequence[Sequence[float]], **others: Any) -> dict[str, Any]:
    """A shape as LabelMe writes it."""
    shape = {"label": label, "points": points, "group_id": None, "shape_type": "polygon",
             "flags": {}}  # fmt: skip
    return shape | others


def write_labelme(path: Path, shapes: Sequence[dict[str, Any]], **others: Any) -> Path:
    """Write a LabelMe file for the PNG of its name beside it."""
    height, width = SIZE
    content = {
        "version": "5.4.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": path.with_suffix(".png").name,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content | others))
    return path


def write_yolo(path: Path, boxes: Sequence[tuple[int, Box]]) -> Path:
    """Write YOLO's polygons of boxes with their classes."""
    sides = np.array(SIZE[::-1])
    lines = [
        " ".join([str(class_id), *(f"{number:.6f}" for number in (corners(box) / sides).flat)])
        for class_id, box in boxes
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines))
    return path


def write_cvat(path: Path, names: Sequence[str], boxes: Sequence[tuple[str, Box]]) -> Path:
    """Write the COCO export of CVAT of painted masks: run lengths, each marked as a crowd."""
    height, width = SIZE
    classes = list(dict.fromkeys(name for name, _ in boxes))
    annotations = []
    for image in range(1, len(names) + 1):
        for name, (x1, y1, x2, y2) in boxes:
            mask = np.zeros(SIZE, np.uint8)
            mask[y1:y2, x1:x2] = 1
            changes = np.flatnonzero(np.diff(mask.T.ravel(), prepend=0)).tolist()
            edges = [0, *changes, mask.size]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": classes.index(name) + 1,
                    "segmentation": {
                        "counts": [end - start for start, end in itertools.pairwise(edges)],
                        "size": [height, width],
                    },
                    "area": float((x2 - x1) * (y2 - y1)),
                    "bbox": [float(x1), float(y1), float(x2 - x1), float(y2 - y1)],
                    "iscrowd": 1,
                    "attributes": {"occluded": False},
                }
            )
    content = {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "info": {"contributor": "", "date_created": "", "description": "", "url": "",
                 "version": "", "year": ""},
        "categories": [
            {"id": number, "name": name, "supercategory": ""}
            for number, name in enumerate(classes, start=1)
        ],
        "images": [
            {"id": number, "width": width, "height": height, "file_name": name, "license": 0,
             "flickr_url": "", "coco_url": "", "date_captured": 0}
            for number, name in enumerate(names, start=1)
        ],
        "annotations": annotations,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path
