# SPDX-License-Identifier: Apache-2.0
"""The published network's outputs, with synthetic weights and images (see test/golden)."""

import functools
import json
import runpy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from yolact_ros.inference import Segmenter
from yolact_ros.inference.assemble import split_masks
from yolact_ros.inference.decode import detect
from yolact_ros.inference.gpu.path import GpuPath
from yolact_ros.inference.options import SegmenterOptions
from yolact_ros.inference.preprocess import Preprocessor
from yolact_ros.inference.rescore import rescore
from yolact_ros.network import build_network
from yolact_ros.network.mask_iou import MaskIouNet
from yolact_ros.network.prototypes import prototypes_within
from yolact_ros.ops.masks import assemble_masks
from yolact_ros.presets import preset_names
from yolact_ros.structures import PendingPredictions, RawPredictions
from yolact_testing.masks import OfWhatIsUsed

pytestmark = pytest.mark.slow  # runs every published network

COMPACT = Path(__file__).parents[1] / "golden"
recipe = runpy.run_path(str(COMPACT / "fill_weights.py"))


class Forward(NamedTuple):
    image: np.ndarray
    image_size: tuple[int, int]
    maps: dict[str, torch.Tensor]
    predictions: RawPredictions
    expected: dict[str, np.ndarray]
    golden: Any
    mask_iou_net: MaskIouNet | None


TOLERANCES = {"x": 1e-5, "mask": 5e-4}  # all others 1e-3


PRESETS = [name for name in preset_names() if name != "yolact_demo"]


@pytest.fixture(scope="module", params=PRESETS)
def reference(request):
    path = COMPACT / f"{request.param}.npz"
    if not path.is_file():
        path = Path(__file__).parents[3] / "shared" / "golden" / path.name
    if not path.is_file():
        pytest.skip(f"no reference outputs of {request.param} (../shared/golden)")
    network = build_network(request.param).eval()
    entries = [[key, list(value.shape), ""] for key, value in network.state_dict().items()]
    filled = recipe["fill_state"](entries, request.param)
    network.load_state_dict({key: torch.from_numpy(np.array(v)) for key, v in filled.items()})
    return network, np.load(path)


@pytest.fixture(scope="module", params=[0, 1])
def forward(request, reference):
    network, golden = reference
    image = recipe["make_image"](request.param)
    height, width = image.shape[:2]
    preprocessor = Preprocessor(network.preset, torch.device("cpu"), torch.float32)
    maps = {}

    def keep(names):
        return lambda _module, _inputs, outputs: maps.update(zip(names, outputs, strict=True))

    hooks = [
        network.backbone.register_forward_hook(keep(["C3", "C4", "C5"])),
        network.fpn.register_forward_hook(keep(["P3", "P4", "P5", "P6", "P7"])),
    ]
    with torch.inference_mode():
        x = preprocessor([image], "bgr")
        predictions = network(x)
    for hook in hooks:
        hook.remove()
    prefix = f"img{request.param}_"
    outputs = {key[len(prefix) :]: golden[key] for key in golden.files if key.startswith(prefix)}
    return Forward(
        image, (height, width), {"x": x, **maps}, predictions, outputs, golden, network.maskiou_net
    )


def test_network_outputs(forward):
    predictions, expected = forward.predictions, forward.expected
    outputs = {
        **forward.maps,
        "proto": predictions.prototypes,
        "loc": predictions.offsets,
        "conf": predictions.class_scores,
        "mask": predictions.coefficients,
    }
    for name, tensor in outputs.items():
        assert tuple(tensor.shape) == tuple(expected[f"{name}_shape"]), name
        flat = tensor.contiguous().reshape(-1).numpy()
        values = flat[recipe["sample_indices"](flat.size)]
        tolerance = TOLERANCES.get(name, 1e-3)
        np.testing.assert_allclose(
            values, expected[f"{name}_val"], rtol=0, atol=tolerance, err_msg=name
        )
        stats = [flat.mean(dtype=np.float64), flat.std(dtype=np.float64), flat.min(), flat.max()]
        np.testing.assert_allclose(
            stats[:2], expected[f"{name}_stats"][:2], rtol=0, atol=1e-5, err_msg=name
        )
        np.testing.assert_allclose(
            stats[2:], expected[f"{name}_stats"][2:], rtol=0, atol=1e-3, err_msg=name
        )


