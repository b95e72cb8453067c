# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import box_iou

from yolact_ros.ops.suppression import cross_class_fast_nms, exact_nms, fast_nms
from yolact_testing.networks import parametrize_device

# Boxes of width 10 on one line: neighbours 2 apart have IoU 8/12, 4 apart 6/14.
CHAIN = torch.tensor([[0.0, 0, 10, 1], [2.0, 0, 12, 1], [4.0, 0, 14, 1]])


def scores_of(*rows):
    return torch.tensor(rows)


@parametrize_device
def test_a_suppressed_box_still_suppresses_in_fast_nms(device):
    boxes, scores = CHAIN.to(device), scores_of([0.9], [0.8], [0.7]).to(device)
    kept, _, _ = fast_nms(boxes, scores, iou_threshold=0.5)
    assert kept.tolist() == [0]
    kept, _, _ = exact_nms(boxes, scores, iou_threshold=0.5, score_floor=0.05)
    assert kept.tolist() == [0, 2]


def test_classes_do_not_suppress_each_other_unless_asked():
    scores = scores_of([0.9, 0.1], [0.2, 0.8], [0.0, 0.0])
    kept, classes, values = fast_nms(CHAIN[:2], scores[:2], iou_threshold=0.5)
    assert list(zip(kept.tolist(), classes.tolist(), strict=True)) == [(0, 0), (1, 1)]
    torch.testing.assert_close(values, torch.tensor([0.9, 0.8]))
    kept, classes, _ = cross_class_fast_nms(CHAIN[:2], scores[:2], iou_threshold=0.5)
    assert (kept.tolist(), classes.tolist()) == ([0], [0])


def test_an_iou_equal_to_the_threshold_is_kept():
    boxes = torch.tensor([[0.0, 0, 2, 1], [1.0, 0, 3, 1]])  # IoU 1/3
    third = float(box_iou(boxes, boxes)[0, 1])
    scores = scores_of([0.9], [0.8])
    assert len(fast_nms(boxes, scores, iou_threshold=third)[0]) == 2
    assert len(fast_nms(boxes, scores, iou_threshold=third - 1e-3)[0]) == 1


@parametrize_device
def test_only_the_best_candidates_of_a_class_take_part(device):
    boxes = torch.tensor([[float(4 * i), 0, 4 * i + 1, 1] for i in range(5)], device=device)
    scores = torch.linspace(0.1, 0.5, 5, device=device)[:, None]
    kept, _, _ = fast_nms(boxes, scores, iou_threshold=0.5, per_class=2)
    assert kept.tolist() == [4, 3]


def test_nothing_in_nothing_out():
    boxes, scores = torch.zeros(0, 4), torch.zeros(0, 3)
    for kept in (
        fast_nms(boxes, scores, 0.5),
        cross_class_fast_nms(boxes, scores, 0.5),
        exact_nms(boxes, scores, 0.5, score_floor=0.05),
    ):
        assert [len(part) for part in kept] == [0, 0, 0]


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**31), st.integers(1, 60), st.integers(1, 4))
def test_fast_nms_equals_its_definition_one_box_at_a_time(seed, count, classes):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator)
    sizes = 0.05 + 0.4 * torch.rand(count, 2, generator=generator)
    boxes = torch.cat([corners, corners + sizes], dim=1)
    scores = torch.rand(count, classes, generator=generator)
    expected = set()
    for label in range(classes):
        for i in range(count):
            better = [j for j in range(count) if scores[j, label] > scores[i, label]]
            overlaps = box_iou(boxes[i : i + 1], boxes[better]) if better else torch.zeros(1, 1)
            if overlaps.max() <= 0.5:
                expected.add((i, label))
    kept, labels, values = fast_nms(boxes, scores, iou_threshold=0.5)
    assert set(zip(kept.tolist(), labels.tolist(), strict=True)) == expected
    assert values.tolist() == sorted(values.tolist(), reverse=True)
