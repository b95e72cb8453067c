# SPDX-License-Identifier: Apache-2.0
"""Networks in INT8: which layers are, what the file says, and what is refused."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from yolact_ros.errors import InputError
from yolact_ros.export import quantize, quantize_file
from yolact_ros.export.description import describe
from yolact_ros.export.quantize import Kept, Quantized, _require, _Trials
from yolact_ros.export.quantized_layers import last_convolutions, layer_names, quantized
from yolact_ros.inference import Segmenter
from yolact_ros.inference.engines.onnx_file import read_onnx
from yolact_ros.inference.preprocess import Preprocessor
from yolact_ros.presets import get_preset
from yolact_ros.scenes.scene import Scene

pytestmark = pytest.mark.slow  # quantises a network

onnx = pytest.importorskip("onnx")

LAST = {"prediction_layers.0.output", "proto_net.10"}
"""Layers that stay in fp32: one makes boxes, classes and coefficients, on five feature maps."""


def scene(number):
    return Scene.random(2_100_000 + number, width=320, height=240).frame(0.0).image


@pytest.fixture(scope="module")
def in_int8(exported, tmp_path_factory):
    pytest.importorskip("nncf")
    out = tmp_path_factory.mktemp("int8") / "int8.onnx"
    prepare = Preprocessor(get_preset("yolact_demo"), torch.device("cpu"), torch.float32)
    quantize_file(
        exported("yolact_demo").path,
        out,
        range(4),
        lambda number: prepare([scene(number)], "rgb"),
        calibration={"pictures": 4, "folder": "scenes"},
    )
    return out


def test_all_layers_but_the_last_are_in_int8(exported, in_int8):
    before = read_onnx(exported("yolact_demo").path).model
    file = read_onnx(in_int8)
    after, described = file.model, file.described
    names = layer_names(before)
    convolutions = [node.name for node in before.graph.node if node.op_type == "Conv"]
    last = last_convolutions(before, 5)
    assert {names[node] for node in last} == LAST and len(last) == 6
    assert quantized(after) == set(convolutions) - set(last)
    assert described.precision == "int8" and described.preset == get_preset("yolact_demo")
    assert in_int8.stat().st_size < 0.4 * exported("yolact_demo").path.stat().st_size


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_engines_find_what_the_network_finds(exported, in_int8, engine):
    pytest.importorskip(engine)
    segmenter = Segmenter(weights=in_int8, engine=engine, device="cpu", score_threshold=0.5)
    assert (segmenter.engine, segmenter.precision) == (engine, "int8")
    network = exported("yolact_demo").network
    in_torch = Segmenter(network=network, device="cpu", precision="fp32", score_threshold=0.3)
    seen = 0
    for number in range(4, 7):
        [found], [expected] = (one(scene(number), "rgb") for one in (segmenter, in_torch))
        for class_id, mask in zip(found.class_ids, found.masks, strict=True):
            others = expected.masks[expected.class_ids == class_id]
            shared = (others & mask).sum((1, 2)) / np.maximum((others | mask).sum((1, 2)), 1)
            assert shared.max(initial=0) > 0.8
            seen += 1
    assert seen >= 3


def test_what_cannot_be_quantised_is_refused(exported, in_int8, tmp_path):
    out = tmp_path / "x.onnx"
    with pytest.raises(InputError, match=r"expected a file in fp32, got int8 in .*int8\.onnx"):
        quantize_file(in_int8, out, [], torch.zeros)
    model = read_onnx(exported("yolact_demo").path).model
    with pytest.raises(InputError, match="expected 4 convolutions that make offsets, found 5"):
        last_convolutions(model, 4)
    with pytest.raises(InputError, match=r"calibrate: expected pictures in .*, found none"):
        quantize.choose_pictures(tmp_path)
    assert not out.exists()


def test_pictures_are_chosen_by_a_fixed_seed(tmp_path, monkeypatch):
    for number in range(20):
        (tmp_path / f"{number:02}.png").touch()
    assert len(quantize.choose_pictures(tmp_path)) == 20
    monkeypatch.setattr(quantize, "MOST_PICTURES", 5)
    chosen = quantize.choose_pictures(tmp_path)
    assert len(set(chosen)) == 5 and chosen == quantize.choose_pictures(tmp_path)


def model_with(*in_int8):
    """A graph of the convolutions a, b and c, some of them in INT8."""
    nodes = []
    for name in "abc":
        inputs = [f"{name}.x", f"{name}.w"]
        if name in in_int8:
            inputs[1] += ".dequantized"
            nodes.append(onnx.helper.make_node("DequantizeLinear", [f"{name}.w", "s"], [inputs[1]]))
        nodes.append(onnx.helper.make_node("Conv", inputs, [f"{name}.y"], name=name))
    return onnx.helper.make_model(onnx.helper.make_graph(nodes, "graph", [], []))


def test_accuracy_control_is_told_and_remembered(tmp_path, monkeypatch):
    """As NNCF goes: the network, INT8, single pictures, then layers taken back one by one."""
    aps = iter([0.80, 0.70, 0.1, 0.72, 0.71, 0.79])

    class Measure:
        def __len__(self):
            return 2

        def __call__(self, network, numbers):
            return next(aps), [0.5] * len(numbers)

    monkeypatch.setattr(quantize, "OnnxNetwork", lambda path, device: None)
    file = SimpleNamespace(metadata=lambda: {"precision": "int8"})
    trials = _Trials(tmp_path, Measure(), file)
    for model, numbers in (
        (model_with(), [0, 1]),
        (model_with(*"abc"), [0, 1]),
        (model_with(*"ab"), [1]),
        (model_with(*"ab"), [0, 1]),
        (model_with(*"b"), [0, 1]),  # worse: taken back
        (model_with(*"a"), [0, 1]),
    ):
        trials(model, iter(numbers))
    names = {"a": "first", "b": "second", "c": "third"}
    result = trials.result({"a"}, ["c"], names)
    assert (result.before, result.after, result.layers) == (0.80, 0.79, 1)
    assert result.kept == (Kept(("third",), 0.72), Kept(("second",), 0.79))
    assert result.always == ("third",)


def test_a_loss_that_is_too_large_names_the_layers_that_cost_most():
    kept = (Kept(("backbone.conv1",), 0.71), Kept(("proto_net.0", "proto_net.2"), 0.78))
    result = Quantized(0.80, 0.78, 30, ("proto_net.10",), kept)
    _require(result, 2.01)
    with pytest.raises(InputError) as caught:
        _require(result, 0.5)
    assert str(caught.value).startswith(
        "quantize: expected a loss of at most 0.5 points of mask AP, got 2.00 (80.00 to 78.00) "
        "even with the layers in fp32 that cost most: backbone.conv1, proto_net.0 with proto_net.2;"
    )


def test_the_file_says_what_it_was_calibrated_with(in_int8):
    said = describe(in_int8)  # what `yolact-ros weights inspect` prints
    assert json.loads(said["calibration"]) == {"pictures": 4, "folder": "scenes"}
    assert said["precision"] == "int8" and "mug" in said["class names"]
