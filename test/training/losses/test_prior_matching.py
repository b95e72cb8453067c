# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import box_iou

from yolact_ros.ops.boxes import center_to_corners
from yolact_ros.training.losses.prior_matching import Matches, assign_each_object, match_priors


def square(x, y=0.5, side=0.2):
    """A prior in centre form."""
    return [x, y, side, side]


def box(x, y=0.5, side=0.2):
    """The same square in corner form."""
    return [x - side / 2, y - side / 2, x + side / 2, y + side / 2]


def match(priors, boxes, class_ids, crowds=()):
    """Of one image."""
    matches = match_priors(
        torch.tensor(priors),
        [torch.tensor(boxes).reshape(-1, 4)],
        [torch.tensor(class_ids, dtype=torch.int64)],
        [torch.tensor(list(crowds)).reshape(-1, 4)],
    )
    return Matches(*(values[0] for values in matches))


def test_labels_follow_the_iou():
    # Shifted by d, squares of side 0.2 have an IoU of (0.2 - d) / (0.2 + d).
    shifts = [0.0, 0.05, 0.08, 0.1]  # 1, 0.6, 0.43, 0.33
    result = match([square(0.5 + d) for d in shifts], [box(0.5)], [6])
    assert result.labels.tolist() == [7, 7, -1, 0]


def test_an_object_that_overlaps_no_prior_well_still_gets_its_best_one():
    result = match([square(0.3), square(0.62), square(0.9)], [box(0.5)], [0])
    assert result.labels.tolist() == [0, 1, 0]  # IoU of the second: 0.08 / 0.32


def test_the_better_of_two_objects_gets_the_prior_and_the_other_its_next():
    priors = [square(0.5), square(0.55), square(0.9)]
    result = match(priors, [box(0.48), box(0.49)], [3, 4])
    # The second object is nearer to the first prior; the first one, which prefers that prior too,
    # gets the next although the second object overlaps it more.
    assert result.objects[:2].tolist() == [1, 0]
    assert result.labels.tolist() == [5, 4, 0]


def test_priors_in_a_crowd_are_neutral_unless_positive():
    priors = [square(0.5), square(0.2), square(0.7), square(0.8)]
    crowd = [0.4, 0.0, 0.75, 1.0]  # all of the first, none of the second, 0.75 and 0.25 of the rest
    assert match(priors, [box(0.5)], [2], [crowd]).labels.tolist() == [3, 0, -1, 0]
    assert match(priors, [], [], [crowd]).labels.tolist() == [-1, 0, -1, 0]


def test_without_objects_all_is_background():
    result = match([square(0.5), square(0.7)], [], [])
    assert result.labels.tolist() == [0, 0]
    assert result.objects.tolist() == [0, 0]


def test_more_objects_than_priors_are_refused():
    with pytest.raises(ValueError, match=r"objects: expected at most 1 .* got 2"):
        match([square(0.5)], [box(0.5), box(0.6)], [0, 0])


def greedy(iou):
    """The published rule, written plainly: all pairs in order, each taken if both are free."""
    count, priors = iou.shape
    pairs = sorted((-iou[n, p].item(), n, p) for n in range(count) for p in range(priors))
    given, taken = {}, set()
    for _, number, prior in pairs:
        if number not in given and prior not in taken:
            given[number] = prior
            taken.add(prior)
    return [given[number] for number in range(count)]


@settings(max_examples=100, deadline=None)
@given(
    levels=st.integers(1, 6),
    num_priors=st.integers(5, 9),
    count=st.integers(0, 5),
    seed=st.integers(0, 10_000),
)
def test_objects_are_assigned_greedily_and_the_first_of_equal_pairs_wins(
    levels, num_priors, count, seed
):
    generator = torch.Generator().manual_seed(seed)
    # Few different values, so that most pairs are tied; zero is one of them.
    iou = torch.randint(levels, (count, num_priors), generator=generator) / 10
    assert assign_each_object(iou.clone()).tolist() == greedy(iou)


def test_a_batch_is_matched_as_its_images_are():
    generator = torch.Generator().manual_seed(0)
    priors = torch.rand((40, 4), generator=generator) * 0.5 + 0.1
    boxes, class_ids, crowds = [], [], []
    for objects, regions in ((3, 0), (0, 2), (7, 1), (0, 0), (1, 3)):
        corner = torch.rand((objects + regions, 2), generator=generator) * 0.6
        size = 0.05 + torch.rand((objects + regions, 2), generator=generator) * 0.4
        made = torch.cat([corner, corner + size], 1)
        boxes.append(made[:objects])
        crowds.append(made[objects:])
        class_ids.append(torch.randint(5, (objects,), generator=generator))
    single = [
        match_priors(priors, boxes[i : i + 1], class_ids[i : i + 1], crowds[i : i + 1])
        for i in range(5)
    ]
    together = match_priors(priors, boxes, class_ids, crowds)
    assert torch.equal(together.labels, torch.cat([each.labels for each in single]))
    assert torch.equal(together.objects, torch.cat([each.objects for each in single]))
    assert {-1, 0} < set(together.labels.flatten().tolist())


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 12))
def test_labels_follow_torchvisions_iou(seed, count):
    generator = torch.Generator().manual_seed(seed)
    priors = torch.rand((30, 4), generator=generator) * 0.5 + 0.1
    corner = torch.rand((count, 2), generator=generator) * 0.7
    boxes = torch.cat([corner, corner + 0.05 + torch.rand((count, 2), generator=generator) / 2], 1)
    result = match(priors.tolist(), boxes.tolist(), list(range(count)))
    iou = box_iou(boxes, center_to_corners(priors))
    given = greedy(iou)
    best, objects = iou.max(dim=0)
    best[given], objects[given] = 1.0, torch.arange(count)
    expected = torch.where(best >= 0.5, objects + 1, torch.where(best >= 0.4, -1, 0))
    assert torch.equal(result.labels, expected)
    assert torch.equal(result.objects, objects)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 12))
def test_every_object_has_a_positive_prior_of_its_own(seed, count):
    generator = torch.Generator().manual_seed(seed)
    priors = torch.rand((20, 4), generator=generator) * 0.5 + 0.1
    corner = torch.rand((count, 2), generator=generator) * 0.7
    boxes = torch.cat(
        [corner, corner + 0.01 + torch.rand((count, 2), generator=generator) * 0.3], 1
    )
    result = match(priors.tolist(), boxes.tolist(), list(range(count)))
    assert set(result.objects[result.labels > 0].tolist()) == set(range(count))
    positive = result.labels > 0
    assert torch.equal(result.labels[positive], result.objects[positive] + 1)


def test_a_gpu_is_not_waited_for():
    """On tensors that pretend to be on one, whatever the host would have to know raises."""
    fake_tensor = pytest.importorskip("torch._subclasses.fake_tensor")
    with fake_tensor.FakeTensorMode():
        gpu = {"device": "cuda"}
        boxes = [torch.empty(count, 4, **gpu) for count in (3, 0, 7)]
        ids = [torch.empty(len(own), dtype=torch.int64, **gpu) for own in boxes]
        crowds = [torch.empty(count, 4, **gpu) for count in (1, 2, 0)]
        result = match_priors(torch.empty(40, 4, **gpu), boxes, ids, crowds)
    assert result.labels.shape == (3, 40) and result.labels.device.type == "cuda"
