# SPDX-License-Identifier: Apache-2.0
"""Files for ONNX Runtime: what they are is seen before it reads them, and why it refuses one."""

import zipfile

import pytest
import torch

from yolact_ros.checkpoints import CheckpointError
from yolact_ros.inference.engines.onnx_file import (
    in_batches,
    only_way_to,
    read_onnx,
    why_refused,
)

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def model_of(operator, opset=18, ir_version=8):
    """One operator on two tensors."""
    value = onnx.helper.make_tensor_value_info
    tensors = [value(name, onnx.TensorProto.FLOAT, [1, 2, 3, 3]) for name in "xyz"]
    node = onnx.helper.make_node(operator, ["x", "y"], ["z"])
    graph = onnx.helper.make_graph([node], "graph", tensors[:2], tensors[2:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    model.ir_version = ir_version
    return model


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (model_of("Add", ir_version=99), ("(IR version 99, opset 18)", "it knows IR versions up")),
        (model_of("Add", opset=99), ("(IR version 8, opset 99)", "it knows opsets up to ")),
        (model_of("Nothing"), ("(IR version 8, opset 18)", "No Op registered for Nothing")),
    ],
)
def test_a_refusal_names_the_versions_of_both(model, words):
    with pytest.raises(Exception, match="ONNXRuntimeError") as error:
        onnxruntime.InferenceSession(model.SerializeToString())
    text = why_refused("onnxruntime 1.20.1", model, error.value)
    assert text.startswith("onnxruntime 1.20.1 cannot load the file (")
    assert all(word in text for word in words)
    assert len(text) < 400 and "\n" not in text
    assert not [word for word in ("::", "const ", ".cc", "DeformConv") if word in text]
    assert "; export the network again" in text


def test_deformable_convolution_is_named_where_the_file_has_it():
    # as versions before 1.25 say it
    error = RuntimeError(
        "[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for "
        "DeformConv(19) node with name 'node_DeformConv_7'"
    )
    text = why_refused("onnxruntime 1.20.1", model_of("DeformConv", 19, 9), error)
    assert text == (
        "onnxruntime 1.20.1 cannot load the file (IR version 9, opset 19): Could not find an "
        "implementation for DeformConv(19) node with name 'node_DeformConv_7'; YOLACT++ needs one "
        "with DeformConv, 1.25 or later"
    )


def test_the_content_decides_and_not_the_name(tmp_path):
    path = tmp_path / "x.onnx"
    torch.save({"a": torch.ones(1)}, path)
    with pytest.raises(CheckpointError, match=r"expected an \.onnx file; .*x\.onnx is a file of w"):
        read_onnx(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/archive_format", "pt2")
    with pytest.raises(CheckpointError, match=r"x\.onnx is a program of torch\.export; export"):
        read_onnx(path)
    path = tmp_path / "x.pth"
    onnx.save(model_of("Add"), path)
    with pytest.raises(CheckpointError, match=r"x\.pth, which another program wrote"):
        read_onnx(path)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_any_number_of_images_goes_through_a_network_of_two(count):
    def run(images):
        assert len(images) == 2
        return [images.sum(dim=(1, 2, 3)), -images]

    images = torch.randn(count, 3, 4, 4)
    sums, negative = in_batches(run, images, 2)
    torch.testing.assert_close(sums, images.sum(dim=(1, 2, 3)))
    torch.testing.assert_close(negative, -images)


@pytest.mark.parametrize(
    ("nodes", "kind", "way"),
    [
        ("p3 = Relu(x)  a = Neg(p3)  y = Exp(p3)  b = Abs(y)", "float", "p3"),
        # each part quantises by itself
        ("p3 = Relu(x)  q = QuantizeLinear(p3, s)  d = DequantizeLinear(q, s)"
         "  a = Neg(d)  b = Abs(d)", "float", "p3"),
        # a constant that both take is no way
        ("p3 = Relu(x)  c = Constant <value_float = 2.0> ()  a = Mul(p3, c)  b = Add(p3, c)",
         "float", "p3"),
        ("p3 = Relu(x)  y = Exp(x)  z = Add(p3, y)  a = Neg(z)  b = Mul(p3, y)", "float", None),
        ("p3 = Relu(x)  a = Neg(p3)  b = Abs(p3)", "float16", None),  # parts take float32
        ("a = Neg(x)  b = Abs(x)", "float", None),  # nothing but the input
    ],
)  # fmt: skip
def test_a_graph_is_cut_where_only_one_tensor_leads_on(nodes, kind, way):
    scale = "float s = {0.5}" if "Quantize" in nodes else ""
    model = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : 18]>
        graph ({kind}[B, 3] x) => ({kind}[B, 3] a, {kind}[B, 3] b)
        <{scale}>
        {{ {nodes.replace("  ", chr(10))} }}"""
    )
    assert only_way_to("b", ["a"], onnx.shape_inference.infer_shapes(model)) == way
