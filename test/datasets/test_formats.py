# SPDX-License-Identifier: Apache-2.0
"""Other tools' labels become the same objects in COCO's format, and what cannot is counted."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from yolact_ros.datasets.coco import CocoDataset, dataset_from_content
from yolact_ros.datasets.formats.collection import Imported
from yolact_ros.datasets.formats.reading import read_labels
from yolact_ros.datasets.problems import examine
from yolact_ros.datasets.segmentation import decode_segmentation
from yolact_ros.errors import InputError
from yolact_testing.label_files import (
    SIZE,
    Box,
    corners,
    labelme_shape,
    write_ids,
    write_labelme,
    write_picture,
    write_yolo,
)

ONE, TWO, THREE = (4, 4, 20, 12), (30, 8, 50, 40), (8, 30, 24, 44)
REAL = Path(__file__).parents[3] / "shared" / "real"


def read(source: Path, label_format: str = "auto", **options: Any) -> Imported:
    defaults = {"images": None, "part": None, "class_names": (), "separate": False}
    return read_labels(
        source, label_format, embedded=source.parent / "embedded", **(defaults | options)
    )


def objects(imported: Imported) -> dict[str, list[tuple[str, int]]]:
    """Class and area of each object by picture; the whole must be a data set without errors."""
    dataset = as_dataset(imported)
    return {
        image.file_name: [(dataset.class_names[o.class_id], int(o.area)) for o in image.objects]
        for image in dataset.images
    }


def as_dataset(imported: Imported) -> CocoDataset:
    content = json.loads(json.dumps(imported.content))
    if content["annotations"]:
        assert not examine(content, imported.image_folder).problems
    return dataset_from_content(content, Path("labels.json"), imported.image_folder)


def masks(imported: Imported) -> list[np.ndarray]:
    return [
        decode_segmentation(thing.segmentation, image.height, image.width)
        for image in as_dataset(imported).images
        for thing in image.objects
    ]


def filled(*boxes: Box) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    for x1, y1, x2, y2 in boxes:
        mask[y1:y2, x1:x2] = 1
    return mask


def area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def base64_of(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_labelme_groups_shapes_and_leaves_out_what_has_no_area(tmp_path: Path) -> None:
    folder = tmp_path / "labelled"
    write_picture(folder / "a.png")
    painted = Image.new("L", (16, 8), 0)
    painted.paste(1, (4, 0, 16, 8))
    write_labelme(
        folder / "a.json",
        [
            labelme_shape("cup", corners(ONE), group_id=3),
            labelme_shape("cup", corners(TWO), group_id=3),
            labelme_shape("spoon", corners(THREE), group_id=3),
            labelme_shape("cup", [[30, 12], [50, 8]], shape_type="rectangle"),
            labelme_shape("plate", [[32, 24], [42, 24]], shape_type="circle"),
            labelme_shape("brush", [[4, 4], [19, 11]], shape_type="mask", mask=base64_of(painted)),
            labelme_shape("cup", [[1, 1]], shape_type="point"),
            labelme_shape("cup", [[1, 1], [9, 9], [20, 9]], shape_type="linestrip"),
            labelme_shape("__ignore__", corners(ONE)),
            labelme_shape("cup", [[1, 1], [9, 9]]),
            labelme_shape("cup", [[1, "x"], [9, 9]]),
            labelme_shape("cup", [[1, 1]], shape_type="circle"),
        ],
    )
    imported = read(folder)
    [(name, found)] = objects(imported).items()
    assert (name, imported.image_folder) == ("a.png", folder)
    assert found[:3] == [("cup", area(ONE) + area(TWO)), ("spoon", area(THREE)), ("cup", 80)]
    assert found[3][0] == "plate" and found[3][1] == pytest.approx(np.pi * 100, rel=0.1)
    assert found[4:] == [("brush", 12 * 8)]
    np.testing.assert_array_equal(masks(imported)[4], filled((8, 4, 20, 12)))
    assert {cause: len(places) for cause, places in imported.left_out.items()} == {
        "shapes without area (point)": 1,
        "shapes without area (linestrip)": 1,
        "shapes that are no objects (__ignore__)": 1,
        "polygons that are none": 1,
        "shapes that cannot be read": 2,
    }
    names = [each["name"] for each in imported.content["categories"]]
    assert names == ["brush", "cup", "plate", "spoon"]


def test_labelme_finds_its_pictures_wherever_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    shape = [labelme_shape("cup", corners(ONE))]
    write_picture(tmp_path / "pictures" / "a.png")
    write_labelme(folder / "a.json", shape, imagePath="..\\pictures\\a.png")
    write_picture(folder / "sub" / "b.JPG")
    write_labelme(folder / "sub" / "b.json", shape, imagePath="/elsewhere/b.JPG", imageWidth=None)
    inside = Image.new("RGB", SIZE[::-1], (1, 2, 3))
    write_labelme(folder / "c.json", shape, imagePath="c.png", imageData=base64_of(inside))
    write_labelme(folder / "lost.json", shape)
    write_labelme(folder / "again.json", shape, imagePath="../pictures/a.png")
    write_labelme(folder / "empty.json", [], imagePath="sub/d.png")
    write_picture(folder / "sub" / "d.png")
    (folder / "settings.json").write_text("{}")
    (folder / "cut.json").write_text("{")
    imported = read(folder)
    assert objects(imported) == {
        "pictures/a.png": [("cup", area(ONE))],
        "embedded/c.png": [("cup", area(ONE))],
        "labels/sub/d.png": [],
        "labels/sub/b.JPG": [("cup", area(ONE))],
    }
    assert {cause: Path(places[0]).name for cause, places in imported.left_out.items()} == {
        "second label files of a picture": "again.json",
        "labels without their picture": "lost.json",
        "files that are not LabelMe's": "settings.json",
        "files that cannot be read": "cut.json",
    }


@pytest.mark.skipif(not REAL.is_dir(), reason="needs files that LabelMe wrote")
def test_labelme_is_read_as_its_own_export_does() -> None:
    ours = read(REAL / "labelme" / "data_annotated").content
    theirs = json.loads((REAL / "labelme" / "coco" / "annotations.json").read_text())

    def found(content: Any) -> list[tuple[str, str, list[list[float]]]]:
        files = {image["id"]: Path(image["file_name"]).name for image in content["images"]}
        names = {each["id"]: each["name"] for each in content["categories"]}
        return sorted(
            (files[a["image_id"]], names[a["category_id"]], sorted(a["segmentation"]))
            for a in content["annotations"]
        )

    assert len(theirs["annotations"]) == 12
    assert found(ours) == found(theirs)


def yolo_set(folder: Path, *, images: str, labels: str, suffix: str = "png") -> None:
    write_picture(folder / images / f"a.{suffix}")
    write_picture(folder / images / f"b.{suffix}")
    write_yolo(folder / labels / "a.txt", [(1, ONE), (0, TWO)])


DESCRIPTION = "path: .\ntrain: images/train\nval: images/val\nnames: [cup, 'coffee mug']\n"
LAYOUTS = {
    "Ultralytics": ("images/train", "labels/train", "data.yaml", DESCRIPTION),
    "Roboflow": ("train/images", "train/labels", "data.yaml",
                 "train: ../train/images\nnc: 2\nnames: ['cup', 'coffee mug']\n"),
    "numbered names": ("train/images", "train/labels", "data.yaml",
                       "train: train/images\nnames:\n  0: cup\n  1: coffee mug\n"),
    "CVAT": ("images/train", "labels/train", "data.yaml",
             "path: ./\ntrain: train.txt\nnames:\n  0: cup\n  1: coffee mug\n"),
    "Label Studio": ("images", "labels", "classes.txt", "cup\ncoffee mug\n"),
    "side by side": ("data", "data", "obj.names", "cup\ncoffee mug\n"),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_yolo_in_the_layouts_of_tools(tmp_path: Path, layout: str) -> None:
    images, labels, description, text = LAYOUTS[layout]
    yolo_set(tmp_path, images=images, labels=labels)
    if "val:" in text:
        write_picture(tmp_path / "images" / "val" / "c.png")
    (tmp_path / "train.txt").write_text("data/images/train/a.png\ndata/images/train/b.png\n")
    if layout != "CVAT":
        (tmp_path / "train.txt").unlink()
    (tmp_path / description).write_text(text)
    expected = {"a.png": [("coffee mug", area(ONE)), ("cup", area(TWO))], "b.png": []}
    imported = read(tmp_path, part="train" if "val:" in text else None)
    assert objects(imported) == expected
    assert imported.left_out == {}
    assert [each["name"] for each in imported.content["categories"]] == ["cup", "coffee mug"]
    np.testing.assert_array_equal(masks(imported)[0], filled(ONE))


def test_yolo_pictures_that_are_turned_are_labelled_upright(tmp_path: Path) -> None:
    yolo_set(tmp_path, images="images", labels="labels", suffix="jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "images" / "a.jpg"
    Image.open(path).save(path, exif=exif)
    image = as_dataset(read(tmp_path, "yolo", class_names=["x", "y"])).images[0]
    assert (image.height, image.width) == SIZE[::-1]
    assert image.objects[0].box == pytest.approx((3, 16 / 3, 15, 16), abs=0.01)


def test_yolo_lines_that_are_no_outlines_are_counted(tmp_path: Path) -> None:
    yolo_set(tmp_path, images="images", labels="labels")
    lines = [
        *("0 0.5 0.5 0.1 0.1", "0 0.5 0.5 0.1 0.1 0.9", "7 0 0 1 0 1 1", "0 10 10 30 10 30 30"),
        *("cup 0 0 1 0 1 1", "0 0 0 1 0 1", "0 nan 0 1 0 1 1", "", "0 0 0 1.02 0 1.02 1"),
    ]
    (tmp_path / "labels" / "b.txt").write_text("\n".join(lines))
    imported = read(tmp_path, "yolo", class_names=["cup", "mug"])
    [(name, pixels)] = objects(imported)["b.png"]
    assert name == "cup" and pixels == pytest.approx(SIZE[0] * SIZE[1] / 2, rel=0.05)
    assert {cause: len(places) for cause, places in imported.left_out.items()} == {
        "boxes without outlines": 3,
        "classes without a name": 1,
        "coordinates that are not from 0 to 1": 2,
        "lines that cannot be read": 1,
    }
    with pytest.raises(InputError, match=r"the names of the classes.*--class-names"):
        read(tmp_path, "yolo")
    (tmp_path / "data.yaml").write_text("train: nowhere\nnames: [a]\n")
    with pytest.raises(InputError, match=r"data\.yaml that are not there: train: nowhere"):
        read(tmp_path)


VOID = ((0, 0, 64, 2), 255)


@pytest.mark.parametrize("names", ["class_names.txt", "labelmap.txt", "given", "of VOC"])
def test_voc_masks(tmp_path: Path, names: str) -> None:
    write_picture(tmp_path / "JPEGImages" / "a.jpg")
    write_picture(tmp_path / "JPEGImages" / "b.jpg")
    coloured = names == "labelmap.txt"
    kind, mode = ((224, 224, 192), "RGB") if coloured else (255, "P")
    ids = [(128, 0, 0), (0, 128, 0), (128, 128, 0)] if coloured else [1, 2, 3]
    classes = [(10, 20, 30), (40, 50, 60), (0, 0, 0)] if coloured else [2, 1, 0]
    void = (VOID[0], kind)
    boxes = (ONE, TWO, THREE)
    write_ids(
        tmp_path / "SegmentationObject" / "a.png", [*zip(boxes, ids, strict=True), void], mode
    )
    write_ids(
        tmp_path / "SegmentationClass" / "a.png", [*zip(boxes, classes, strict=True), void], mode
    )
    if names == "class_names.txt":
        (tmp_path / names).write_text("__ignore__\n_background_\ncup\nmug\n")
    if names == "labelmap.txt":
        text = (
            "# label:color_rgb:parts:actions\nbackground:0,0,0::\nmug:10,20,30::\ncup:40,50,60::\n"
        )
        (tmp_path / names).write_text(text)
    imported = read(tmp_path, class_names=["cup", "mug"] if names == "given" else ())
    first, second = ("bicycle", "aeroplane") if names == "of VOC" else ("mug", "cup")
    assert sorted(objects(imported)["a.jpg"]) == sorted([(first, area(ONE)), (second, area(TWO))])
    [place] = imported.left_out.pop("objects without a class")
    assert place.endswith("class 0") and not imported.left_out
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("b\n")
    with pytest.raises(InputError, match=r"found none \(pictures without a mask: .*b\.jpg\)"):
        read(tmp_path, part="val")
    with pytest.raises(InputError, match=r"--part: expected a list of pictures .*test\.txt"):
        read(tmp_path, part="test")


@pytest.mark.skipif(not REAL.is_dir(), reason="needs files that other tools wrote")
def test_real_masks() -> None:
    found = objects(read(REAL / "labelme" / "voc"))
    assert {name: len(things) for name, things in found.items()} == {
        "2011_000003.jpg": 3, "2011_000006.jpg": 6, "2011_000025.jpg": 3
    }  # fmt: skip
    shapes = REAL / "masks" / "shapes"
    found = objects(read(shapes / "annotations", images=shapes / "shapes_train2018"))
    assert {name: sorted(kind for kind, _ in things) for name, things in found.items()} == {
        "1000.jpeg": ["square"], "1001.jpeg": ["circle", "circle", "square", "square"]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "values"),
    [("L", (1, 255)), ("I;16", (7, 1000)), ("P", (1, 2)), ("RGB", ((9, 0, 0), (0, 0, 9)))],
)
def test_maps_of_ids(tmp_path: Path, mode: str, values: tuple[Any, Any]) -> None:
    write_picture(tmp_path / "pictures" / "rec" / "a.jpg")
    write_picture(tmp_path / "pictures" / "other" / "a.jpg")
    if mode == "I;16":
        ids = np.zeros(SIZE, np.uint16)
        ids[filled(ONE) > 0], ids[filled(TWO) > 0] = values
        (tmp_path / "masks" / "rec").mkdir(parents=True)
        Image.fromarray(ids).save(tmp_path / "masks" / "rec" / "a.png")
    else:
        boxes = [(ONE, values[0]), (TWO, values[1])]
        write_ids(tmp_path / "masks" / "rec" / "a.png", boxes, mode)
    pictures = tmp_path / "pictures"
    imported = read(tmp_path / "masks", images=pictures, class_names=["cup"])
    assert {name: sorted(found) for name, found in objects(imported).items()} == {
        "a.jpg": [("cup", area(ONE)), ("cup", area(TWO))]
    }
    assert imported.image_folder == pictures / "rec"
    [unlabelled] = imported.left_out["pictures without a mask"]
    assert unlabelled == str(pictures / "other" / "a.jpg")
    with pytest.raises(InputError, match=r"a\.png: expected a name that says the class"):
        read(tmp_path / "masks", images=pictures)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a_cup_0.png", "cup"),
        ("a.coffee_mug.12.png", "coffee_mug"),
        ("a-0-cup.png", "cup"),
        ("cup/a_0.png", "cup"),
        ("cup/a_mask_3.png", "cup"),
        ("a/cup_1.png", "cup"),
        ("a/masks/cup.png", "cup"),
        ("cup/a.png", "cup"),
    ],
)
def test_one_file_a_mask(tmp_path: Path, name: str, expected: str) -> None:
    write_picture(tmp_path / "pictures" / "a.jpg")
    write_picture(tmp_path / "pictures" / "a_1.jpg")
    write_ids(tmp_path / "masks" / name, [(ONE, 255)])
    imported = read(tmp_path / "masks", images=tmp_path / "pictures")
    assert objects(imported) == {"a.jpg": [(expected, area(ONE))]}


def test_masks_beside_their_pictures_and_of_several_parts(tmp_path: Path) -> None:
    """The layout of a folder for each picture, with folders of pictures and masks in it."""
    write_picture(tmp_path / "a" / "images" / "a.png")
    write_ids(tmp_path / "a" / "masks" / "5c0f.png", [(ONE, 255), (TWO, 250)])
    write_ids(tmp_path / "a" / "masks" / "empty.png", [])
    (tmp_path / "a" / "masks" / "broken.png").write_bytes(b"no picture")
    options = {"images": tmp_path, "class_names": ["cell"]}
    imported = read(tmp_path, "masks", **options)
    assert objects(imported) == {"a.png": [("cell", area(ONE) + area(TWO))]}
    assert len(imported.left_out["masks that cannot be read"]) == 1
    separate = read(tmp_path, "masks", **options, separate=True)
    assert objects(separate) == {"a.png": [("cell", area(ONE)), ("cell", area(TWO))]}


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ({}, {}, r"expected LabelMe's JSON files, .*, found none of them"),
        ({"a.json": '{"annotations": []}'}, {}, r"got a file in COCO's format"),
        ({"a.json": '{"shapes": []}'}, {"part": "train"}, r"--part: .* yolo or voc, got labelme"),
        ({"a.json": '{"shapes": []}'}, {"separate": True}, r"--separate: .* masks, got labelme"),
        ({"a.json": '{"shapes": []}'}, {}, r"found none \(labels without their picture: .*a\.json"),
        ({"a.png": ""}, {}, r"--images: expected the folder of the pictures of these masks"),
        ({"SegmentationObject": None}, {"label_format": "voc"}, r"expected the folders Seg"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(
    tmp_path: Path, files: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text) if text is not None else (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=message):
        read(tmp_path, **options)
