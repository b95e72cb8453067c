# SPDX-License-Identifier: Apache-2.0
"""What is strange in a data set is named once, and what is usual is not."""

from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from yolact_ros.datasets.coco import dataset_from_content
from yolact_ros.datasets.pictures import look_at_all
from yolact_ros.datasets.problems import Problem
from yolact_ros.datasets.warnings import find_warnings

SQUARE = [4, 4, 12, 4, 12, 12, 4, 12]
CORNER = {"size": [30, 40], "counts": [0, 5, 25, 5, 25, 5, 25, 5, 1105]}  # 4 columns of 5 rows


def warnings_of(folder: Path, *annotations: dict[str, Any], **fields: Any) -> list[Problem]:
    usual = {"iscrowd": 0, "category_id": 1, "image_id": 3, "segmentation": [SQUARE]}
    content = {
        "images": [
            {"id": 3, "file_name": "a.png", "width": 40, "height": 30},
            {"id": 5, "file_name": "b.png", "width": 40, "height": 30},
        ],
        "categories": [{"id": 1, "name": "cup"}],
        "annotations": [
            usual | {"image_id": 5, "id": 1},
            usual | {"id": 2},
            *(usual | annotation | {"id": 3 + i} for i, annotation in enumerate(annotations)),
        ],
    } | fields
    dataset = dataset_from_content(content, folder / "x.json", folder)
    names = {image.id: image.file_name for image in dataset.images}
    return find_warnings(dataset, look_at_all(names, folder)[0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for value, name in enumerate(("a.png", "b.png", "c.png")):
        cv2.imwrite(str(tmp_path / name), np.full((30, 40, 3), 40 * value, np.uint8))
    return tmp_path


def test_the_usual_is_not_strange(folder: Path) -> None:
    other = [20, 4, 28.5, 4, 28.5, 12.5]
    assert not warnings_of(
        folder,
        {"segmentation": [other], "bbox": [19, 4, 10, 9]},
        {"segmentation": [[-0.9, 1, 40.9, 1, 40.9, 30.9]]},
        {"segmentation": [[-0.9, 0, 40, 0, 40, 30]], "bbox": [1.5, 2, 36.5, 26]},
        {"segmentation": [[4, 5, 14, 5, 14, 15]], "bbox": [8, 9, 2, 2], "iscrowd": 1},
        {"segmentation": CORNER, "iscrowd": 1, "area": 2},
    )


@pytest.mark.parametrize(
    ("annotation", "kind", "text"),
    [
        (
            {"segmentation": [[20, 4, 45, 4, 45, 12]]},
            "outlines beyond the image",
            "expected a polygon within 40x30 pixels, got x 20 to 45, y 4 to 12",
        ),
        (
            {"segmentation": [[4, 4, 7, 4, 7, 9]], "area": 7.5},
            "tiny objects",
            "expected 16 pixels or more, got 7.5",
        ),
        (
            {},
            "duplicate annotations",
            "expected an object of its own, got that of annotation 2 again",
        ),
    ],
)  # fmt: skip
def test_a_strange_annotation_is_named(
    folder: Path, annotation: dict[str, Any], kind: str, text: str
) -> None:
    [warning] = warnings_of(folder, annotation)
    assert warning == Problem(kind, "annotation 3 (image 3, a.png)", text, fatal=False)


@pytest.mark.parametrize(
    ("box", "found"),
    [
        ([10.5, 5, 27.5, 20], "x 10.5 to 38, y 5 to 25"),
        ([8, 5, 27.5, 20], "x 8 to 35.5, y 5 to 25"),
        ([8, 7.5, 30, 17.5], "x 8 to 38, y 7.5 to 25"),
        ([8, 5, 30, 17.5], "x 8 to 38, y 5 to 22.5"),
    ],
)
def test_a_box_that_cuts_its_outline_is_named(folder: Path, box: list[float], found: str) -> None:
    outline = [8, 5, 38, 5, 38, 25]
    [warning] = warnings_of(folder, {"segmentation": [outline], "bbox": box})
    assert (warning.kind, warning.fatal) == ("boxes tighter than outlines", False)
    assert warning.text.startswith(f"expected a box around x 8 to 38, y 5 to 25, got {found}: ")


def test_boxes_as_outlines_are_named(folder: Path) -> None:
    boxes = [
        {"segmentation": [[x, 1, x + 4, 1, x + 4, 9, x, 9, x, 1]], "category_id": 1}
        for x in range(20, 36, 2)
    ]
    [warning] = warnings_of(folder, *boxes)
    assert warning.kind == "outlines that are boxes"
    assert (
        str(warning) == "expected outlines of objects, got 10 rectangles: masks will be boxes, too"
    )
    boxes[4]["segmentation"] = [[28, 1, 32, 1, 32, 9, 27, 9]]
    assert not warnings_of(folder, *boxes)


def test_the_same_outline_in_another_class_or_image_is_no_duplicate(folder: Path) -> None:
    categories = [{"id": 1, "name": "cup"}, {"id": 2, "name": "mug"}]
    assert not warnings_of(folder, {"category_id": 2}, categories=categories)
    [warning] = warnings_of(folder, {"segmentation": CORNER}, {"segmentation": CORNER, "area": 20})
    assert warning.kind == "duplicate annotations"


def test_classes_without_objects_and_alike_ones_are_named(folder: Path) -> None:
    names = ("cup", "Cup ", "spoon")
    categories = [{"id": i, "name": name} for i, name in enumerate(names, 1)]
    found = {str(warning) for warning in warnings_of(folder, categories=categories)}
    assert found == {
        "category 2 (Cup ): expected objects, got none",
        "category 3 (spoon): expected objects, got none",
        "'cup' and 'Cup ': expected names that differ in more than case and spaces",
    }


def test_images_without_annotations_and_with_the_same_bytes_are_named(folder: Path) -> None:
    (folder / "c.png").write_bytes((folder / "a.png").read_bytes())
    images = [
        {"id": i, "file_name": f"{name}.png", "width": 40, "height": 30}
        for i, name in ((3, "a"), (5, "b"), (8, "c"), (9, "missing"))
    ]
    found = warnings_of(folder, images=images)
    assert Counter(warning.kind for warning in found) == {
        "images without annotations": 2, "duplicate pictures": 1
    }  # fmt: skip
    assert (
        str(found[-1]) == "image 8, c.png: expected another picture than a.png, got the same bytes"
    )


def test_a_picture_that_is_cut_off_is_named(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    path = folder / "noise.jpg"
    cv2.imwrite(str(path), noise)
    images = [
        {"id": 3, "file_name": path.name, "width": 160, "height": 120},
        {"id": 5, "file_name": "b.png", "width": 40, "height": 30},
    ]
    whole = path.read_bytes()
    path.write_bytes(whole + b"and something after the end")
    assert not warnings_of(folder, images=images)
    path.write_bytes(whole[: len(whole) // 2])
    [warning] = warnings_of(folder, images=images)
    assert warning.kind == "pictures that may be cut off"
    assert str(warning) == "image 3, noise.jpg: expected the end of a JPEG file, got none"
