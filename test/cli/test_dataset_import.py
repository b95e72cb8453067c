# SPDX-License-Identifier: Apache-2.0
"""From other tools' labels to a report by the commands of a guide; `import` and `merge`."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from yolact_ros.cli.main import main
from yolact_ros.datasets.coco import read_dataset
from yolact_testing.label_files import (
    corners,
    labelme_shape,
    write_cvat,
    write_labelme,
    write_picture,
    write_yolo,
)

GUIDE = Path(__file__).parents[2] / "docs" / "datasets.md"
ONE, TWO = (4, 4, 24, 20), (30, 8, 56, 44)
QUICK = ["--max-steps", "1", "--batch-size", "1", "--validate-every", "1", "--workers", "0",
         "--device", "cpu", "--threads", "1", "--precision", "fp32"]  # fmt: skip

Refused = Callable[..., tuple[int, str]]


def documented_commands() -> list[list[str]]:
    """The words of each command under the guide's last heading."""
    text = GUIDE.read_text().rpartition("\n## ")[2].replace("\\\n", " ")
    return [shlex.split(line)[1:] for line in re.findall(r"^    (yolact-ros .*)$", text, re.M)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: two recordings of LabelMe, two of YOLO and one of CVAT."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("hall_1", "hall_2", "lab_1", "lab_2")):
        write_picture(tmp_path / "labelled" / f"{name}.png", number)
        shapes = [labelme_shape("cup", corners(ONE)), labelme_shape("mug", corners(TWO))]
        write_labelme(tmp_path / "labelled" / f"{name}.json", shapes)
    for number, name in enumerate(("yard_1", "yard_2", "yard_3", "shed_1"), start=4):
        write_picture(tmp_path / "yolo" / "images" / f"{name}.jpg", number)
        write_yolo(tmp_path / "yolo" / "labels" / f"{name}.txt", [(0, ONE), (1, TWO)])
    (tmp_path / "yolo" / "data.yaml").write_text("train: images\nnames: [mug, spoon]\n")
    for number, name in enumerate(("gate_1.png", "gate_2.png"), start=8):
        write_picture(tmp_path / "cvat" / "images" / name, number)
    exported = tmp_path / "cvat" / "annotations" / "instances_default.json"
    write_cvat(exported, ["gate_1.png", "gate_2.png"], [("cup", ONE), ("mug", TWO)])
    return tmp_path


@pytest.mark.slow
def test_the_documented_commands_lead_from_labels_to_a_report(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = documented_commands()
    assert {words[0] for words in commands} == {"dataset", "train", "eval"}
    printed = {}
    for words in commands:
        assert main(words + (QUICK if words[0] == "train" else [])) == 0, shlex.join(words)
        printed[" ".join(words[:2])] = capsys.readouterr().out
    assert "10 images, 20 objects of 3 classes: cup, mug, spoon" in printed["dataset merge"]
    assert printed["dataset merge"].endswith("written: all.json; its images are in --images .\n")
    assert "10 images in 5 groups that stay together" in printed["dataset split"]
    parts = [read_dataset(folder / "parts" / f"{name}.json", folder) for name in ("train", "val")]
    recordings = [{re.sub(r"_.*", "", i.file_name) for i in part.images} for part in parts]
    assert [len(part) for part in parts] == [7, 3] and not recordings[0] & recordings[1]
    assert "yolact_demo for 3 classes: cup, mug, spoon" in printed["train --preset"]
    assert "warning" not in printed["train --preset"]
    assert printed["eval --weights"].startswith("3 images, 6 objects")
    assert (folder / "report" / "index.html").is_file()


def test_import_says_what_it_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    box = "0 0.5 0.5 0.2 0.2\n"
    (folder / "yolo" / "labels" / "yard_1.txt").write_text(7 * box)
    command = ["dataset", "import", "yolo", "--out", "new/labels.json", "--classes", "mug"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "left out: boxes without outlines: 7"
    assert lines[1].endswith("yard_1.txt, line 1") and lines[6] == "  ... and 2 more"
    assert lines[-2:] == [
        "4 images, 3 objects of 1 classes: mug",
        "written: new/labels.json; its images are in --images yolo/images",
    ]
    before = (folder / "new" / "labels.json").read_bytes()
    assert main(command) == 1
    assert "labels.json: expected no such file yet, got one; --force" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0
    assert (folder / "new" / "labels.json").read_bytes() == before
    assert json.loads(before)["categories"] == [{"id": 1, "name": "mug"}]


def test_merge_says_what_two_files_share(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "import", "labelled", "--out", "a.json"]) == 0
    content = json.loads((folder / "a.json").read_text())
    content["categories"][0]["name"] = "Cup "
    (folder / "b.json").write_text(json.dumps(content))
    capsys.readouterr()
    command = ["dataset", "merge", "a.json", "b.json", "--images", "labelled", "--out", "c.json"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "warning: classes that may be one: 'cup' and 'Cup '",
        "pictures that several files label: 4, such as hall_1.png; annotations that were there "
        "already: 4",
        "4 images, 12 objects of 3 classes: cup, mug, Cup ",
        "written: c.json; its images are in --images labelled",
    ]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["import", "nowhere", "--out", "x.json"], 2, "SOURCE: expected an existing file or f"),
        (["import", "yolo", "--out", "x.txt"], 2, "--out: expected a file name that ends in .json"),
        (["import", "yolo", "--out", "x.json", "--part", "a/b"], 2, "--part: expected a name"),
        (["import", "yolo", "--out", "x.json", "--format", "voc"], 1, "expected the folders Segm"),
        (["import", "yolo", "--out", "x.json", "--classes", "cup"], 1, "names among mug, spoon"),
        (["merge", "yolo", "--out", "x.json"], 2, "JSON: expected an existing file"),
        (["split", "yolo/data.yaml", "--out", "x", "--by", "("], 2, "--by: expected recording, f"),
    ],
)
def test_wrong_words_are_named(
    folder: Path, refused: Refused, words: list[str], status: int, message: str
) -> None:
    refusal = refused("dataset", *words)
    assert refusal[0] == status and message in refusal[1]
    assert not (folder / "x.json").exists()
