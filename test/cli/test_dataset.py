# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros dataset` as it is run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from yolact_ros import __version__
from yolact_ros.choices import EXTRA_KINDS
from yolact_ros.cli.main import main
from yolact_ros.datasets.coco import read_dataset
from yolact_ros.datasets.segmentation import decode_segmentation
from yolact_ros.presets import DEMO_CLASSES
from yolact_ros.scenes.synth_set import render_scene
from yolact_testing.pages import Page

Refused = Callable[..., tuple[int, str]]


def test_synth_writes_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "set"
    command = ["dataset", "synth", str(out), "--images", "3", "--seed", "5"]
    command += ["--image-size", "96x64", "--workers", "2", "--quiet", "--classes", *EXTRA_KINDS]
    assert main(command) == 0
    content = json.loads((out / "annotations.json").read_text())
    assert (
        f"3 images of dumbbell, mushroom in {out / 'annotations.json'}" in capsys.readouterr().out
    )
    assert content["info"]["version"] == __version__
    assert [(c["id"], c["name"]) for c in content["categories"]] == [
        (1, "dumbbell"), (2, "mushroom")
    ]  # fmt: skip
    assert {a["category_id"] for a in content["annotations"]} <= {1, 2}
    assert sorted(p.name for p in (out / "depth").iterdir()) == [
        image["file_name"] for image in content["images"]
    ]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert error == f"yolact-ros: {out}: expected an empty folder or none, got one with files\n"


