# SPDX-License-Identifier: Apache-2.0
"""Each way in which a data set can be broken gives its own clear message."""

import copy
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from yolact_ros.datasets.coco import read_dataset
from yolact_ros.datasets.problems import DatasetError, examine, read_content

SQUARE = [4, 4, 12, 4, 12, 12, 4, 12]
MISSING = object()


def good_content() -> dict[str, Any]:
    def annotation(number: int, image: int, category: int) -> dict[str, Any]:
        return {
            "id": number, "image_id": image, "category_id": category, "iscrowd": 0, "area": 64,
            "bbox": [4, 4, 8, 8], "segmentation": [list(SQUARE)],
        }  # fmt: skip

    return {
        "images": [
            {"id": 3, "file_name": "a.png", "width": 40, "height": 30},
            {"id": 5, "file_name": "b.png", "width": 20, "height": 20},
        ],
        "categories": [{"id": 1, "name": "cup"}, {"id": 7, "name": "spoon"}],
        "annotations": [annotation(17, 3, 1), annotation(18, 5, 7), annotation(19, 3, 7)],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images of the good data set."""
    for name, shape in (("a.png", (30, 40, 3)), ("b.png", (20, 20, 3))):
        assert cv2.imwrite(str(tmp_path / name), np.zeros(shape, np.uint8))
    return tmp_path


def read(content: Any, folder: Path) -> Any:
    path = folder / "annotations.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_dataset(path, folder)


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    content = copy.deepcopy(good_content())
    *way, last = path
    place: Any = content
    for step in way:
        place = place[step]
    if value is MISSING:
        del place[last]
    elif isinstance(place, list) and last == len(place):
        place.append(value)
    else:
        place[last] = value
    return content


FIRST = ("annotations", 0)
AT_FIRST = "annotation 17 (image 3, a.png): "
RUNS = {"size": [30, 40], "counts": [10, 5, 1185]}

BROKEN = {
    "images are no list": (("images",), {}, "images: expected a list, got {}"),
    "no list of annotations": (
        ("annotations",), MISSING, "annotations: expected a list, got nothing; "
        "a test set has none, and nothing to measure: use `yolact-ros predict`"),
    "no image at all": (("images",), [], "images: expected at least one, got none"),
    "no categories": (("categories",), [], "categories: expected at least one, got none"),
    "annotation is no object": (FIRST, 3, "annotations[0]: expected an object, got 3"),
    "two images, one id": (
        ("images", 1, "id"), 3,
        "image 3: id: expected one image with this id, got another at images[1]"),
    "two categories, one id": (
        ("categories", 1, "id"), 1,
        "category 1: id: expected one category with this id, got another at categories[1]"),
    "two categories, one name": (
        ("categories", 1, "name"), "cup",
        "category 7: name: expected a name of its own, got 'cup' as in category 1"),
    "empty category name": (
        ("categories", 1, "name"), " ",
        "category 7: name: expected a text that is not empty, got ' '"),
    "two images, one file": (
        ("images", 1, "file_name"), "a.png",
        "image 5: file_name: expected a file of its own, got a.png as for image 3"),
    "image without name": (
        ("images", 0, "file_name"), None,
        "image 3: file_name: expected a text that is not empty, got nothing"),
    "unknown image": (
        (*FIRST, "image_id"), 99,
        "annotation 17: image_id: expected the id of an image, got 99"),
    "unknown category": (
        (*FIRST, "category_id"), 2,
        AT_FIRST + "category_id: expected the id of a category, got 2"),
    "list as category": (
        (*FIRST, "category_id"), [1],
        AT_FIRST + "category_id: expected the id of a category, got [1]"),
    "strange crowd": ((*FIRST, "iscrowd"), 2, AT_FIRST + "iscrowd: expected 0 or 1, got 2"),
    "no segmentation": (
        (*FIRST, "segmentation"), MISSING,
        AT_FIRST + "segmentation: expected polygons or run lengths, got nothing"),
    "no polygon": (
        (*FIRST, "segmentation"), [],
        AT_FIRST + "segmentation: expected at least one polygon, got none"),
    "empty polygon": (
        (*FIRST, "segmentation", 0), [],
        AT_FIRST + "segmentation[0]: expected at least 3 points (6 numbers), got 0 numbers"),
    "two points": (
        (*FIRST, "segmentation"), [[1, 1, 2, 2]],
        AT_FIRST + "segmentation[0]: expected at least 3 points (6 numbers), got 4 numbers"),
    "image without id": (
        ("images", 1, "id"), MISSING, "images[1]: id: expected a whole number, got nothing"),
    "picture and file without size": (
        ("images", 0), {"id": 3, "file_name": "c.png"},
        "image 3 (c.png): expected an image file, got no file {folder}/c.png"),
    "annotations that cannot be used": (
        ("annotations",), [{"id": 1}],
        "annotation 1: image_id: expected the id of an image, got nothing"),
    "odd polygon": (
        (*FIRST, "segmentation", 0), [*SQUARE, 1],
        AT_FIRST + "segmentation[0]: expected x and y of each point, got 9 numbers"),
    "NaN in polygon": (
        (*FIRST, "segmentation", 0, 2), float("nan"),
        AT_FIRST + "segmentation[0]: expected finite numbers, "
        "got NaN, infinity or a sum beyond all bounds"),
    "polygon that would take all memory": (
        (*FIRST, "segmentation", 0, 2), 1e9,
        AT_FIRST + "segmentation[0]: expected coordinates in or near the image of 40x30, "
        "got 1e+09"),
    "polygon outside": (
        (*FIRST, "segmentation"), [[44, 4, 52, 4, 52, 12], [60, 1, 70, 1, 70, 9]],
        AT_FIRST + "segmentation: expected a polygon within the image of 40x30 pixels, "
        "got x 44 to 70, y 1 to 12"),
    "run lengths of another size": (
        (*FIRST, "segmentation"), RUNS | {"size": [40, 30]},
        AT_FIRST + "segmentation.size: expected [30, 40] (height, width of the image), "
        "got [40, 30]"),
    "run lengths that do not add up": (
        (*FIRST, "segmentation"), RUNS | {"counts": [10, 5, 1]},
        AT_FIRST + "segmentation.counts: expected runs that add up to 1200 pixels (40x30), "
        "got 16"),
    "compressed run lengths that do not add up": (
        (*FIRST, "segmentation"), RUNS | {"counts": ":5"},
        AT_FIRST + "segmentation.counts: expected runs that add up to 1200 pixels (40x30), "
        "got 15"),
    "compressed run lengths cut off": (
        (*FIRST, "segmentation"), RUNS | {"counts": ":5Q"},
        AT_FIRST + "segmentation.counts: expected a string that is not cut off, got ':5Q'"),
    "negative run": (
        (*FIRST, "segmentation"), RUNS | {"counts": [-10, 25, 1185]},
        AT_FIRST + "segmentation.counts: expected runs of 0 pixels or more, got -10"),
    "fractions as runs": (
        (*FIRST, "segmentation"), RUNS | {"counts": [10.5, 5, 1184.5]},
        AT_FIRST + "segmentation.counts: expected a string or a list of whole numbers, "
        "got [10.5, 5, 1184.5]"),
    "no such image file": (
        ("images", 0, "file_name"), "c.png",
        "image 3 (c.png): expected an image file, got no file {folder}/c.png"),
    "image of another size": (
        ("images", 0, "width"), 41,
        "image 3 (a.png): expected 41x30 pixels, got 40x30 in {folder}/a.png"),
}  # fmt: skip


def test_the_good_one_is_read(folder: Path) -> None:
    assert len(read(good_content(), folder)) == 2


@pytest.mark.parametrize("name", BROKEN)
def test_one_break_gives_one_message(folder: Path, name: str) -> None:
    way, value, expected = BROKEN[name]
    with pytest.raises(DatasetError) as caught:
        read(changed(way, value), folder)
    # Other messages may follow from the first: whose image has no id has no image.
    first = str(caught.value).splitlines()[0]
    expected = expected.replace("{folder}", str(folder))
    assert first == f"{folder / 'annotations.json'}: {expected}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected JSON, got: Expecting property name"),
        ("[]", "expected an object with images, annotations and categories, got a list"),
        ("\xff", "expected JSON, got: "),
        ("[" * 100_000, "expected JSON, got: "),
    ],
)
def test_what_is_not_a_data_set(folder: Path, text: str, message: str) -> None:
    path = folder / "annotations.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DatasetError) as caught:
        read_dataset(path, folder)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_missing_file_and_folder_are_named(folder: Path) -> None:
    with pytest.raises(DatasetError, match=r"none\.json: expected a JSON file .*no such file"):
        read_dataset(folder / "none.json", folder)
    (folder / "a.json").write_text(json.dumps(good_content()))
    with pytest.raises(DatasetError, match=r"a\.json: .*nowhere: expected a folder of images"):
        read_dataset(folder / "a.json", folder / "nowhere")


def test_a_file_that_is_no_image_is_named(folder: Path) -> None:
    (folder / "b.png").write_bytes(b"not a picture")
    with pytest.raises(DatasetError, match=r"image 5 \(b\.png\): expected an image file, got "):
        read(good_content(), folder)


def test_a_png_file_that_is_cut_off_is_named(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (20, 20, 3), np.uint8)
    cv2.imwrite(str(folder / "b.png"), noise)
    read(good_content(), folder)
    whole = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"image 5 \(b\.png\): .*b\.png which is cut off"):
        read(good_content(), folder)


def test_many_problems_are_counted(folder: Path) -> None:
    content = good_content()
    content["annotations"] = [
        content["annotations"][0] | {"id": number, "category_id": 2} for number in range(40)
    ]
    with pytest.raises(DatasetError) as caught:
        read(content, folder)
    lines = str(caught.value).splitlines()
    assert len(lines) == 6
    assert "36 more problems; `yolact-ros dataset check`" in lines[-1]
    assert len(caught.value.problems) == 41  # nothing is left


def test_files_are_only_looked_at_where_a_folder_is_given(tmp_path: Path) -> None:
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(good_content()))
    assert not examine(read_content(path), None).problems


def test_what_coco_has_is_no_problem(folder: Path) -> None:
    content = good_content()
    first, second, third = content["annotations"]
    first |= {"iscrowd": 1, "segmentation": {"size": [30, 40], "counts": [3, 20, 1177]}}
    second |= {"bbox": [0.0, 4.6, 0.0, 4.79], "segmentation": [[0, 4.6, 0, 9.39, 0, 6.1]]}
    third |= {"segmentation": [[-0.4, 3, 40.3, 3, 40.3, 31]], "category_id": 90}
    content["categories"][1]["id"] = 90
    content["annotations"] = [first, third]
    content["images"].append({"id": 0, "file_name": "c.png", "width": 8, "height": 8})
    cv2.imwrite(str(folder / "c.png"), np.zeros((8, 8), np.uint8))
    dataset = read(content, folder)
    assert dataset.category_ids == (1, 90)
    assert [len(image.objects) for image in dataset.images] == [2, 0, 0]
    content["annotations"].append(second | {"category_id": 1})
    dataset = read(content, folder)
    assert dataset.images[1].objects == ()
    counts = ("boxes that do not fit, computed from the outline: 2",
              "outlines without area, left out: 1")  # fmt: skip
    assert dataset.mended == tuple(f"{folder / 'annotations.json'}: {text}" for text in counts)
