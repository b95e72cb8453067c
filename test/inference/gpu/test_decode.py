# SPDX-License-Identifier: Apache-2.0
"""The fixed-shape decoding finds what the plain one finds."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yolact_ros.inference.decode import detect
from yolact_ros.inference.gpu.decode import BATCH_NMS_KINDS, detect_batch, limits_of
from yolact_ros.inference.options import SegmenterOptions
from yolact_ros.inference.rescore import rescore
from yolact_ros.network.mask_iou import MaskIouNet
from yolact_ros.structures import RawPredictions

CLASSES = 4


def random_predictions(seed, *, priors, batch=1, levels=None, side=12, dtype=torch.float32):
    """Boxes in clusters, so that many overlap; scores of a few levels, so that many are equal."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.rand(*shape, generator=generator)

    clusters = rand(5, 2)
    centers = clusters[torch.randint(5, (priors,), generator=generator)] + 0.05 * rand(priors, 2)
    scores = rand(batch, priors, CLASSES + 1) ** 3
    if levels:
        scores = (scores * levels).round() / levels
    return RawPredictions(
        offsets=rand(batch, priors, 4) - 0.5,
        class_scores=scores.to(dtype),
        coefficients=2 * rand(batch, priors, 3).to(dtype) - 1,
        prototypes=rand(batch, side, side, 3),
        priors=torch.cat([centers, 0.1 + 0.3 * rand(priors, 2)], dim=1),
    )


def assert_both_agree(predictions, options, class_ids=(), net=None, exactly=True):
    device = torch.device("cpu")
    with torch.inference_mode():
        found = detect_batch(
            predictions, limits_of(options, class_ids, CLASSES, device), options, net
        )
        for i in range(len(predictions.offsets)):
            plain = detect(predictions, i, options, class_ids)
            prototypes = predictions.prototypes[i].float()
            plain, mask_scores = rescore(net, prototypes, plain, options)
            count = int((found.scores[i] > 0).sum())
            assert count == len(plain.scores)
            assert found.class_ids[i, :count].tolist() == plain.class_ids.tolist()
            for name in ("boxes", "scores", "coefficients"):
                one, other = getattr(found, name)[i], getattr(plain, name)
                if exactly:
                    assert torch.equal(one[:count], other), name
                else:
                    torch.testing.assert_close(one[:count], other)
                assert not one[count:].any(), name
            if mask_scores is None:
                assert found.mask_scores is None
            else:
                torch.testing.assert_close(found.mask_scores[i, :count], mask_scores)
    return found


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 2**31),
    priors=st.integers(1, 400),
    batch=st.integers(1, 3),
    levels=st.sampled_from([None, 3, 8, 50]),
    nms=st.sampled_from(BATCH_NMS_KINDS),
    score_threshold=st.sampled_from([0.0, 0.01, 0.05, 0.15, 0.5, 0.95, 1.0]),
    nms_iou=st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]),
    max_instances=st.sampled_from([1, 5, 100, 1000]),
    class_ids=st.sampled_from([(), (0,), (1, 3), (0, 1, 2, 3)]),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
)
def test_it_finds_what_plain_decoding_finds(
    seed, priors, batch, levels, nms, score_threshold, nms_iou, max_instances, class_ids, dtype
):
    options = SegmenterOptions(score_threshold, max_instances, nms, nms_iou)
    predictions = random_predictions(seed, priors=priors, batch=batch, levels=levels, dtype=dtype)
    assert_both_agree(predictions, options, class_ids)


@pytest.mark.parametrize("nms", BATCH_NMS_KINDS)
def test_equal_scores_are_taken_in_the_order_of_the_priors(nms):
    predictions = random_predictions(3, priors=300)
    scores = torch.full_like(predictions.class_scores, 0.1)
    scores[:, :, 2] = 0.6
    options = SegmenterOptions(nms=nms, nms_iou=1.0, max_instances=1000)
    found = assert_both_agree(predictions._replace(class_scores=scores), options)
    assert int((found.scores > 0).sum()) == 200
    expected = predictions.coefficients[0, :200]
    assert torch.equal(found.coefficients[0, :200], expected)


def test_nothing_above_the_threshold_and_no_candidate():
    predictions = random_predictions(4, priors=50)
    for scores, threshold in ((0.04, 0.0), (0.5, 0.5), (0.0, 0.0)):
        empty = predictions._replace(class_scores=torch.full_like(predictions.class_scores, scores))
        found = assert_both_agree(empty, SegmenterOptions(score_threshold=threshold))
        assert not found.scores.any()


def test_boxes_that_are_no_numbers_are_treated_alike():
    predictions = random_predictions(5, priors=60)
    offsets = predictions.offsets.clone()
    offsets[0, ::7] = torch.nan
    offsets[0, 3::7, 2:] = torch.inf
    predictions = predictions._replace(offsets=offsets)
    options = SegmenterOptions(max_instances=1000)
    with torch.inference_mode():
        found = detect_batch(
            predictions, limits_of(options, (), CLASSES, torch.device("cpu")), options, None
        )
        plain = detect(predictions, 0, options)
    count = len(plain.scores)
    assert int((found.scores > 0).sum()) == count
    np.testing.assert_array_equal(found.boxes[0, :count], plain.boxes)


@pytest.mark.parametrize("rescoring", ["published", "product", "class"])
@pytest.mark.parametrize("score_threshold", [0.0, 0.15, 0.4, 1.0])
def test_mask_rescoring_of_a_batch(rescoring, score_threshold):
    torch.manual_seed(0)
    net = MaskIouNet(CLASSES).eval()
    with torch.no_grad():
        net.maskiou_net[10].bias.uniform_(0.3, 0.9)
    options = SegmenterOptions(score_threshold, 60, rescoring=rescoring)
    predictions = random_predictions(6, priors=120, batch=2, side=70)
    found = assert_both_agree(predictions, options, net=net, exactly=False)
    if rescoring == "product" and score_threshold == 0.4:
        before = len(detect(predictions, 0, options).scores)
        assert 0 < int((found.scores[0] > 0).sum()) < before


def test_the_summary_holds_what_the_host_needs():
    options = SegmenterOptions(max_instances=10)
    found = assert_both_agree(random_predictions(7, priors=80, batch=2), options)
    summary = found.summary()
    assert summary.shape == (2, 10, 7)
    torch.testing.assert_close(summary[..., :4], found.boxes)
    torch.testing.assert_close(summary[..., 4], found.scores)
    torch.testing.assert_close(summary[..., 5].long(), found.class_ids)
    assert not summary[..., 6].any()
