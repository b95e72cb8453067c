# SPDX-License-Identifier: Apache-2.0
"""Segmenter with OpenVINO behind it."""

import dataclasses
import sys

import numpy as np
import pytest
import torch

from yolact_ros.inference import Segmenter
from yolact_ros.inference.engines import prepare
from yolact_ros.inference.engines.openvino import OpenVinoNetwork, _deformable_convolution
from yolact_ros.scenes.scene import Scene
from yolact_testing.comparing import assert_close_instances

pytestmark = pytest.mark.slow  # compiles networks

openvino = pytest.importorskip("openvino")
onnx = pytest.importorskip("onnx")


def picture(number, width=320, height=240):
    scene = Scene.random(2_100_000 + number, width=width, height=height)
    return scene.frame(0.0).image[..., ::-1]


@pytest.fixture(scope="module")
def segmenter(exported):
    """It, and what OpenVINO was told when it compiled the network."""
    told = []
    compile_model = openvino.Core.compile_model

    def listen(core, model, device, how):
        told.append((device, how))
        return compile_model(core, model, device, how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openvino.Core, "compile_model", listen)
        patch.setattr(torch, "get_num_threads", lambda: 1)
        made = Segmenter(weights=exported("yolact_demo").path, engine="openvino")
    how, of_the_protonet = told
    assert how == of_the_protonet
    return made, how


def test_instances_are_those_of_torch(exported, segmenter):
    one, _ = segmenter
    assert (one.engine, one.precision, one.providers) == ("openvino", "fp32", ("CPU",))
    in_torch = Segmenter(network=exported("yolact_demo").network, device="cpu", precision="fp32")
    images = [picture(0, 640, 480), picture(1), picture(2, 500, 700)]
    for batch in (images, images[:1], images[1:]):
        for found, expected in zip(one(batch), in_torch(batch), strict=True):
            assert_close_instances(found, expected, least=3)
    kept = one(images[0])[0]
    before = kept.scores.copy()
    one(images[1])
    np.testing.assert_array_equal(kept.scores, before)  # it owns what it was given


def test_yolact_plus_plus_is_read_with_its_mask_iou_net(exported):
    network, path = exported("small_plus")
    one = Segmenter(weights=path, engine="openvino")
    in_torch = Segmenter(network=network, device="cpu", precision="fp32")
    images = [picture(0, 160, 120), picture(1, 160, 120)]
    for found, expected in zip(one(images), in_torch(images), strict=True):
        assert_close_instances(found, expected, least=3)
        np.testing.assert_allclose(found.mask_scores, expected.mask_scores, atol=1e-3)
    one.options = dataclasses.replace(one.options, score_threshold=1.0)
    assert [len(found) for found in one(images)] == [0, 0]


def test_it_rounds_nothing_and_takes_as_many_threads_as_torch(segmenter):
    _, (device, how) = segmenter
    assert device == "CPU" and how["INFERENCE_PRECISION_HINT"] == "f32"
    assert how["INFERENCE_NUM_THREADS"] == 1 and how["ENABLE_CPU_PINNING"] is False


def test_deformable_convolutions_are_read_from_onnx():
    """OpenVINO has the operator, and its reader of ONNX does not know it."""
    from onnx import TensorProto, helper, numpy_helper
    from torchvision.ops import deform_conv2d

    generator = torch.Generator().manual_seed(0)
    weight, bias = (torch.randn(*shape, generator=generator) for shape in ((4, 6, 3, 3), (4,)))
    inputs = {
        "x": torch.randn(2, 6, 9, 7, generator=generator),
        "offsets": 2 * torch.randn(2, 18, 5, 4, generator=generator),
        "mask": torch.rand(2, 9, 5, 4, generator=generator),
    }
    node = helper.make_node(
        "DeformConv",
        ["x", "weight", "offsets", "bias", "mask"],
        ["y"],
        **{"pads": [1] * 4, "strides": [2, 2], "dilations": [1, 1], "group": 1, "offset_group": 1},
    )
    described = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *value.shape[1:]])
        for name, value in inputs.items()
    ]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4, 5, 4])
    constants = [
        numpy_helper.from_array(value.numpy(), name)
        for name, value in (("weight", weight), ("bias", bias))
    ]
    graph = helper.make_graph([node], "graph", described, [out], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    core = openvino.Core()
    extension = openvino.frontend.onnx.ConversionExtension("DeformConv", _deformable_convolution)
    core.add_extension(extension)
    compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU")
    found = compiled({name: value.numpy() for name, value in inputs.items()})[0]
    expected = deform_conv2d(
        inputs["x"], inputs["offsets"], weight, bias, stride=2, padding=1, mask=inputs["mask"]
    )
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


def test_what_it_cannot_do_is_said(exported, monkeypatch):
    path = exported("yolact_demo").path
    with pytest.raises(ValueError, match="device: expected auto or cpu for 'openvino', got 'cuda'"):
        OpenVinoNetwork(path, device="cuda")
    message = "precision: expected auto or fp32, .*, or bf16 in this engine, got 'fp16'"
    with pytest.raises(ValueError, match=message):
        OpenVinoNetwork(path, precision="fp16")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(ValueError, match="OpenVINO has no bf16 on this processor"):
            OpenVinoNetwork(path, precision="bf16")
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "openvino.frontend.onnx")
    message = "expected the packages openvino and onnx for 'openvino' \\(the extra openvino: pip"
    with pytest.raises(ValueError, match=message):
        Segmenter(weights=path, engine="openvino")


def test_the_engine_follows_from_the_file(tmp_path, monkeypatch):
    file = tmp_path / "network.weights"  # content tells, not the name
    installed = {"onnxruntime", "openvino"}
    monkeypatch.setattr(prepare, "find_spec", lambda name: name in installed or None)
    model = onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], []))
    file.write_bytes(model.SerializeToString())
    assert prepare.resolve_engine("auto", file) == "onnxruntime"
    assert prepare.resolve_engine("openvino", file) == "openvino"
    assert prepare.resolve_engine("torch", file) == "torch"
    installed.remove("onnxruntime")
    assert prepare.resolve_engine("auto", file) == "openvino"
    installed.clear()  # whose error names what to install
    assert prepare.resolve_engine("auto", file) == "onnxruntime"
    for weights in (None, "none.onnx"):
        assert prepare.resolve_engine("auto", weights) == "torch"
