# SPDX-License-Identifier: Apache-2.0
"""The losses against the numbers of the reference implementation."""

import dataclasses
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from yolact_ros.network.mask_iou import MaskIouNet
from yolact_ros.network.priors import level_sizes, make_priors
from yolact_ros.ops.boxes import encode_boxes
from yolact_ros.presets import get_preset
from yolact_ros.structures import TrainingPredictions
from yolact_ros.training.data.target import Target
from yolact_ros.training.losses.class_loss import choose_negatives
from yolact_ros.training.losses.multibox import MultiBoxLoss

GOLDEN = Path(__file__).resolve().parents[4] / "shared" / "golden"
# Of each case's synthetic predictions: preset, input size, classes with background, sides of the
# prototypes and of P3. Network predictions are stored.
CASES = {
    "r50_138_net": None,
    "r50_138_net_crowd": None,
    "r50_550_synth": ("yolact_resnet50", 550, 81, 138, 69),
    "r50_550_synth_crowd": ("yolact_resnet50", 550, 81, 138, 69),
    "plus_256_synth": ("yolact_plus_resnet50", 256, 21, 64, 32),
    "plus_550_synth_crowd": ("yolact_plus_resnet50", 550, 81, 138, 69),
}
TERMS = {"box": "B", "class": "C", "mask": "M", "semantic": "S", "mask_iou": "I"}

pytestmark = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason="the golden data of the reference lies beside the repository only"
)


def load_module(name):
    sys.path.insert(0, str(GOLDEN))
    try:
        spec = importlib.util.spec_from_file_location(name, GOLDEN / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(GOLDEN))
    return module


def golden_priors(preset, side):
    """Of another input size than the preset's, the prior sizes are scaled along."""
    scale = side / preset.input_size
    sizes = tuple(tuple(size * scale for size in level) for level in preset.prior_sizes)
    scaled = dataclasses.replace(preset, prior_sizes=sizes)
    return make_priors(scaled, (side, side), level_sizes((side, side), len(sizes))).numpy()


def filled_mask_iou_net(classes):
    net = MaskIouNet(classes)
    fill = load_module("fill_weights").fill
    for name, parameter in net.named_parameters():
        filled = fill(f"maskiou_net.{name}", tuple(parameter.shape), "loss", None)
        parameter.data = torch.from_numpy(np.asarray(filled))
    return net


@pytest.fixture(scope="module", params=CASES)
def case(request):
    name = request.param
    data = np.load(GOLDEN / f"loss_{name}.npz")
    meta = json.loads(str(data["meta"]))
    net = None
    if (synthetic := CASES[name]) is None:
        stored = np.load(GOLDEN / "loss_r50_138_net.npz")
        priors = stored["priors"]
        made = {k: stored[f"pred_{k}"] for k in ("loc", "conf", "mask", "proto", "segm")}
    else:
        preset_name, side, *sizes = synthetic
        priors = golden_priors(get_preset(preset_name), side)
        made = load_module("loss_inputs").synth_predictions(len(priors), *sizes)
        if "plus" in name:
            net = filled_mask_iou_net(sizes[0] - 1)
    leaves = {k: torch.from_numpy(v.astype(np.float32)).requires_grad_() for k, v in made.items()}
    predictions = TrainingPredictions(
        offsets=leaves["loc"],
        class_logits=leaves["conf"],
        coefficients=leaves["mask"],
        prototypes=leaves["proto"],
        semantic_logits=leaves["segm"],
        priors=torch.from_numpy(priors),
    )
    targets = []
    size = meta["max_size"]
    for i, crowds in enumerate(meta["num_crowds"]):
        rows = torch.from_numpy(data[f"gt{i}_targets"])
        bits = data[f"gt{i}_maskbits"]
        masks = np.unpackbits(bits, axis=1, count=size * size).reshape(-1, size, size)
        count = len(rows) - crowds
        targets.append(
            Target(
                boxes=rows[:count, :4],
                class_ids=rows[:count, 4].long(),
                masks=torch.from_numpy(masks[:count]).bool(),
                crowd_boxes=rows[count:, :4],
            )
        )
    return data, leaves, predictions, targets, net


def test_matches_equal_the_reference(case):
    data, _, predictions, targets, _ = case
    match = MultiBoxLoss().match(predictions.priors, targets)
    np.testing.assert_array_equal(match.labels.numpy(), data["conf_t"])
    np.testing.assert_array_equal(match.objects.numpy(), data["idx_t"])
    for i, target in enumerate(targets):
        positive = (match.labels[i] > 0).nonzero()[:, 0]
        np.testing.assert_array_equal(positive.numpy(), data[f"pos_idx{i}"])
        boxes = target.boxes[match.objects[i][positive]]
        encoded = encode_boxes(boxes, predictions.priors[positive])
        np.testing.assert_allclose(encoded.numpy(), data[f"pos_loc_t{i}"], rtol=1e-5, atol=1e-6)


def test_chosen_negatives_equal_the_reference(case):
    data, _, predictions, _, _ = case
    labels = torch.from_numpy(data["conf_t"].astype(np.int64))
    positives = (labels > 0).sum(dim=1).tolist()
    priors, chosen = choose_negatives(predictions.class_logits, labels, positives, 3)
    for i in range(len(labels)):
        found = priors[i][chosen[i]].sort().values
        np.testing.assert_array_equal(found.numpy(), data[f"neg_idx{i}"])


def test_terms_equal_the_reference(case):
    data, _, predictions, targets, net = case
    terms = MultiBoxLoss()(predictions, targets, mask_iou_net=net)
    assert set(terms) == {name for name, letter in TERMS.items() if f"loss_{letter}" in data}
    for name, value in terms.items():
        expected = float(data[f"loss_{TERMS[name]}"])
        assert value.item() == pytest.approx(expected, rel=1e-5), name
    assert sum(terms.values()).item() == pytest.approx(float(data["loss_total"]), rel=1e-5)


def test_gradients_equal_the_reference(case):
    data, leaves, predictions, targets, net = case
    sum(MultiBoxLoss()(predictions, targets, mask_iou_net=net).values()).backward()
    if net is not None:
        leaves = leaves | {f"maskiou_net.{name}": leaf for name, leaf in net.named_parameters()}
    compared = {key.removesuffix("_stats") for key in data if key.startswith("grad_")}
    compared = {name for name in compared if not name.endswith(("_shape", "_val"))}
    assert compared == {f"grad_{name}" for name in leaves}
    sample_indices = load_module("fill_weights").sample_indices
    for name, leaf in leaves.items():
        gradient = leaf.grad.numpy()
        _, _, low, high, absolute = data[f"grad_{name}_stats"]
        tolerance = 1e-4 * max(abs(low), abs(high))
        sampled = gradient.ravel()[sample_indices(gradient.size)]
        np.testing.assert_allclose(sampled, data[f"grad_{name}_val"], rtol=0, atol=tolerance)
        assert gradient.min() == pytest.approx(low, abs=tolerance)
        assert gradient.max() == pytest.approx(high, abs=tolerance)
        assert np.abs(gradient).sum(dtype=np.float64) == pytest.approx(absolute, rel=1e-4)
