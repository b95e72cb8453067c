# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest

from yolact_ros.cli.main import main
from yolact_ros.inference import Segmenter
from yolact_ros.inference.engines.exported_file import ExportedFile
from yolact_ros.presets import get_preset, with_classes
from yolact_testing.networks import random_weights

pytestmark = pytest.mark.slow  # exports networks

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

CLASSES = ("screw", "nut")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    preset = with_classes(get_preset("yolact_demo"), CLASSES)
    return str(random_weights(tmp_path_factory.mktemp("weights"), preset, eager=1))


def test_a_file_with_its_options_and_classes(tmp_path, weights, capfd):
    out = tmp_path / "x.onnx"
    command = ["export", "--weights", weights, "--out", str(out), "--nms", "cross_class"]
    assert main([*command, "--max-instances", "7", "--score-threshold", "0.25"]) == 0
    printed, noise = capfd.readouterr()
    assert "yolact_demo, 320x320 pixels, 2 classes, fp32" in printed
    assert "largest difference from torch in fp32" in printed and "prototypes" in printed
    assert noise == ""
    metadata = {entry.key: entry.value for entry in onnx.load(out).metadata_props}
    file = ExportedFile.from_metadata(metadata, out)
    assert file.preset.class_names == CLASSES
    options = file.options
    assert (options.nms, options.max_instances, options.score_threshold) == ("cross_class", 7, 0.25)
    assert main(["weights", "inspect", str(out)]) == 0
    printed = capfd.readouterr().out
    for words in (
        "format        ONNX, IR version 8, opset 18",
        "inputs        images batchx3x320x320",
        "preset        yolact_demo, 320 pixels, 2 classes",
        "class names   screw, nut",
        '"nms": "cross_class"',
    ):
        assert words in printed
    segmenter = Segmenter(weights=out, engine="onnxruntime", device="cpu")
    assert segmenter.class_names == CLASSES and segmenter.options.max_instances == 100

    assert [file.name for file in tmp_path.iterdir()] == ["x.onnx"]


@pytest.fixture
def made(monkeypatch):
    """The options of each export, in the place of which a file is written."""
    made = []

    def export_network(network, path, **options):
        path.write_text("new")
        made.append(options)
        return {}

    monkeypatch.setattr("yolact_ros.export.export_network", export_network)
    return made


def test_a_file_is_replaced_only_with_force(tmp_path, weights, refused, made, capfd):
    out = tmp_path / "x.onnx"
    out.write_text("old")
    command = ["export", "--weights", weights, "--out", str(out)]
    assert refused(*command) == (1, f"yolact-ros: --out: {out} exists; --force replaces it")
    folder = tmp_path / "folder.onnx"
    folder.mkdir()
    status, line = refused(*command[:-1], str(folder), "--force")
    assert status == 2 and ".onnx, .pt2, not a folder, where" in line
    assert refused(*command, "--opset", "17")[0] == 2
    assert out.read_text() == "old" and not made
    form = ["--raw", "--batch", "2", "--opset", "21"]
    assert main([*command, "--force", "--no-check", *form]) == 0
    assert "difference" not in capfd.readouterr().out
    assert out.read_text() == "new"
    [options] = made
    assert (options["format"], options["precision"], options["check"]) == ("onnx", "fp32", False)
    assert (options["raw"], options["batch"], options["opset"]) == (True, 2, 21)


def test_the_format_follows_from_the_name(tmp_path, weights, made, capsys):
    out = tmp_path / "x.pt2"
    assert main(["export", "--weights", weights, "--out", str(out)]) == 0
    [options] = made
    assert (options["format"], options["check"]) == ("torch", True)
    wrong = ["export", "--weights", weights, "--out", str(tmp_path / "y.onnx"), "--format", "torch"]
    assert main(wrong) == 1
    assert "--out: expected a name that ends in .pt2, got" in capsys.readouterr().err


def test_predict_runs_an_exported_file(tmp_path, exported, refused):
    import cv2

    from yolact_ros.scenes.scene import Scene

    image = Scene.random(2_100_000, width=640, height=480).frame(0.0).image
    cv2.imwrite(str(tmp_path / "image.png"), image[..., ::-1])
    results = {}
    for engine in ("torch", "onnxruntime"):
        out = tmp_path / engine
        command = ["predict", str(tmp_path / "image.png"), "--out", str(out), "--quiet"]
        command += ["--engine", engine, "--device", "cpu", "--no-overlay"]
        command += ["--precision", "fp32"]
        if engine == "onnxruntime":
            command += ["--weights", str(exported("yolact_demo").path)]
        assert main(command) == 0
        results[engine] = json.loads((out / "results.json").read_text())
    one, other = results["torch"], results["onnxruntime"]
    assert [r["category_id"] for r in one] == [r["category_id"] for r in other] != []
    np.testing.assert_allclose([r["score"] for r in one], [r["score"] for r in other], atol=1e-4)
    assert refused(*command[:-1], "none.onnx") == (
        2, "yolact-ros predict: --weights: expected an existing file, got 'none.onnx'; "
        "see yolact-ros predict --help",
    )  # fmt: skip
