# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import tv_tensors

from yolact_ros.choices import AUGMENTATIONS
from yolact_ros.training.data import bit_planes
from yolact_ros.training.data.augmentation import Augmentation, augmentation_named
from yolact_ros.training.data.transforms import WindowCrop, geometry_of, photometric_of, recolor


def parts_of(height, width, boxes):
    """A sample whose image tells each pixel's row and column."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    image = torch.stack([rows, columns, torch.zeros_like(rows)]).to(torch.uint8)
    return {
        "image": tv_tensors.Image(image),
        "boxes": tv_tensors.BoundingBoxes(
            torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            format="XYXY",
            canvas_size=(height, width),
        ),
        "masks": tv_tensors.Mask(image[:1] * 3),
    }


def test_names():
    assert AUGMENTATIONS == ("published", "light", "none")
    assert all(isinstance(augmentation_named(name), Augmentation) for name in AUGMENTATIONS)
    assert augmentation_named("none") == Augmentation()
    published = augmentation_named("published")
    assert (published.zoom_out, published.mirror, published.iou_crop) == (0.5, 0.5, True)
    assert not published.tight_boxes
    assert augmentation_named("light").tight_boxes
    with pytest.raises(ValueError, match="expected one of published, light, none, got 'heavy'"):
        augmentation_named("heavy")


@pytest.mark.parametrize(
    ("strength", "message"),
    [
        ({"mirror": 1.5}, "mirror: expected a value from 0 to 1, got 1.5"),
        ({"largest_zoom_out": 0.5}, "largest_zoom_out: expected a value from 1 to 16, got 0.5"),
        ({"min_area": -1}, "min_area: expected a value from 0"),
        ({"tint": float("nan")}, "tint: expected a value from 0 to 1, got nan"),
        ({"smallest_window": 0}, "smallest_window: expected a value above 0, got 0"),
    ],
)
def test_strengths_out_of_range(strength, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**strength)


def test_no_strength_changes_nothing():
    parts = parts_of(6, 8, [[1, 2, 3, 4]])
    moved = geometry_of(Augmentation())(parts)
    for name, part in parts.items():
        assert torch.equal(moved[name], part)


def test_window_crop_by_hand(monkeypatch):
    # chance, side, stretch, down, right: sides of 0.5 + 0.5 * 0.5, not stretched
    monkeypatch.setattr(torch, "rand", lambda count: torch.tensor([0.1, 0.5, 0.5, 0.7, 0.99]))
    moved = WindowCrop(0.2, 0.5)(parts_of(40, 80, [[10, 5, 30, 25], [0, 0, 15, 5]]))
    assert moved["image"].shape == (3, 30, 60)
    top, left = 7, 20  # 0.7 * 11 and 0.99 * 21, rounded down
    assert moved["image"][:2, 0, 0].tolist() == [top, left]
    assert moved["image"][:2, -1, -1].tolist() == [36, 79]
    assert moved["boxes"].canvas_size == (30, 60)
    assert moved["boxes"][0].tolist() == [0, 0, 10, 18]
    assert moved["masks"][0, 0, 0] == 3 * top
    parts = parts_of(40, 80, [])
    assert WindowCrop(0.1, 0.5)(parts) is parts


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), height=st.integers(1, 90), width=st.integers(1, 90))
def test_windows_keep_their_size_and_aspect_ratio(seed, height, width):
    torch.manual_seed(seed)
    image = WindowCrop(1.0, 0.65)(parts_of(height, width, []))["image"]
    rows, columns = image.shape[1:]
    assert 0.65 * 0.93 * height - 0.5 <= rows <= height
    assert 0.65 / 1.07 * width - 0.5 <= columns <= width
    assert columns / width - rows / height <= 0.16 + 1 / width + 1 / height


def test_windows_reach_every_border():
    torch.manual_seed(0)
    crops = [WindowCrop(1.0, 0.65)(parts_of(20, 20, []))["image"] for _ in range(200)]
    corners = {(int(c[0, 0, 0]), int(c[1, 0, 0])) for c in crops}
    assert {row for row, _ in corners} >= set(range(5))
    assert {int(c[0, -1, -1]) for c in crops} >= {15, 19}


def test_iou_crop_does_not_search_images_without_boxes(monkeypatch):
    monkeypatch.delattr(torch, "randint")
    cropping = geometry_of(Augmentation(iou_crop=True))
    assert cropping(parts_of(30, 40, []))["image"].shape == (3, 30, 40)
    with pytest.raises(AttributeError, match="randint"):
        cropping(parts_of(30, 40, [[1, 1, 9, 9]]))


def test_iou_crop_keeps_the_centre_of_an_object():
    cropping = geometry_of(Augmentation(iou_crop=True))
    kept = []
    for seed in range(60):
        torch.manual_seed(seed)
        boxes = cropping(parts_of(60, 60, [[2, 2, 20, 20], [40, 40, 58, 58]]))["boxes"]
        kept.append(((boxes[:, 2:] - boxes[:, :2]).prod(dim=1) > 0).tolist())
    assert all(any(each) for each in kept)
    assert [True, False] in kept
    assert [False, True] in kept
    assert [True, True] in kept


def test_zoom_out_makes_room_up_to_the_limit():
    zooming = geometry_of(Augmentation(zoom_out=1.0, largest_zoom_out=3.0))
    heights = []
    for seed in range(40):
        torch.manual_seed(seed)
        moved = zooming(parts_of(20, 30, [[0, 0, 30, 20]]))
        heights.append(moved["image"].shape[1])
        x1, y1, x2, y2 = map(int, moved["boxes"][0])
        assert (x2 - x1, y2 - y1) == (30, 20)
        assert moved["image"][:2, y1, x1].tolist() == [0, 0]
        assert moved["masks"][0, y2 - 1, x1] == 3 * 19
        outside = torch.ones(moved["image"].shape[1:], dtype=torch.bool)
        outside[y1:y2, x1:x2] = False
        assert (moved["image"][:, outside] == torch.tensor([[124], [117], [104]])).all()
        assert (moved["masks"][:, outside] == 0).all()
    assert 20 <= min(heights) < 27
    assert 53 < max(heights) <= 60


def test_colours_by_hand(monkeypatch):
    # gain 1 + 0.5 * 0.4, brightness 10 * -0.5, tint 1 + 0.1 * (1, 0, -1)
    drawn = torch.tensor([0.7, 0.25, 1.0, 0.5, 0.0], dtype=torch.float64)
    monkeypatch.setattr(torch, "rand", lambda count, dtype: drawn)
    image = np.array([[[128, 128, 128], [228, 28, 0]]], np.uint8)
    changed = recolor(image, Augmentation(contrast=0.5, brightness=10, tint=0.1))
    # 128 * 1.1 - 5, 128 - 5, 128 * 0.9 - 5; (128 + 120) * 1.1 - 5, 128 - 120 - 5, negative
    assert changed.tolist() == [[[136, 123, 110], [255, 3, 0]]]


def test_colours_vary():
    image = np.full((1, 1, 3), 90, np.uint8)
    torch.manual_seed(0)
    light = augmentation_named("light")
    assert len({tuple(recolor(image, light)[0, 0]) for _ in range(20)}) == 20
    assert (recolor(image, Augmentation()) == image).all()


def test_photometric_changes_keep_the_channels():
    red = tv_tensors.Image(torch.tensor([200, 60, 60], dtype=torch.uint8).view(3, 1, 1))
    distort = photometric_of(augmentation_named("published"))
    results = set()
    for seed in range(60):
        torch.manual_seed(seed)
        pixel = distort(red)[:, 0, 0].tolist()
        assert pixel[0] > max(pixel[1:])
        results.add(tuple(pixel))
    assert len(results) > 40
    never = photometric_of(dataclasses.replace(augmentation_named("published"), photometric=0))
    assert torch.equal(never(red), red)


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(0, 20),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    seed=st.integers(0, 100),
)
def test_masks_come_back_from_bits(count, height, width, seed):
    masks = np.random.default_rng(seed).integers(0, 2, (count, height, width), dtype=np.uint8)
    planes, areas = bit_planes.pack((np.asfortranarray(mask) for mask in masks), height, width)
    assert planes.shape == (max(1, -(-count // 8)), height, width)
    assert areas == masks.sum(axis=(1, 2)).tolist()
    for index, mask in enumerate(masks):
        np.testing.assert_array_equal(bit_planes.unpack_one(planes, index), mask * 255)
