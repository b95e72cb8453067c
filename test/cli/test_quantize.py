# SPDX-License-Identifier: Apache-2.0
import sys

import numpy as np
import pytest

from yolact_ros.cli.main import main
from yolact_ros.cli.quantize import _MaskAp
from yolact_ros.datasets.merge import read_datasets
from yolact_ros.export import quantize
from yolact_ros.export.quantize import Kept, Quantized
from yolact_ros.presets import get_preset

pytest.importorskip("nncf")
pytest.importorskip("faster_coco_eval")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes") / "val"
    size = ["--image-size", "160x120"]
    assert main(["dataset", "synth", str(folder), "--images", "2", "--seed", "2100000", *size]) == 0
    return folder


@pytest.fixture
def command(scenes, exported):
    return [
        *("quantize", "--weights", str(exported("yolact_demo").path)),
        *("--calibrate", str(scenes), "--val", str(scenes / "annotations.json")),
        *("--val-images", str(scenes / "images")),
    ]


@pytest.mark.slow
def test_what_was_lost_is_printed(tmp_path, command, exported, monkeypatch, capsys):
    asked = {}

    def quantize_file(path, out, items, prepare, **how):
        x = prepare(items[0])
        assert path == exported("yolact_demo").path and x.shape == (1, 3, 320, 320)
        asked.update(how)
        out.write_bytes(b"x" * 2_000_000)
        return Quantized(0.853, 0.850, 35, ("proto_net.10",), (Kept(("fpn.lat",), 0.85),))

    monkeypatch.setattr(quantize, "quantize_file", quantize_file)
    out = tmp_path / "int8.onnx"
    assert main([*command, "--out", str(out), "--max-loss", "0.4"]) == 0
    assert capsys.readouterr().out == (
        f"{out}: yolact_demo, int8, 2.0 MB\n"
        "mask AP on 2 images: 85.30 before, 85.00 after, -0.30 points\n"
        "35 layers in int8; always in fp32: proto_net.10\n"
        "left in fp32 to lose less: fpn.lat (mask AP 85.00)\n"
    )
    assert asked["max_loss"] == 0.4 and len(asked["measure"]) == 2
    assert asked["calibration"]["pictures"] >= 2 and asked["calibration"]["folder"] == "val"


@pytest.mark.slow
def test_wrong_input_is_refused_at_once(tmp_path, command, refused, scenes, monkeypatch):
    monkeypatch.setattr(quantize, "quantize_file", None)
    out = tmp_path / "int8.onnx"
    (tmp_path / "empty").mkdir()
    for changed, message in (
        (["--out", tmp_path / "no" / "x.onnx"], f"--out: expected a folder at {tmp_path}/no, "),
        (["--out", tmp_path / "x.pt2"], "--out: expected a file name that ends in .onnx"),
        (["--out", out, "--calibrate", tmp_path / "empty"], "calibrate: expected pictures in"),
        (["--out", out, "--max-loss", "-1"], "--max-loss: expected 0 to 100, got '-1'"),
        (["--out", out, "--class-names", "a"], "--class-names: expected none for an .onnx file"),
        (["--out", out, "--val", scenes / "images"], "--val: expected an existing file"),
    ):
        assert message in refused(*command, *changed)[1]
    out.write_text("old")
    assert f"--out: {out} exists; --force replaces it" in refused(*command, "--out", out)[1]
    monkeypatch.setitem(sys.modules, "nncf", None)
    missing = refused(*command, "--out", out, "--force")[1]
    assert "expected the packages nncf, onnx and onnxruntime (the extra quantize" in missing
    assert out.read_text() == "old"


@pytest.mark.slow
def test_mask_ap_is_that_of_the_pictures_asked_for(scenes, exported):
    dataset = read_datasets([scenes / "annotations.json"], [scenes / "images"], ())
    measure = _MaskAp(dataset, get_preset("yolact_demo"), quiet=True)
    network = pytest.importorskip("yolact_ros.inference.engines.onnxruntime").OnnxNetwork(
        exported("yolact_demo").path, device="cpu"
    )
    ap, each = measure(network, [1, 0])
    assert 0 < ap <= 1 and len(each) == 2
    alone = [measure(network, [number])[1] for number in (1, 0)]
    np.testing.assert_allclose(each, np.ravel(alone))
