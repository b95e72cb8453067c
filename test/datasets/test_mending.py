# SPDX-License-Identifier: Apache-2.0
"""What is wrong in a data set is left out or put right, counted by cause, and only that."""

import copy
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from yolact_ros.datasets.coco import dataset_from_content, read_dataset
from yolact_ros.datasets.mending.completion import completed
from yolact_ros.datasets.problems import DatasetError, Examination, examine, read_content
from yolact_ros.datasets.segmentation import decode_segmentation
from yolact_ros.datasets.warnings import find_warnings

ROUND = [4, 4, 12, 4, 12, 12, 8, 14, 4, 12]
CORNER = {"size": [30, 40], "counts": [0, 5, 25, 5, 25, 5, 25, 5, 1105]}  # 4 columns of 5 rows
AREA = float(decode_segmentation([ROUND], 30, 40).sum())
ABSENT = object()
Content = dict[str, Any]


def good_content() -> Content:
    def annotation(number: int, image: int, category: int) -> dict[str, Any]:
        return {
            "id": number, "image_id": image, "category_id": category, "iscrowd": 0, "area": AREA,
            "bbox": [4.0, 4.0, 8.0, 10.0], "segmentation": [list(ROUND)],
        }  # fmt: skip

    return {
        "info": {"year": 2020},
        "images": [
            {"id": 3, "file_name": "a.png", "width": 40, "height": 30},
            {"id": 5, "file_name": "b.png", "width": 20, "height": 20},
        ],
        "categories": [{"id": 1, "name": "cup"}, {"id": 7, "name": "spoon"}],
        "annotations": [annotation(17, 3, 1), annotation(18, 5, 7), annotation(19, 3, 7)],
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of the good data set."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, shape in (("a.png", (30, 40, 3)), ("b.png", (20, 20, 3))):
        assert cv2.imwrite(str(folder / name), np.zeros(shape, np.uint8))
    return folder


def every(plural: str, **fields: Any) -> Callable[[Content], None]:
    """Change fields in all entries of a list; a function makes the value from the entry."""

    def change(content: Content) -> None:
        for entry in content[plural]:
            set_fields(entry, fields)

    return change


def first(plural: str, **fields: Any) -> Callable[[Content], None]:
    """Change fields in the first entry of a list."""
    return lambda content: set_fields(content[plural][0], fields)


def set_fields(entry: dict[str, Any], fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        if value is ABSENT:
            del entry[name]
        else:
            entry[name] = value(entry) if callable(value) else value


def extended(plural: str, **entry: Any) -> Callable[[Content], None]:
    return lambda content: content[plural].append(entry)


def without(*numbers: int) -> Callable[[Content], None]:
    """Take annotations out of the good data set."""

    def change(content: Content) -> None:
        content["annotations"] = [a for a in content["annotations"] if a["id"] not in numbers]

    return change


def numbered(*numbers: int) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        for annotation, number in zip(content["annotations"], numbers, strict=True):
            annotation["id"] = number

    return change


def only_image(number: int) -> Callable[[Content], None]:
    """Leave one image, and what is in it, in the good data set."""

    def change(content: Content) -> None:
        content["images"] = [i for i in content["images"] if i["id"] == number]
        content["annotations"] = [a for a in content["annotations"] if a["image_id"] == number]

    return change


def nothing(content: Content) -> None:
    """The mended set is the good one."""


def shares(entry: dict[str, Any]) -> list[list[float]]:
    width, height = (20, 20) if entry["image_id"] == 5 else (40, 30)
    [polygon] = entry["segmentation"]
    return [[n / (height if i % 2 else width) for i, n in enumerate(polygon)]]


def shares_of_box(entry: dict[str, Any]) -> list[float]:
    return shares({**entry, "segmentation": [entry["bbox"]]})[0]


def two_points(entry: dict[str, Any]) -> list[list[float]]:
    return [*entry["segmentation"], [1, 1, 2, 2]]


TEXT = "numbers as text or with a fraction, read as numbers"
NULL = "null fields, read as absent"
MISFIT = "boxes that do not fit, computed from the outline"
NO_OUTLINES = "boxes without outlines, left out"
AREAS = "areas that do not fit the outline, computed from the outline"
LISTED = "entries that are listed twice, left out"

Case = tuple[Callable[[Content], Any], Callable[[Content], Any], dict[str, int]]

PUT_RIGHT: dict[str, Case] = {
    "image ids as text": (every("images", id=lambda e: str(e["id"])), nothing, {TEXT: 2}),
    "image ids as floats": (every("images", id=lambda e: float(e["id"])), nothing, {TEXT: 2}),
    "references as text": (
        every("annotations", image_id=lambda e: str(e["image_id"]),
              category_id=lambda e: f"{e['category_id']}.0"), nothing, {TEXT: 6}),
    "category ids as text": (every("categories", id=lambda e: str(e["id"])), nothing, {TEXT: 2}),
    "annotation ids as text": (
        every("annotations", id=lambda e: f" {e['id']}"), nothing, {TEXT: 3}),
    "sizes as text and floats": (
        every("images", width=lambda e: str(e["width"]), height=lambda e: float(e["height"])),
        nothing, {TEXT: 4}),
    "areas and crowds as text": (
        every("annotations", area=str(AREA), iscrowd="0"), nothing, {TEXT: 6}),
    "boxes as text": (
        every("annotations", bbox=lambda e: list(map(str, e["bbox"]))), nothing, {TEXT: 3}),
    "coordinates as text": (
        first("annotations", segmentation=[list(map(str, ROUND))]), nothing,
        {"outlines in another form, read as polygons": 1}),
    "crowds as booleans": (every("annotations", iscrowd=False), nothing, {}),
    "no crowds, boxes and areas": (
        every("annotations", iscrowd=ABSENT, bbox=ABSENT, area=ABSENT), nothing, {}),
    "null": (every("annotations", iscrowd=None, bbox=None, area=None), nothing, {NULL: 9}),
    "empty boxes": (every("annotations", bbox=[]), nothing, {NULL: 3}),
    "no sizes": (
        every("images", width=ABSENT, height=None), nothing,
        {"images without width and height, read from the picture": 2}),
    "no annotation ids": (
        every("annotations", id=ABSENT), numbered(1, 2, 3),
        {"annotations without ids, numbered": 3}),
    "ids of annotations twice": (
        every("annotations", id=17), numbered(17, 18, 19),
        {"duplicate ids of annotations, numbered anew": 2}),
    "file names as ids of images": (
        lambda content: [
            every("images", id=lambda e: e["file_name"])(content),
            every("annotations", image_id=lambda e: "b.png" if e["image_id"] == 5 else "a.png")(
                content),
        ],
        lambda content: [
            every("images", id=lambda e: 1 if e["file_name"] == "a.png" else 2)(content),
            every("annotations", image_id=lambda e: 2 if e["image_id"] == 5 else 1)(content),
        ],
        {"ids that are no numbers, numbered anew": 2}),
    "names instead of ids": (
        every("annotations", image_id=lambda e: "b.png" if e["image_id"] == 5 else "a.png",
              category_id=lambda e: "cup" if e["category_id"] == 1 else "spoon"),
        nothing, {"references by name, replaced by the id": 6}),
    "entries twice": (
        lambda content: [
            content["images"].append(dict(content["images"][0])),
            content["categories"].append({**content["categories"][1], "supercategory": "x"}),
        ], nothing, {LISTED: 2}),
    "one polygon without its list": (
        first("annotations", segmentation=list(ROUND)), nothing,
        {"outlines in another form, read as polygons": 1}),
    "points as pairs": (
        first("annotations", segmentation=[[ROUND[i : i + 2] for i in range(0, 10, 2)]]), nothing,
        {"outlines in another form, read as polygons": 1}),
    "pairs without their list": (
        first("annotations", segmentation=[ROUND[i : i + 2] for i in range(0, 10, 2)]), nothing,
        {"outlines in another form, read as polygons": 1}),
    "degenerate parts": (
        every("annotations", segmentation=two_points), nothing,
        {"degenerate parts beside good ones, left out": 3}),
    "empty and null parts": (
        first("annotations", segmentation=[[], list(ROUND), None]), nothing,
        {"degenerate parts beside good ones, left out": 2}),
    "a line": (
        first("annotations", segmentation=[[4, 4, 8, 8, 12, 12]]), without(17),
        {"outlines without area, left out": 1}),
    "an upright line": (
        first("annotations", segmentation=[[4, 4, 4, 8, 4, 12]]), without(17),
        {"outlines without area, left out": 1}),
    "a mask without pixels": (
        first("annotations", segmentation=CORNER | {"counts": [1200]}), without(17),
        {"outlines without area, left out": 1}),
    "run lengths as text": (
        first("annotations", segmentation=CORNER | {"counts": list(map(str, CORNER["counts"]))},
              bbox=ABSENT, area=ABSENT),
        first("annotations", segmentation=CORNER, bbox=[0.0, 0.0, 4.0, 5.0], area=20.0),
        {"outlines in another form, read as polygons": 1}),
    "boxes of no height": (
        every("annotations", bbox=[4, 4, 50, 0]), nothing,
        {"boxes without area, computed from the outline": 3}),
    "boxes that point backwards": (
        every("annotations", bbox=[12, 14, -8, -10]), nothing, {MISFIT: 3}),
    "boxes outside": (every("annotations", bbox=[4, 44, 8, 8]), nothing, {MISFIT: 3}),
    "boxes elsewhere": (every("annotations", bbox=[9, 15, 3, 3]), nothing, {MISFIT: 3}),
    "boxes of three numbers": (every("annotations", bbox=[4, 4, 8]), nothing, {MISFIT: 3}),
    "areas of the picture": (every("annotations", area=1200), nothing, {AREAS: 3}),
    "areas of 0": (every("annotations", area=0), nothing, {AREAS: 3}),
    "areas below 0": (every("annotations", area=-1), nothing, {AREAS: 3}),
    "areas that are no number": (every("annotations", area=float("nan")), nothing, {AREAS: 3}),
    "Roboflow's project as a class": (
        lambda content: [
            every("categories", supercategory="pots")(content),
            content["categories"].insert(0, {"id": 0, "name": "pots", "supercategory": "none"}),
        ],
        every("categories", supercategory="pots"),
        {"supercategories among the classes, left out": 1}),
    "LabelMe's background": (
        extended("categories", id=0, name="_background_", supercategory=None), nothing,
        {"background among the classes, left out": 1}),
}  # fmt: skip
"""What is done to the good data set, what to the mended one, and what is counted."""

LEFT_OUT: dict[str, Case] = {
    "segmentation null": (first("annotations", segmentation=None), without(17), {NO_OUTLINES: 1}),
    "no segmentation": (first("annotations", segmentation=ABSENT), without(17), {NO_OUTLINES: 1}),
    "segmentation []": (first("annotations", segmentation=[]), without(17), {NO_OUTLINES: 1}),
    "segmentation [[]]": (first("annotations", segmentation=[[]]), without(17), {NO_OUTLINES: 1}),
    "LabelMe's circle": (
        first("annotations", segmentation=[[4, 4, 12, 12]]), without(17),
        {"outlines of fewer than three points, left out": 1}),
    "NaN": (
        first("annotations", segmentation=[ROUND, [float("nan"), *ROUND[1:]]]), without(17),
        {"segmentations, left out": 1}),
    "a number beyond floats": (
        first("annotations", segmentation=[[10**400, *ROUND[1:]]]), without(17),
        {"segmentations, left out": 1}),
    "outside": (
        first("annotations", segmentation=[[44, 4, 52, 4, 52, 12]]), without(17),
        {"outlines outside the image, left out": 1}),
    "run lengths of another size": (
        first("annotations", segmentation=CORNER | {"size": [40, 30]}), without(17),
        {"segmentations, left out": 1}),
    "a picture's only outline": (
        lambda content: set_fields(content["annotations"][1], {"segmentation": []}), only_image(3),
        {NO_OUTLINES: 1, "pictures whose outlines are all lost, left out": 1}),
    "all normalised": (
        every("annotations", segmentation=shares), nothing,
        {"normalised coordinates, multiplied by the size of the picture": 3}),
    "all normalised, boxes too": (
        every("annotations", segmentation=shares, bbox=shares_of_box), nothing,
        {"normalised coordinates, multiplied by the size of the picture": 3}),
    "unknown image": (
        first("annotations", image_id=99), without(17),
        {"annotations of unknown images, left out": 1}),
    "unknown category": (
        first("annotations", category_id=99), without(17),
        {"annotations of unknown categories, left out": 1}),
    "crowd of 2": (
        first("annotations", iscrowd=2), without(17), {"values of iscrowd, left out": 1}),
    "no object": (
        lambda content: content["annotations"].append(3), nothing, {"fields, left out": 1}),
    "a category without a name": (
        first("categories", name=" "),
        lambda content: [without(17)(content), content["categories"].pop(0)],
        {"categories without a name, left out": 1}),
    "two categories of one name": (
        extended("categories", id=8, name="cup"), nothing, {"categories of one name, joined": 1}),
    "two categories of one id": (
        extended("categories", id=1, name="mug"),
        lambda content: [without(17)(content), content["categories"].pop(0)],
        {"different entries with one id, left out": 1}),
    "two images of one id": (
        extended("images", id=5, file_name="c.png", width=9, height=9), only_image(3),
        {"different entries with one id, left out": 1}),
    "two images of one file": (
        extended("images", id=9, file_name="a.png", width=40, height=30), nothing,
        {"images of one file, left out but the first": 1}),
    "an image without a name": (
        first("images", file_name=None), only_image(5),
        {"images without a file name, left out": 1}),
    "a name that no file can have": (
        first("images", file_name="a\0\ud800.png"), only_image(5),
        {"images without a file name, left out": 1}),
    "a missing picture": (
        first("images", file_name="x" * 300 + ".png"), only_image(5),
        {"missing pictures, left out": 1}),
    "a picture of another size": (
        first("images", width=41), only_image(5), {"image files, left out": 1}),
    "crowds only": (
        every("annotations", iscrowd=1), nothing, {"crowds only, read as objects": 1}),
}  # fmt: skip


def mended(content: Content, folder: Path | None) -> tuple[Examination, Content]:
    before = copy.deepcopy(content)
    examined = examine(content, folder, mend=True)
    assert repr(content) == repr(before)  # NaN differs from itself
    return examined, json.loads(json.dumps(completed(examined.sound)))


@pytest.mark.parametrize("name", [*PUT_RIGHT, *LEFT_OUT])
def test_the_mended_set_is_the_good_one(folder: Path, name: str) -> None:
    spoil, expect, counts = (PUT_RIGHT | LEFT_OUT)[name]
    content, expected = good_content(), good_content()
    spoil(content)
    expect(expected)
    examined, result = mended(content, folder)
    assert examined.remarks() == tuple(f"{cause}: {count}" for cause, count in counts.items())
    assert bool(examined.errors) == (name in LEFT_OUT)
    assert result == expected
    again = examine(result, folder, mend=True)
    assert again.sound == result and not again.remarks()


def test_training_takes_what_means_the_same_and_refuses_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    for name, shape in (("a.png", (30, 40, 3)), ("b.png", (20, 20, 3))):
        cv2.imwrite(str(tmp_path / name), np.zeros(shape, np.uint8))
    content = good_content()
    every("annotations", area=None, image_id=lambda e: str(e["image_id"]))(content)
    path.write_text(json.dumps(content))
    dataset = read_dataset(path, tmp_path)
    assert dataset.remarks == [f"{path}: {TEXT}: 3", f"{path}: {NULL}: 3"]
    first("annotations", segmentation=[])(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DatasetError) as caught:
        read_dataset(path, tmp_path)
    assert "`yolact-ros dataset mend` writes the set without" in str(caught.value)
    dataset = read_dataset(path, tmp_path, mend=True)
    assert sum(len(image.objects) for image in dataset.images) == 2
    every("annotations", segmentation=[])(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match="nothing is left without these errors"):
        read_dataset(path, tmp_path, mend=True)


def test_whatever_a_file_holds_is_mended_or_refused() -> None:
    """Each value of the good set is replaced by each of these, and the rest must still be read."""
    strange = (
        None, True, -1, 0, 3, 10**400, 0.5, 1e300, float("nan"), float("inf"), "", "x", "7", [],
        [[]], [None], [3], {}, {"size": [30, 40], "counts": "0"}, [[[1, 2], [3, 4], [5, "6"]]],
    )  # fmt: skip

    def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        found = []
        for key, each in inner:
            found.append((*way, key))
            if isinstance(each, dict | list):
                found += places(each, (*way, key))
        return found

    lists = ("images", "categories", "annotations")
    ways = [way for way in places(good_content()) if way[0] in lists and way[1:2] == (0,)]
    assert len(ways) > 30
    for way in ways:
        for value in strange:
            content = good_content()
            place: Any = content
            for step in way[:-1]:
                place = place[step]
            place[way[-1]] = value
            examined, result = mended(content, None)
            assert not examine(result, None, mend=True).remarks(), (way, value)
            dataset = dataset_from_content(result, Path("a.json"), Path())
            find_warnings(dataset, {}, examined.emptied)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures with accents, capitals and namesakes, in folders."""
    folder = tmp_path_factory.mktemp("recordings")
    for name in (
        "one/image.png",
        "two/image.png",
        "two/Caf\N{LATIN SMALL LETTER E WITH ACUTE}.PNG",
    ):
        (folder / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / "pictures" / name), np.zeros((30, 40, 3), np.uint8))
    return folder / "pictures"


CAFE = "two/Caf\N{LATIN SMALL LETTER E WITH ACUTE}.PNG"


@pytest.mark.parametrize(
    ("name", "found", "guess"),
    [
        ("one\\image.png", "one/image.png", "back slashes"),
        ("..\\..\\media\\two\\image.png", "two/image.png", "back slashes"),
        ("C:\\Users\\me\\one\\image.png", "one/image.png", "back slashes"),
        ("/elsewhere/two/image.png", "two/image.png", "paths of another machine"),
        ("../../two/image.png", "two/image.png", "paths that lead out of the folder"),
        ("http://server:8080/media/one/image.png", "one/image.png", "addresses of a server"),
        ("/data/local-files/?d=set%20a/one/image.png", "one/image.png", "Label Studio's server"),
        ("s3://bucket/two/Caf%C3%A9.PNG", CAFE, "addresses of a server"),
        ("pictures/one/image.png", "one/image.png", "another folder level"),
        ("two/caf\N{LATIN SMALL LETTER E WITH ACUTE}.png", CAFE, "upper and lower case"),
        (unicodedata.normalize("NFD", CAFE), CAFE, "another Unicode form"),
        ("two/Caf\N{LATIN SMALL LETTER E WITH ACUTE}.jpg", CAFE, "another ending"),
        ("two/1a2b3c4d-image.png", "two/image.png", "digits before the names"),
        ("image.png", None, "all 1 are missing"),
        ("one/other.png", None, "all 1 are missing"),
    ],
)  # fmt: skip
def test_pictures_are_found_by_what_is_left_of_their_names(
    recordings: Path, name: str, found: str | None, guess: str
) -> None:
    content = good_content()
    del content["images"][1]
    content["images"][0]["file_name"] = name
    examined = examine(content, recordings)
    assert [image["file_name"] for image in examined.sound["images"]] == [found] * bool(found)
    kind = "file names that lead nowhere" if found else "missing pictures"
    assert kind in {problem.kind for problem in examined.errors}
    assert guess in " ".join(examined.hints[kind])


@pytest.mark.parametrize(
    ("images", "guess"),
    [
        ("pictures/one", "`--images {}/pictures`"),
        ("labels", "`--images {}/pictures`"),
        ("pictures/one/deep", "`--images {}/pictures`"),
    ],
)
def test_the_right_folder_is_guessed(recordings: Path, images: str, guess: str) -> None:
    (recordings.parent / images).mkdir(parents=True, exist_ok=True)
    content = good_content()
    del content["images"][1]
    content["images"][0]["file_name"] = CAFE
    hints = examine(content, recordings.parent / images).hints["missing pictures"]
    assert f"is --images right? They are there with {guess.format(recordings.parent)}" in hints


def test_namesakes_in_two_folders_are_not_guessed_at(tmp_path: Path) -> None:
    content = good_content()
    for name in ("depth", "images"):
        (tmp_path / name).mkdir()
        for image in content["images"]:
            (tmp_path / name / image["file_name"]).touch()
    examined = examine(content, tmp_path)
    assert not examined.sound["images"]
    both = f"`--images {tmp_path}/images` or `--images {tmp_path}/depth`"
    assert examined.hints["missing pictures"] == [
        "all 2 are missing", f"is --images right? They are there with {both}"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("box", "guess"),
    [
        ([20, 12, 28, 22], "corners x1, y1, x2, y2"),
        ([0.5, 0.4, 0.2, 0.33], "shares of the picture"),
        ([24, 17, 8, 10], "centre, width and height"),
        (
            [0.6, 0.57, 0.2, 0.33],
            "shares of the picture: centre, width and height, as in YOLO's files",
        ),
    ],
)
def test_what_boxes_mean_is_guessed(box: list[float], guess: str) -> None:
    content = good_content()
    there = [[n + (8 if i % 2 else 16) for i, n in enumerate(ROUND)]]
    fields = {"segmentation": there, "bbox": box}
    content["annotations"] = [content["annotations"][0] | fields | {"id": i} for i in range(9)]
    content["annotations"].append(content["annotations"][0] | {"id": 9, "bbox": [20, 12, 8, 10]})
    content["annotations"].append(content["annotations"][0] | {"id": 10, "bbox": [0, 0, 40, 30]})
    examined, result = mended(content, None)
    assert examined.hints["boxes that do not fit"] == [
        f"they look like {guess}: all boxes are computed from the outlines"
    ]
    assert all(each["bbox"] == [20, 12, 8, 10] for each in result["annotations"])
    content["annotations"][:3] = [
        each | {"bbox": [0, 0, 3, 3]} for each in content["annotations"][:3]
    ]
    assert not mended(content, None)[0].hints  # several reasons


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"shapes": [], "imagePath": "a.jpg"}', "LabelMe's own format"),
        ('[{"image_id": 1, "score": 0.5}]', "COCO's format of results"),
        ('[{"data": {}, "annotations": []}]', "Label Studio's own format"),
        ('{"a.jpg123": {"filename": "a.jpg", "regions": []}}', "VGG Image Annotator's own format"),
        ('{"images": [], "annotations": [{"id": 1, "caption": "a cup"}]}', "COCO's captions"),
        ('{"images": []}', "use `yolact-ros predict`"),
        ('{"images": [], "annotations": []}', "`yolact-ros dataset mend --class-names` adds them"),
        ("\x89PNG\r\n", "a PNG picture"),
        ("<annotations>", "an XML or HTML file"),
        ("0 0.5 0.5 0.1 0.1\n", "a label file of YOLO"),
        ("", "an empty file"),
    ],
)  # fmt: skip
def test_files_of_another_kind_are_recognised(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "labels.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DatasetError) as caught:
        read_content(path)
    assert words in str(caught.value) and str(path) in str(caught.value)


def test_class_names_stand_in_for_categories(tmp_path: Path, folder: Path) -> None:
    content = good_content()
    every("annotations", category_id=lambda e: 1 + (e["category_id"] == 7))(content)
    del content["categories"]
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(content))
    examined = examine(read_content(path, ["cup", "spoon"]), folder)
    assert not examined.problems
    assert examined.sound["categories"] == [{"id": 1, "name": "cup"}, {"id": 2, "name": "spoon"}]
    every("annotations", category_id=lambda e: e["category_id"] - 1)(content)
    path.write_text(json.dumps(content))
    assert [each["id"] for each in read_content(path, ["cup", "spoon"])["categories"]] == [0, 1]
    path.write_text(json.dumps(good_content()))
    with pytest.raises(ValueError, match=r"--class-names: expected none, as .* has categories"):
        read_content(path, ["cup", "spoon"])


def test_what_follows_from_an_error_is_no_warning(folder: Path) -> None:
    content = good_content()
    every("annotations", segmentation=lambda e: e["segmentation"] * (e["category_id"] == 1))(
        content
    )
    examined = examine(content, folder)
    dataset = dataset_from_content(examined.sound, Path("a.json"), folder)
    assert not find_warnings(dataset, examined.pictures, examined.emptied)
    kinds = [problem.kind for problem in find_warnings(dataset, examined.pictures)]
    assert kinds == ["classes without objects"]


def test_crowds_are_objects_where_that_is_asked_for() -> None:
    content = good_content()
    first("annotations", iscrowd=1)(content)
    examined, result = mended(content, None)
    assert not examined.remarks() and result["annotations"][0]["iscrowd"] == 1
    dataset = dataset_from_content(result, Path("a.json"), Path())
    assert "classes with crowds only" in {problem.kind for problem in find_warnings(dataset, {})}
    examined = examine(content, None, crowds_as_objects=True)
    assert examined.remarks() == ("crowd regions, read as objects: 1",)
    assert [annotation["iscrowd"] for annotation in examined.sound["annotations"]] == [0, 0, 0]
