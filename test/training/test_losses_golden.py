# SPDX-License-Identifier: Apache-2.0
"""The losses against the numbers of the reference implementation."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from yolact_ros.network.priors import level_sizes, make_priors
from yolact_ros.ops.boxes import encode_boxes
from yolact_ros.presets import get_preset
from yolact_ros.structures import TrainingPredictions
from yolact_ros.training.losses import MultiBoxLoss, choose_negatives
from yolact_ros.data.target import Target

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
CASES = ("r50_138_net", "r50_138_net_crowd", "r50_550_synth", "r50_550_synth_crowd")

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


@pytest.fixture(params=CASES)
def case(request):
    name = request.param
    data = np.load(GOLDEN / f"loss_{name}.npz")
    meta = json.loads(str(data["meta"]))
    if "net" in name:
        stored = np.load(GOLDEN / "loss_r50_138_net.npz")
        priors = stored["priors"]
        made = {k: stored[f"pred_{k}"] for k in ("loc", "conf", "mask", "proto", "segm")}
    else:
        preset, side = get_preset("yolact_resnet50"), (550, 550)
        priors = make_priors(preset, side, level_sizes(side, 5)).numpy()
        made = load_module("loss_inputs").synth_predictions(len(priors), 81, 138, 69)
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
                masks=torch.from_numpy(masks[:count]).float(),
                crowd_boxes=rows[count:, :4],
            )
        )
    return data, leaves, predictions, targets


def test_matches_equal_the_reference(case):
    data, _, predictions, targets = case
    for i, target in enumerate(targets):
        match = MultiBoxLoss().match(predictions.priors, target)
        np.testing.assert_array_equal(match.labels.numpy(), data["conf_t"][i])
        np.testing.assert_array_equal(match.objects.numpy(), data["idx_t"][i])
        positive = (match.labels > 0).nonzero()[:, 0]
        np.testing.assert_array_equal(positive.numpy(), data[f"pos_idx{i}"])
        encoded = encode_boxes(target.boxes[match.objects[positive]], predictions.priors[positive])
        np.testing.assert_allclose(encoded.numpy(), data[f"pos_loc_t{i}"], rtol=1e-5, atol=1e-6)


def test_chosen_negatives_equal_the_reference(case):
    data, _, predictions, _ = case
    labels = torch.from_numpy(data["conf_t"].astype(np.int64))
    chosen = choose_negatives(predictions.class_logits, labels, 3)
    for i in range(len(labels)):
        np.testing.assert_array_equal(chosen[i].nonzero()[:, 0].numpy(), data[f"neg_idx{i}"])


def test_terms_equal_the_reference(case):
    data, _, predictions, targets = case
    terms = MultiBoxLoss()(predictions, targets)
    for name, letter in (("box", "B"), ("class", "C"), ("mask", "M"), ("semantic", "S")):
        assert terms[name].item() == pytest.approx(float(data[f"loss_{letter}"]), rel=1e-5), name
    assert sum(terms.values()).item() == pytest.approx(float(data["loss_total"]), rel=1e-5)


def test_gradients_equal_the_reference(case):
    data, leaves, predictions, targets = case
    sum(MultiBoxLoss()(predictions, targets).values()).backward()
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