def test_priors(forward):
    expected = forward.expected
    priors = forward.predictions.priors.numpy()
    assert list(priors.shape) == expected["priors_shape"].tolist()
    np.testing.assert_allclose(priors[:50], expected["priors_first"], rtol=0, atol=1e-7)
    np.testing.assert_allclose(priors[-50:], expected["priors_last"], rtol=0, atol=1e-7)
    sums = priors.sum(axis=0, dtype=np.float64)
    np.testing.assert_allclose(sums, expected["priors_sum"], rtol=1e-7)


@pytest.mark.parametrize(("prefix", "nms"), [("post", "fast"), ("ccpost", "cross_class")])
def test_detections_and_masks(forward, prefix, nms):
    (height, width), predictions, expected = (
        forward.image_size,
        forward.predictions,
        forward.expected,
    )
    with torch.inference_mode():
        found = detect(predictions, 0, SegmenterOptions(score_threshold=0.15, nms=nms))
        packed = assemble_masks(
            predictions.prototypes[0], found.coefficients, found.boxes, (height, width)
        )
        masks = split_masks(*(part.numpy() for part in packed))
    assert found.class_ids.tolist() == expected[f"{prefix}_class"].tolist()
    scores = expected.get(f"{prefix}_score", expected.get(f"{prefix}_score_box"))
    np.testing.assert_allclose(found.scores, scores, rtol=0, atol=1e-3)
    corners = (found.boxes.numpy() * [width, height, width, height]).astype(int)
    corners[:, :2] = corners[:, :2].clip(min=0)
    corners[:, 2:] = corners[:, 2:].clip(max=[width, height])
    assert np.abs(corners - expected[f"{prefix}_box"]).max() <= 1
    areas = np.array([mask.area for mask in masks])
    difference = np.abs(areas - expected[f"{prefix}_area"])
    assert (difference <= np.maximum(8, 0.005 * expected[f"{prefix}_area"])).all()
    bits = expected.get(f"{prefix}_maskbits", ())
    assert len(bits) or prefix == "ccpost"
    for mask, golden_bits in zip(masks, bits, strict=False):
        reference = np.unpackbits(golden_bits, count=height * width).reshape(height, width)
        own = np.zeros((height, width), bool)
        own[mask.rectangle] = mask.to_array()
        assert (own != reference).sum() <= max(8, 0.002 * reference.sum())


class Given:
    """A network that gives predictions made before."""

    engine, device, precision, providers = "given", torch.device("cpu"), "fp32", ()

    def __init__(self, preset, predictions, mask_iou_net):
        self.preset, self.maskiou_net = preset, mask_iou_net
        self._predictions = predictions

    def __call__(self, x):
        return self._predictions


class GivenInParts(Given):
    """The same, with prototypes that are only made where masks need them."""

    def __init__(self, network, forward):
        super().__init__(network.preset, forward.predictions, forward.mask_iou_net)
        p3 = forward.maps["P3"]
        self._make = functools.partial(prototypes_within, network.proto_net, network.prototypes, p3)

    def start(self, x):
        return PendingPredictions(**{**self._predictions._asdict(), "prototypes": self._make})


@pytest.mark.parametrize("forward", [0], indirect=True)  # one image: protonets take their time
def test_prototypes_that_wait_for_boxes(forward, reference, monkeypatch):
    monkeypatch.setattr("yolact_ros.network.prototypes.WHOLE_FROM", 1.0)
    segmenter = Segmenter(network=GivenInParts(reference[0], forward), score_threshold=0.15)
    check_instances(segmenter, forward, "post")


@pytest.mark.parametrize(("prefix", "nms"), [("post", "fast"), ("ccpost", "cross_class")])
def test_the_path_of_a_gpu(forward, reference, prefix, nms):
    given = Given(reference[0].preset, forward.predictions, forward.mask_iou_net)
    make_path = functools.partial(GpuPath, mask_steps=OfWhatIsUsed())
    segmenter = Segmenter(network=given, nms=nms, score_threshold=0.15, make_path=make_path)
    check_instances(segmenter, forward, prefix)


