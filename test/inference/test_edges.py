# SPDX-License-Identifier: Apache-2.0
"""Failure at the edges: none, one and too many detections, odd boxes, tiny and huge images."""

import numpy as np
import pytest
import torch

from yolact_ros.inference.assemble import assemble_instances
from yolact_ros.inference.decode import detect
from yolact_ros.inference.options import SegmenterOptions
from yolact_ros.structures import RawPredictions

CLASS_NAMES = ("a", "b")


def predictions(boxes, scores):
    """Predictions that decode to these boxes (cx, cy, w, h) with these scores of class 0."""
    count = len(boxes)
    class_scores = torch.zeros(1, count, 3)
    class_scores[0, :, 1] = torch.tensor(scores)
    class_scores[0, :, 0] = 1 - class_scores[0, :, 1]
    return RawPredictions(
        offsets=torch.zeros(1, count, 4),
        class_scores=class_scores,
        coefficients=torch.ones(1, count, 1),
        prototypes=torch.full((1, 40, 40, 1), 5.0),
        priors=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
    )


def run(raw, image_size, **options):
    found = detect(raw, 0, SegmenterOptions(**options))
    return assemble_instances(found, None, raw.prototypes[0], image_size, CLASS_NAMES)


@pytest.mark.parametrize("nms", ["fast", "cross_class", "exact"])
def test_none_one_and_more_than_the_limit(nms):
    grid = [((i + 0.5) / 20, (j + 0.5) / 20, 0.04, 0.04) for i in range(20) for j in range(20)]
    scores = np.linspace(0.2, 0.9, len(grid)).tolist()
    assert len(run(predictions(grid, [0.01] * len(grid)), (480, 640), nms=nms)) == 0
    assert len(run(predictions(grid[:1], [0.5]), (480, 640), nms=nms)) == 1
    found = run(predictions(grid, scores), (480, 640), nms=nms, max_instances=7)
    assert len(found) == 7
    np.testing.assert_allclose(found.scores, scores[::-1][:7], rtol=1e-5)
    assert not any(mask.empty for mask in found.packed_masks)


def test_boxes_outside_the_image_have_no_mask_and_lie_on_its_border():
    raw = predictions([(-1.0, 0.5, 0.2, 0.2), (0.5, 3.0, 0.2, 0.2)], [0.9, 0.8])
    found = run(raw, (480, 640))
    assert [mask.empty for mask in found.packed_masks] == [True, True]
    assert (found.boxes >= 0).all() and (found.boxes <= [640, 480, 640, 480]).all()


def test_a_box_under_one_pixel_keeps_a_mask_of_its_padded_prototype_pixels():
    raw = predictions([(0.5, 0.5, 0.0005, 0.0005)], [0.9])
    found = run(raw, (480, 640))
    [mask] = found.packed_masks
    # Up to 2 prototype pixels of 16 x 12 image pixels around the centre, as published.
    assert 0 < mask.area <= (3 * 16) * (3 * 12)
    centre = np.array([mask.x_offset + mask.width / 2, mask.y_offset + mask.height / 2])
    assert np.abs(centre - [320, 240]).max() <= 16


@pytest.mark.parametrize("image_size", [(1, 1), (1, 500), (7, 3), (6000, 8000)])
def test_tiny_and_huge_images(image_size):
    raw = predictions([(0.5, 0.5, 0.1, 0.1), (0.2, 0.8, 0.05, 0.1)], [0.9, 0.8])
    found = run(raw, image_size)
    height, width = image_size
    for mask in found.packed_masks:
        assert mask.x_offset + mask.width <= width and mask.y_offset + mask.height <= height
    if image_size == (6000, 8000):
        # 10 % of each side and the crop's padding of one prototype pixel, 200 x 150 pixels.
        assert found.packed_masks[0].width == pytest.approx(800 + 2 * 200, abs=201)
        assert found.packed_masks[0].height == pytest.approx(600 + 2 * 150, abs=151)


def test_predictions_that_are_not_numbers_give_no_detection():
    raw = predictions([(0.5, 0.5, 0.1, 0.1)], [0.9])
    raw.class_scores.fill_(float("nan"))
    assert len(run(raw, (480, 640))) == 0
