# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros eval` with the shipped weights on a few synthetic scenes, made awkward."""

import contextlib
import hashlib
import io
import json
import shlex
import subprocess
import sys

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from yolact_ros.checkpoints import read_metadata
from yolact_ros.cli.main import main
from yolact_ros.errors import InputError
from yolact_ros.evaluation.coco import METRICS
from yolact_ros.inference import shipped_weights
from yolact_ros.presets import DEMO_CLASSES, get_preset
from yolact_ros.scenes.synth_set import SynthSet

WEIGHTS = shipped_weights(get_preset("yolact_demo"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(WEIGHTS is None, reason="this checkout has no trained weights"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four scenes with crowds and tiny objects, and an empty image."""
    folder = tmp_path_factory.mktemp("set")
    SynthSet(images=4, seed=1_003_000, width=320, height=240).write(
        folder, workers=1, version="test"
    )
    file = folder / "annotations.json"
    content = json.loads(file.read_text())
    largest = max(content["annotations"], key=lambda annotation: annotation["area"])
    largest["iscrowd"] = 1
    for image in content["images"][:3]:  # one per image of 2 x 2 pixels
        content["annotations"].append(
            {
                "id": 1000 + image["id"],
                "image_id": image["id"],
                "category_id": 1,
                "bbox": [3, 4, 2, 2],
                "area": 4,
                "iscrowd": 0,
                "segmentation": [[3, 4, 5, 4, 5, 6, 3, 6]],
            }
        )
    cv2.imwrite(str(folder / "images" / "grey.png"), np.full((50, 60, 3), 128, np.uint8))
    content["images"].append({"id": 77, "file_name": "grey.png", "width": 60, "height": 50})
    file.write_text(json.dumps(content))
    return folder


def arguments(folder, out, *more):
    return [
        "eval",
        "--annotations",
        str(folder / "annotations.json"),
        "--images",
        str(folder / "images"),
        "--out",
        str(out),
        "--device",
        "cpu",
        "--precision",
        "fp32",
        "--quiet",
        *more,
    ]


@pytest.fixture(scope="module")
def report(folder, tmp_path_factory):
    """The folder that a process of its own wrote, and what it printed."""
    out = tmp_path_factory.mktemp("eval") / "report"
    command = [sys.executable, "-m", "yolact_ros.cli.main", *arguments(folder, out)]
    # elsewhere: `-m` would take the source tree in the checkout
    result = subprocess.run(command, cwd=out.parent, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return out, result.stdout


def test_it_says_what_it_measured(report, folder):
    out, printed = report
    written = json.loads((out / "metrics.json").read_text())
    counts = written["counts"]
    assert counts["images"] == 5
    assert counts["crowds"] == 1
    assert counts["images_without_objects"] == 1
    assert printed.startswith(f"5 images, {counts['objects']} objects\n")
    assert f"{written['mask']['ap']:7.3f}" in printed
    assert printed.endswith(f"report in {out / 'index.html'}\n")
    assert all(name in printed for name in DEMO_CLASSES)
    assert written["mask"]["ap50"] > 0.4
    assert written["network"]["preset"] == "yolact_demo"
    assert written["network"]["score_threshold"] == 0.05
    assert written["weights"]["file"] == str(WEIGHTS)
    assert written["weights"]["sha256"] == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    assert written["weights"]["metadata"] == read_metadata(WEIGHTS)
    annotations = (folder / "annotations.json").read_bytes()
    assert written["data"]["sha256"] == hashlib.sha256(annotations).hexdigest()
    assert written["machine"]["device"] == "cpu" and written["machine"]["precision"] == "fp32"
    assert written["machine"]["threads"] >= 1 and written["machine"]["batch_size"] == 1
    assert set(written["speed"]["milliseconds"]) == {
        "read", "total", "preprocess", "network", "decode", "masks"
    }  # fmt: skip
    assert {"torch", "faster-coco-eval", "numpy", "yolact_ros", "python"} <= set(
        written["versions"]
    )


def test_a_second_library_measures_the_same(report, folder, tmp_path):
    out, _ = report
    written = json.loads((out / "metrics.json").read_text())
    results = json.loads((out / "results.json").read_text())
    for name, kind, geometry in (("mask", "segm", "bbox"), ("box", "bbox", "segmentation")):
        own = tmp_path / f"{kind}.json"
        own.write_text(
            json.dumps([{k: v for k, v in result.items() if k != geometry} for result in results])
        )
        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO(str(folder / "annotations.json"))
            evaluation = COCOeval(truth, truth.loadRes(str(own)), kind)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        ours = [written[name][figure] for figure in METRICS]
        assert ours == pytest.approx(list(evaluation.stats), abs=1e-6)


def test_the_command_in_the_report_repeats_it(report, tmp_path, monkeypatch, capsys):
    out, printed = report
    first = json.loads((out / "metrics.json").read_text())
    words = shlex.split(first["command"])
    assert words[:2] == ["yolact-ros", "eval"]
    words[words.index(str(out))] = str(tmp_path / "again")
    assert main([*words[1:], "--batch-size", "3"]) == 0
    again = json.loads((tmp_path / "again" / "metrics.json").read_text())
    for name in ("mask", "box"):
        for figure in METRICS:
            assert again[name][figure] == pytest.approx(first[name][figure], abs=1e-3)
    assert again["machine"]["batch_size"] == 3
    assert capsys.readouterr().out.splitlines()[0] == printed.splitlines()[0]


@pytest.mark.parametrize(
    ("more", "precision"),
    [
        ([], "fp32"),
        (["--precision", "auto"], "auto"),
        (["--engine", "onnxruntime"], "auto"),  # that of the file
    ],
)
def test_accuracy_is_measured_in_fp32(monkeypatch, folder, tmp_path, more, precision):
    asked = []

    def refuse(**arguments):
        asked.append(arguments["precision"])
        raise InputError("enough")

    monkeypatch.setattr("yolact_ros.inference.Segmenter", refuse)
    of_pictures = arguments(folder, tmp_path / "out", *more)
    at = of_pictures.index("--precision")
    del of_pictures[at : at + 2]
    assert main(of_pictures) == 1
    for part in ("space", "tracking"):
        assert main(["eval", part, *more]) == 1
    assert asked == [precision] * 3


def rename(folder, tmp_path, names):
    """The data set's file with other names for the first classes, beside the same images."""
    content = json.loads((folder / "annotations.json").read_text())
    for category, name in zip(content["categories"], names, strict=False):
        category["name"] = name
    file = tmp_path / "annotations.json"
    file.write_text(json.dumps(content))
    (tmp_path / "images").symlink_to(folder / "images")
    return tmp_path


def test_classes_that_the_network_lacks_are_said(folder, tmp_path, capsys):
    renamed = rename(folder, tmp_path, ["spoon"])
    content = json.loads((renamed / "annotations.json").read_text())
    content["images"][-1]["file_name"] = "gone.png"  # beyond the limit
    (renamed / "annotations.json").write_text(json.dumps(content))
    more = ["--limit", "2", "--score-threshold", "0.5"]
    assert main(arguments(renamed, tmp_path / "out", *more)) == 0
    error = capsys.readouterr().err
    assert error == "yolact-ros: the network does not know spoon: counted as never found\n"
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert written["counts"]["images"] == 2
    assert written["operating_point"]["score"] == 0.5  # never below the other threshold
    assert written["counts"]["unknown_classes"] == ["spoon"]
    assert written["mask"]["ap_per_class"]["spoon"] == 0
    # The network is kept to the classes that there are.
    assert written["network"]["classes"] == [name for name in DEMO_CLASSES if name != "ball"]
    assert written["counts"]["left_out"] == {}
    # Of a file, some classes can be measured, and the others are then not missed.
    more = ["--limit", "1", "--classes", "box", "mug"]
    assert main(arguments(renamed, tmp_path / "some", *more)) == 0
    assert capsys.readouterr().err == ""
    written = json.loads((tmp_path / "some" / "metrics.json").read_text())
    assert list(written["mask"]["ap_per_class"]) == ["box", "mug"]


@pytest.mark.parametrize(
    ("more", "status", "message"),
    [
        (["--weights", "nowhere.pth"], 2, "--weights: expected an existing file, got 'nowhere"),
        (["--preset", "yolact_base", "--weights", str(WEIGHTS)], 1, "yolact_base"),
        (["--limit", "0"], 2, "--limit: expected an integer of 1 or more, got '0'"),
        (["--batch-size", "0"], 2, "--batch-size: expected an integer of 1 or more, got '0'"),
        (["--pictures", "-1"], 2, "--pictures: expected an integer of 0 or more, got '-1'"),
        (
            ["--operating-score", "0.01"],
            1,
            "--operating-score: expected --score-threshold (0.05) or more, got 0.01",
        ),
        (["--annotations", "nowhere.json"], 2, "expected an existing file, got 'nowhere.json'"),
        (["--classes", "teapot"], 1, "classes: expected names among ball"),
    ],
)
def test_wrong_arguments_give_one_line_before_anything_is_computed(
    folder, tmp_path, refused, more, status, message
):
    refusal = refused(*arguments(folder, tmp_path / "out", *more))
    assert refusal[0] == status and message in refusal[1]
    assert not (tmp_path / "out").exists()


def test_no_class_in_common(folder, tmp_path, capsys):
    renamed = rename(folder, tmp_path, [f"spoon {number}" for number in range(8)])
    assert main(arguments(renamed, tmp_path / "out")) == 1
    error = capsys.readouterr().err
    assert "to be among the network's (ball, box, " in error
    assert "got spoon 0, spoon 1" in error
    assert not (tmp_path / "out").exists()


def test_broken_data_sets_are_named(folder, tmp_path, capsys):
    renamed = rename(folder, tmp_path, [])
    file = tmp_path / "annotations.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["category_id"] = 99
    file.write_text(json.dumps(content))
    assert main(arguments(renamed, tmp_path / "out")) == 1
    error = capsys.readouterr().err
    assert str(file) in error and "annotation 1" in error
    assert not (tmp_path / "out").exists()


def test_the_report_is_no_file(folder, tmp_path, refused):
    (tmp_path / "out").write_text("mine")
    status, message = refused(*arguments(folder, tmp_path / "out"))
    assert status == 2 and "--out: expected a folder, not a file, where" in message
    assert (tmp_path / "out").read_text() == "mine"