def test_synth_films_from_afar_with_the_depth_camera_of_a_name(tmp_path: Path) -> None:
    words = ["--images", "1", "--seed", "40", "--image-size", "160x120", "--workers", "1"]
    options = ["--distance", "1.5-2", "--depth-camera", "ideal"]
    assert main(["dataset", "synth", str(tmp_path / "far"), *words, *options, "--quiet"]) == 0
    frame = render_scene(40, 160, 120, distance=(1.5, 2.0))
    assert np.median(frame.true_depth) > 1.2
    depth = cv2.imread(str(tmp_path / "far" / "depth" / "000001.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(depth, np.rint(frame.true_depth * 1000))


def test_the_help_of_synth_names_all_classes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["dataset", "synth", "--help"])
    words = capsys.readouterr().out.replace(",", " ").replace(")", " ").replace("(", " ").split()
    assert {*DEMO_CLASSES, *EXTRA_KINDS} <= set(words)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic data set; what changes it takes a copy of the annotations."""
    out = tmp_path_factory.mktemp("made") / "set"
    command = ["dataset", "synth", str(out), "--images", "6", "--image-size", "160x120"]
    assert main([*command, "--quiet", "--workers", "1"]) == 0
    return out


def content_of(made: Path) -> Any:
    return json.loads((made / "annotations.json").read_text())


def test_check_counts_a_good_set(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["dataset", "check", str(made / "annotations.json"), "--images", str(made / "images")]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    annotations = content_of(made)["annotations"]
    assert f"annotations.json: 6 images, {len(annotations)} objects of 8 classes" in lines
    [row] = [line.split() for line in lines if line.startswith("mug ")]
    mugs = [each for each in annotations if each["category_id"] == DEMO_CLASSES.index("mug") + 1]
    small = sum(each["area"] < 32**2 for each in mugs)
    assert row[1:4] == [str(len(mugs)), str(len({each["image_id"] for each in mugs})), str(small)]
    assert "image sizes: 160x120 (6)" in lines
    assert lines[-1] in ("no problems found", "1 warning: it can be trained on") or (
        lines[-1].endswith("warnings: it can be trained on")
    )


def test_check_of_a_broken_set_says_all_and_fails(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = content_of(made)
    for annotation in content["annotations"][:4]:
        annotation["segmentation"] = []
    content["annotations"][4]["bbox"][2] = -1
    content["images"][3]["file_name"] = "lost.png"
    lost = [annotation["image_id"] for annotation in content["annotations"]].count(4)
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(content))
    command = ["dataset", "check", str(path), "--images", str(made / "images")]
    assert main([*command, "--show", "1", "--out", str(tmp_path / "new" / "page.png")]) == 1
    out = capsys.readouterr().out
    lines = out.splitlines()
    at = lines.index("error: boxes without outlines: 4 (mend: left out)")
    assert lines[at + 1].startswith("  -> masks cannot be learnt from boxes")
    total = len(content["annotations"])
    assert lines[at + 2] == f"  -> 4 of {total} annotations have no outline"
    first = "  annotation 1 (image 1, 000001.png): segmentation: expected at least one polygon, "
    assert lines[at + 3] == first + "got none"
    assert lines[at + 4] == "  ... and 3 more (--show 0 shows all)"
    missing = lines.index("error: missing pictures: 1 (mend: left out)")
    assert lines[missing + 1] == "  -> 1 of 6 are missing"
    warning = lines.index("warning: boxes that do not fit: 1 (computed from the outline)")
    assert max(at, missing) < warning
    kept = f"{total - 4 - lost} of {total} annotations"
    assert f"mended: 5 of 6 images, {kept}, 8 of 8 categories" in lines
    assert f"5 images, {total - 4 - lost} objects of 8 classes" in out
    assert lines[-1].startswith("5 errors")
    assert lines[-1].endswith("or mend them with `yolact-ros dataset mend`")
    assert cv2.imread(str(tmp_path / "new" / "page.png")) is not None
    assert main([*command, "--show", "0"]) == 1
    assert capsys.readouterr().out.count("segmentation: expected at least one polygon") == 4


def cvat_content(made: Path) -> Any:
    """The data set as CVAT exports painted masks: run lengths, all of them marked as crowds."""
    content = content_of(made)
    sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    for annotation in content["annotations"]:
        size = sizes[annotation["image_id"]]
        changes = np.flatnonzero(
            np.diff(decode_segmentation(annotation["segmentation"], *size).T.ravel(), prepend=0)
        )
        runs = np.diff(changes, prepend=0, append=size[0] * size[1]).tolist()
        annotation["segmentation"] = {"counts": runs, "size": list(size)}
        annotation |= {"iscrowd": 1, "attributes": {"occluded": False}}
    for image in content["images"]:
        image |= {"license": 0, "flickr_url": "", "coco_url": "", "date_captured": 0}
    return content | {"licenses": [{"name": "", "id": 0, "url": ""}]}


def test_an_export_of_cvat_is_checked_mended_and_split(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = cvat_content(made)
    path, clean = tmp_path / "cvat.json", tmp_path / "new" / "clean.json"
    path.write_text(json.dumps(content))
    pictures = ["--images", str(made / "images")]
    assert main(["dataset", "check", str(path), *pictures]) == 1
    out = capsys.readouterr().out
    count = len(content["annotations"])
    assert (
        "error: crowds only: 1 (mend: read as objects)\n  -> nothing is learnt from crowds" in out
    )
    assert f"{count} objects of 8 classes" in out
    mend = ["dataset", "mend", str(path), *pictures, "--out", str(clean)]
    assert main(mend) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "crowds only, read as objects: 1",
        f"kept: 6 of 6 images, {count} of {count} annotations, 8 of 8 categories",
        f"written: {clean}",
    ]
    written = json.loads(clean.read_text())
    expected = {**content, "annotations": [a | {"iscrowd": 0} for a in content["annotations"]]}
    assert written == expected
    assert main(["dataset", "check", str(clean), *pictures]) == 0
    assert "(iscrowd" not in capsys.readouterr().out
    assert main(["dataset", "split", str(clean), "--out", str(tmp_path / "parts")]) == 0
    parts = [read_dataset(tmp_path / "parts" / f"{name}.json", made / "images")
             for name in ("train", "val")]  # fmt: skip
    assert sum(len(image.objects) for part in parts for image in part.images) == count
    capsys.readouterr()
    assert main(mend) == 1
    assert f"{clean}: expected no such file yet, got one" in capsys.readouterr().err
    content["annotations"][0]["iscrowd"] = 0  # a polygon among masks: CVAT's mark of those is 1
    path.write_text(json.dumps(content))
    assert main([*mend[:-1], str(tmp_path / "all.json"), "--crowds-as-objects"]) == 0
    assert f"crowd regions, read as objects: {count - 1}" in capsys.readouterr().out


def test_mend_names_what_cannot_be_mended(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = content_of(made)
    path, clean = tmp_path / "labels.json", tmp_path / "clean.json"
    (tmp_path / "elsewhere").mkdir()
    path.write_text(json.dumps(content))
    mend = ["dataset", "mend", str(path), "--out", str(clean), "--images"]
    assert main([*mend, str(tmp_path / "elsewhere")]) == 1
    error = capsys.readouterr().err
    assert "all 6 are missing" in error and "nothing is left without these errors" in error
    assert main([*mend, str(made / "images")]) == 0
    assert capsys.readouterr().out.startswith("nothing had to be mended\n")
    assert json.loads(clean.read_text()) == content


def test_check_of_what_is_no_data_set_is_one_line(tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "no.json"
    command = ["dataset", "check", path, "--images", tmp_path]
    status, message = refused(*command)
    assert status == 2
    assert f"JSON: expected an existing file, got '{path}'" in message
    path.write_text("no JSON")
    status, message = refused(*command)
    assert status == 1
    assert message.startswith(f"yolact-ros: {path}: expected JSON, got: ")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_check_draws_samples_on_one_picture(made: Path, tmp_path: Path, suffix: str) -> None:
    page = tmp_path / f"page.{suffix}"
    command = ["dataset", "check", str(made / "annotations.json"), "--images", str(made / "images")]
    assert main([*command, "--samples", "4", "--out", str(page)]) == 0
    sheet = cv2.imread(str(page))
    assert sheet.shape[1] > 2 * 560
    assert sheet.shape[0] > 2 * 420
    grey = np.ptp(sheet.astype(int), axis=2) < 10
    assert (~grey).mean() > 0.05


def test_check_writes_a_page_that_needs_nothing_beside_it(made: Path, tmp_path: Path) -> None:
    content = content_of(made)
    content["categories"][0]["name"] = "<b>all & sundry"
    content["annotations"][0]["segmentation"] = []
    content["annotations"][1]["category_id"] = "<i>"
    path, page = tmp_path / "<u>.json", tmp_path / "page.html"
    path.write_text(json.dumps(content))
    command = ["dataset", "check", str(path), "--images", str(made / "images")]
    assert main([*command, "--out", str(page), "--samples", "3"]) == 1
    parsed = Page(page.read_text(encoding="utf-8"))
    text = "".join(parsed.texts)
    assert len(parsed.references) == 3
    assert all(source.startswith("data:image/jpeg;base64,") for source in parsed.references)
    assert "<b>all & sundry" in text
    assert "<u>.json: 6 images" in text
    assert "category_id: expected the id of a category, got '<i>'" in text
    assert "error: boxes without outlines: 1 (mend: left out)" in text
    assert "masks cannot be learnt from boxes" in text
    assert "annotation 1 (image 1, 000001.png): segmentation: expected at least" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "page.pdf"], "--out: expected a file name that ends in .png, .jpg, "),
        (["--samples", "0"], "--samples: expected an integer of 1 or more, got '0'"),
        (["--show", "-1"], "--show: expected an integer of 0 or more, got '-1'"),
    ],
)
def test_check_names_wrong_options(
    made: Path, refused: Refused, options: list[str], message: str
) -> None:
    command = ["dataset", "check", made / "annotations.json", "--images", made / "images"]
    status, line = refused(*command, *options)
    assert status == 2 and message in line


def test_split_writes_parts_that_can_be_read(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["dataset", "split", str(made / "annotations.json"), "--out", str(tmp_path / "parts")]
    assert main([*command, "--parts", "train=2", "val=1", "--seed", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["train", "val"]
    assert lines[1].split() == ["images", "4", "2"]
    names = []
    for part, count in (("train", 4), ("val", 2)):
        dataset = read_dataset(tmp_path / "parts" / f"{part}.json", made / "images")
        assert len(dataset) == count
        assert dataset.class_names == DEMO_CLASSES
        names += [image.file_name for image in dataset.images]
    assert sorted(names) == sorted(path.name for path in (made / "images").iterdir())
    first = (tmp_path / "parts" / "train.json").read_bytes()
    assert json.loads(first)["info"] == content_of(made)["info"]
    assert main([*command, "--parts", "train=2", "val=1", "--seed", "4"]) == 1
    assert "train.json: expected no such file yet, got one" in capsys.readouterr().err
    assert (tmp_path / "parts" / "train.json").read_bytes() == first


def test_split_keeps_recordings_and_equal_pictures_together(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = content_of(made)
    images = tmp_path / "images"
    images.mkdir()
    for number, image in enumerate(content["images"]):
        pixels = (made / "images" / f"00000{number % 4 + 1}.png").read_bytes()
        image["file_name"] = f"{'yard' if number % 3 else 'hall'}_{number}.png"
        (images / image["file_name"]).write_bytes(pixels)
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(content))
    command = ["dataset", "split", str(path), "--parts", "train=2", "val=1"]
    assert main([*command, "--out", str(tmp_path / "by"), "--by", "recording"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("6 images in 2 groups that stay together\n")
    parts = [
        json.loads((tmp_path / "by" / f"{name}.json").read_text()) for name in ("train", "val")
    ]
    names = [sorted(image["file_name"][:4] for image in part["images"]) for part in parts]
    assert names == [["yard"] * 4, ["hall"] * 2]
    assert main([*command, "--out", str(tmp_path / "equal"), "--images", str(images)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "images that are there already, under another name: 2; kept together",
        "6 images in 4 groups that stay together",
    ]
    assert main([*command, "--out", str(tmp_path / "one"), "--by", "folder"]) == 1
    assert "expected 2 or more groups of images, got 1: ." in capsys.readouterr().err


def test_some_classes_are_checked_and_split(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = content_of(made)
    content["categories"] = [each for each in content["categories"] if each["name"] != "ball"]
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(content))
    command = ["dataset", "check", str(path), "--images", str(made / "images")]
    assert main(command) == int(any(each["category_id"] == 1 for each in content["annotations"]))
    assert main([*command, "--classes", "mug", "box"]) == 0
    assert " objects of 2 classes" in capsys.readouterr().out
    split = ["dataset", "split", str(path), "--out", str(tmp_path / "parts"), "--classes", "mug"]
    assert main(split) == 0
    for name in ("train", "val"):
        part = json.loads((tmp_path / "parts" / f"{name}.json").read_text())
        assert [each["name"] for each in part["categories"]] == ["mug"]
        assert part["images"]
    assert main([*command, "--classes", "mug", "fork"]) == 1
    assert "classes: expected names among box, " in capsys.readouterr().err


NO_PART = "--parts: expected NAME=SHARE, such as train=0.8, got"


@pytest.mark.parametrize(
    ("parts", "status", "message"),
    [
        (["train", "val=1"], 2, f"{NO_PART} 'train'"),
        (["a/b=1", "val=1"], 2, f"{NO_PART} 'a/b=1'"),
        (["val=x", "b=1"], 2, f"{NO_PART} 'val=x'"),
        (["val=0", "b=1"], 2, f"{NO_PART} 'val=0'"),
        (
            ["val=1", "val=2"],
            1,
            "--parts: expected a different name for each part, got val=1 val=2",
        ),
        (["val=1"], 1, "parts: expected two or more, got 1"),
    ],
)
def test_split_names_wrong_parts(
    made: Path, tmp_path: Path, refused: Refused, parts: list[str], status: int, message: str
) -> None:
    command = ["dataset", "split", made / "annotations.json", "--out", tmp_path / "parts"]
    refusal = refused(*command, "--parts", *parts)
    assert refusal[0] == status
    assert refusal[1].partition(": ")[2].partition("; see ")[0] == message
    assert not (tmp_path / "parts").exists()


def test_split_refuses_a_broken_set(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = content_of(made)
    content["annotations"][2]["image_id"] = 99
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(content))
    assert main(["dataset", "split", str(path), "--out", str(tmp_path / "parts")]) == 1
    error = capsys.readouterr().err
    assert error == (
        f"yolact-ros: {path}: annotation 3: image_id: expected the id of an image, got 99\n"
        f"{path}: `yolact-ros dataset mend` writes the set without these errors, `train --mend` "
        "leaves them out on the way\n"
    )