def check_instances(segmenter, forward, prefix):
    expected = forward.expected
    height, width = forward.image_size
    [found] = segmenter(forward.image)
    assert found.class_ids.tolist() == expected[f"{prefix}_class"].tolist()
    scores = expected.get(f"{prefix}_score", expected.get(f"{prefix}_score_box"))
    np.testing.assert_allclose(found.scores, scores, rtol=0, atol=1e-3)
    # Of the published code, which rounds to whole pixels within the image.
    corners = np.floor(found.boxes)
    assert np.abs(corners - expected[f"{prefix}_box"]).max() <= 1
    areas = np.array([mask.area for mask in found.packed_masks])
    difference = np.abs(areas - expected[f"{prefix}_area"])
    assert (difference <= np.maximum(8, 0.005 * expected[f"{prefix}_area"])).all()
    for mask, bits in zip(found.masks, expected.get(f"{prefix}_maskbits", ()), strict=False):
        wanted = np.unpackbits(bits, count=height * width).reshape(height, width)
        assert (mask != wanted).sum() <= max(8, 0.002 * wanted.sum())
    if forward.mask_iou_net is not None:
        wanted = expected[f"{prefix}_maskiou"]
        np.testing.assert_allclose(found.mask_scores, wanted, rtol=0, atol=2e-3)


@pytest.mark.parametrize(("prefix", "nms"), [("det", "fast"), ("cc", "cross_class")])
def test_everything_above_the_candidate_threshold(forward, prefix, nms):
    predictions, expected = forward.predictions, forward.expected
    with torch.inference_mode():
        found = detect(predictions, 0, SegmenterOptions(score_threshold=0.05, nms=nms))
    above = expected[f"{prefix}_score"] > 0.05
    own = sorted(zip(found.class_ids.tolist(), found.boxes.tolist(), strict=True))
    reference = sorted(
        zip(
            expected[f"{prefix}_class"][above].tolist(),
            expected[f"{prefix}_box"][above].tolist(),
            strict=True,
        )
    )
    assert [label for label, _ in own] == [label for label, _ in reference]
    np.testing.assert_allclose(
        [box for _, box in own], [box for _, box in reference], rtol=0, atol=1e-4
    )


@pytest.mark.parametrize(("prefix", "nms"), [("post", "fast"), ("ccpost", "cross_class")])
def test_mask_rescoring(forward, prefix, nms):
    if forward.mask_iou_net is None:
        assert f"{prefix}_maskiou" not in forward.expected
        return
    expected, prototypes = forward.expected, forward.predictions.prototypes[0]

    def rescored(kind):
        options = SegmenterOptions(score_threshold=0.15, nms=nms, rescoring=kind)
        with torch.inference_mode():
            found = detect(forward.predictions, 0, options)
            return rescore(forward.mask_iou_net, prototypes, found, options)

    found, mask_scores = rescored("published")
    scores = found.scores.numpy()
    np.testing.assert_allclose(mask_scores, expected[f"{prefix}_maskiou"], rtol=0, atol=2e-3)
    np.testing.assert_allclose(scores, expected[f"{prefix}_score_box"], rtol=0, atol=1e-3)
    products = scores * mask_scores.numpy()
    np.testing.assert_allclose(products, expected[f"{prefix}_score_mask"], rtol=0, atol=2e-3)
    found, _ = rescored("product")
    above = np.sort(expected[f"{prefix}_score_rescore_bbox"])[::-1]
    np.testing.assert_allclose(found.scores, above[above > 0.15], rtol=0, atol=2e-3)
    found, mask_scores = rescored("class")
    assert mask_scores is None
    np.testing.assert_allclose(
        found.scores, expected[f"{prefix}_score_norescore"], rtol=0, atol=1e-3
    )


def test_the_weights_are_the_published_recipe(shared_golden):
    entries = json.loads((shared_golden / "state_dicts.json").read_text())["yolact_resnet50"]
    key, shape, _ = entries["state_dict"][0]
    theirs = runpy.run_path(str(shared_golden / "fill_weights.py"))["fill"](key, shape)
    np.testing.assert_array_equal(recipe["fill"](key, shape), theirs)
