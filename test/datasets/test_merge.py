# SPDX-License-Identifier: Apache-2.0
"""Several files become one: every picture once, with all that is said of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from yolact_ros.datasets.classes import keep_classes
from yolact_ros.datasets.merge import LabelledFolder, merge_content, read_datasets
from yolact_ros.errors import InputError
from yolact_testing.datasets import coco_content
from yolact_testing.label_files import SIZE, write_picture

SQUARE = [[4, 4, 12, 4, 12, 12, 4, 12]]
TRIANGLE = [[4, 4, 12, 4, 12, 12]]


def content(
    categories: dict[int, str], labels: list[tuple[int, int, Any]], images: int = 2
) -> dict[str, Any]:
    """A file of images 1.png, 2.png... and labels: image id, category id, segmentation."""
    annotations = [
        {"image_id": image, "category_id": category, "segmentation": outline}
        for image, category, outline in labels
    ]
    return coco_content([SIZE] * images, categories, annotations)


def summary(merged: Any) -> list[tuple[str, str, Any]]:
    names = {each["id"]: each["name"] for each in merged["categories"]}
    files = {each["id"]: each["file_name"] for each in merged["images"]}
    return [
        (files[each["image_id"]], names[each["category_id"]], each["segmentation"])
        for each in merged["annotations"]
    ]


def test_classes_are_matched_by_name_and_pictures_by_file() -> None:
    first = content({4: "cup", 9: "mug"}, [(1, 9, SQUARE), (2, 4, SQUARE)])
    first["images"][0] |= {"license": 1, "camera": "left"}
    second = content({1: "mug", 4: "spoon"}, [(1, 4, SQUARE), (2, 1, TRIANGLE)])
    parts = [
        LabelledFolder(Path("a.json"), first, Path("/data/lab/pictures")),
        LabelledFolder(Path("b.json"), second, Path("/data/yard")),
    ]
    merged = merge_content(parts)
    assert merged.image_folder == Path("/data")
    assert summary(merged.content) == [
        ("lab/pictures/1.png", "mug", SQUARE),
        ("lab/pictures/2.png", "cup", SQUARE),
        ("yard/1.png", "spoon", SQUARE),
        ("yard/2.png", "mug", TRIANGLE),
    ]
    assert [(each["id"], each["name"]) for each in merged.content["categories"]] == [
        (4, "cup"), (9, "mug"), (10, "spoon")
    ]  # fmt: skip
    assert [each["id"] for each in merged.content["images"]] == [1, 2, 3, 4]
    assert [each["id"] for each in merged.content["annotations"]] == [1, 2, 3, 4]
    assert merged.content["images"][0]["camera"] == "left"
    assert "license" not in merged.content["images"][0]
    assert not merged.shared and not merged.repeated


def test_a_picture_of_two_files_has_the_labels_of_both_once() -> None:
    first = content({1: "cup"}, [(1, 1, SQUARE)])
    second = content({1: "spoon", 2: "cup"}, [(1, 2, SQUARE), (1, 1, TRIANGLE)], images=1)
    second["annotations"][0]["iscrowd"] = 0
    parts = [
        LabelledFolder(Path("a.json"), first, Path("/data/x")),
        LabelledFolder(Path("b.json"), second, Path("/data/y/../x")),
    ]
    merged = merge_content(parts)
    assert summary(merged.content) == [("1.png", "cup", SQUARE), ("1.png", "spoon", TRIANGLE)]
    assert (merged.shared, merged.repeated) == (["1.png"], 1)
    assert len(merged.content["images"]) == 2
    second["images"][0]["width"] = 5
    with pytest.raises(InputError, match=r"b\.json: expected 64x48 pixels for 1\.png .*, got 5x48"):
        merge_content(parts)


def written(tmp_path: Path, name: str, labels: Any) -> Path:
    for number in (1, 2):
        write_picture(tmp_path / name / f"{number}.png")
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(labels))
    return path


def test_several_sets_are_read_as_one(tmp_path: Path) -> None:
    files = [
        written(tmp_path, "lab", content({1: "cup", 2: "mug"}, [(1, 1, SQUARE), (2, 2, SQUARE)])),
        written(tmp_path, "yard", content({1: "mug"}, [(2, 1, TRIANGLE), (2, 7, SQUARE)])),
    ]
    folders = [tmp_path / "lab", tmp_path / "yard"]
    with pytest.raises(InputError, match=r"yard\.json: annotation 1 .*category_id"):
        read_datasets(files, folders)
    dataset = read_datasets(files, folders, ["mug"])
    assert dataset.class_names == ("mug",)
    assert {image.file_name: len(image.objects) for image in dataset.images} == {
        "lab/1.png": 0, "lab/2.png": 1, "yard/1.png": 0, "yard/2.png": 1
    }  # fmt: skip
    assert dataset.read_image(dataset.images[3]).shape == (*SIZE, 3)
    one = read_datasets(files[:1], folders[:1])
    assert (one.image_folder, len(one)) == (folders[0], 2)
    with pytest.raises(InputError, match="images: expected one folder, or one for each of 2 files"):
        read_datasets(files, [*folders, tmp_path])


@pytest.mark.parametrize("by", [int, str, float, "{}.png".format])  # what annotations call images
def test_of_the_first_images_alone_all_is_checked(tmp_path: Path, by: Any) -> None:
    labels = content({1: "cup"}, [(1, 1, SQUARE), (2, 1, SQUARE), (3, 1, [[0, 0]])], images=4)
    for each in labels["annotations"]:
        each["image_id"] = by(each["image_id"])
    file = written(tmp_path, "lab", labels)  # with the first two pictures alone
    dataset = read_datasets([file], [tmp_path / "lab"], limit=2)
    assert [len(image.objects) for image in dataset.images] == [1, 1]
    with pytest.raises(InputError, match=r"image 3 \(3\.png\)"):
        read_datasets([file], [tmp_path / "lab"], limit=3)
    labels["annotations"][2]["image_id"] = 77
    file.write_text(json.dumps(labels))
    with pytest.raises(InputError, match=r"annotation 2.* got 77"):
        read_datasets([file], [tmp_path / "lab"], limit=2)


def test_classes_that_are_not_there_are_named() -> None:
    parts = [content({1: "cup", 2: "mug"}, []), content({1: "spoon"}, [])]
    assert [len(each["categories"]) for each in keep_classes(parts, ["cup", "spoon"])] == [1, 1]
    assert keep_classes(parts, ()) == parts
    with pytest.raises(InputError, match="classes: expected names among cup, mug, spoon, got fork"):
        keep_classes(parts, ["cup", "fork"])
