# SPDX-License-Identifier: Apache-2.0
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import tv_tensors

from yolact_ros.choices import AUGMENTATIONS
from yolact_ros.training.data import bit_planes
from yolact_ros.training.data.augmentation import (
    ENTRIES,
    Augmentation,
    augmentation_named,
    parse_entry,
    with_entries,
)
from yolact_ros.training.data.copy_paste import paste
from yolact_ros.training.data.target import Sample, Target
from yolact_ros.training.data.transforms import WindowCrop, blur_of, geometry_of, recolor

GUIDE = Path(__file__).parents[3] / "docs" / "training.md"


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
        ({"smallest_window": 0}, "smallest_window: expected a value from 0.01 to 1, got 0"),
        ({"scale": (2.0, 0.5)}, "scale: expected LOW:HIGH within 0.1 to 10, got 2:0.5"),
    ],
)
def test_strengths_out_of_range(strength, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**strength)


def test_each_entry_is_set_by_its_name():
    """As people write it: off, on, a number or a range, for every entry of the table."""
    for name, entry in ENTRIES.items():
        for word in ("on", "off"):
            assert parse_entry(f"{name.replace('_', '-')}={word}") == (name, entry.metadata[word])
        changed = with_entries(Augmentation(), [parse_entry(f"{name}=on")])
        assert getattr(changed, name) == entry.metadata["on"]
    assert parse_entry("scale=0.5:2") == ("scale", (0.5, 2.0))
    light = with_entries(
        augmentation_named("light"), map(parse_entry, ("mirror=1", "rotation=15", "mirror=off"))
    )
    assert light == dataclasses.replace(augmentation_named("light"), mirror=0.0, rotation=15.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("miror=off", "with an entry of the table, got 'miror=off'; the nearest is mirror"),
        ("mirror", "expected as mirror a value from 0 to 1, on or off, got 'mirror'"),
        ("rotation=200", "expected as rotation a value from 0 to 180, on or off, got 'rotation="),
        ("scale=2", "expected as scale LOW:HIGH within 0.1 to 10, on or off, got 'scale=2'"),
        ("hue=nan", "expected as hue a value from 0 to 180"),
        ("tight_boxes=1", "expected as tight_boxes on or off, got 'tight_boxes=1'"),
        ("=", "with an entry of the table, got '=': mirror, flip, rotation, scale, "),
    ],
)
def test_wrong_entries_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        parse_entry(text)


def test_the_guide_lists_the_table():
    """Each entry with its range and its strength in both recipes' sets."""

    def written(value):
        if isinstance(value, tuple):
            return f"{value[0]:g}:{value[1]:g}"
        return ("off", "on")[value] if isinstance(value, bool) else f"{value:g}"

    lines = GUIDE.read_text().splitlines()
    sets = [augmentation_named(name) for name in ("published", "light")]
    for name, entry in ENTRIES.items():
        strengths = " | ".join(written(getattr(each, name)) for each in sets)
        low, high = entry.metadata["range"]
        allowed = "on, off" if isinstance(entry.default, bool) else f"{low:g} to {high:g}"
        [line] = [line for line in lines if line.startswith(f"| `{name}` |")]
        assert line.endswith(f" | {allowed} | {strengths} |"), name


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
    monkeypatch.delattr(torch, "rand")
    cropping = geometry_of(Augmentation(iou_crop=True))
    assert cropping(parts_of(30, 40, []))["image"].shape == (3, 30, 40)
    with pytest.raises(AttributeError, match="rand"):
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


WHOLE = (slice(None), slice(None))


def drawing(monkeypatch, amounts, *, chance=0.0, exposed_first=True):
    """Let `recolor` draw these amounts, from -1 to 1."""
    rows = torch.zeros(3, 8)
    rows[0] = chance
    rows[1] = (torch.tensor(amounts) + 1) / 2
    rows[2, 0] = not exposed_first
    monkeypatch.setattr(torch, "rand", lambda *size: rows)


def test_clipped_colours_by_hand(monkeypatch):
    strengths = Augmentation(contrast=0.5, brightness=10, tint=0.1)
    drawing(monkeypatch, [-0.5, 0, 0, 0, 0.4, 1, 0, -1])
    image = np.array([[[133, 133, 133], [233, 33, 0]]], np.uint8)
    changed = recolor(image, WHOLE, strengths)
    # less 5, then by 1.2 about 128: 128, 248, 8 and negative; then by 1.1, 1 and 0.9
    assert changed.tolist() == [[[141, 128, 115], [255, 8, 0]]]
    assert changed.dtype == np.uint8


@pytest.mark.parametrize("exposed_first", [True, False])
def test_published_colours_by_hand(monkeypatch, exposed_first):
    """Exposure is about zero, saturation and hue are HSV's, and nothing is clipped."""
    published = augmentation_named("published")
    image = np.array([[[200, 100, 100], [0, 0, 0]]], np.uint8)
    # + 32, then by 1.5: 348, 198, 198, which has a saturation of 150 / 348
    drawing(monkeypatch, [1, 1, 0, 0, 0, 0, 0, 0], exposed_first=exposed_first)
    brighter = recolor(image, WHOLE, published)
    assert brighter.tolist() == [[[348, 198, 198], [48, 48, 48]]]
    assert brighter.dtype == np.int16
    drawing(monkeypatch, [0, 0, 1, 0, 0, 0, 0, 0], exposed_first=exposed_first)
    assert recolor(image, WHOLE, published).tolist() == [[[200, 50, 50], [0, 0, 0]]]
    drawing(monkeypatch, [0, 0, 0, 1, 0, 0, 0, 0], exposed_first=exposed_first)
    # a turn of 18 degrees of the 60 from red to yellow
    assert recolor(image, WHOLE, published).tolist() == [[[200, 130, 100], [0, 0, 0]]]
    drawing(monkeypatch, [1, 1, 1, 1, 1, 1, 1, 1], chance=0.5)
    assert recolor(image, WHOLE, published).tolist() == image.tolist(), "by a chance of one half"


def test_the_canvas_keeps_its_colour():
    image = np.full((4, 6, 3), 90, np.uint8)
    torch.manual_seed(0)
    frame = (slice(1, 3), slice(2, 5))
    changed = recolor(image, frame, augmentation_named("light"))
    assert (changed[frame] != 90).any()
    changed[frame] = 90
    assert (changed == 90).all()
    nothing = recolor(image, (slice(0, 4), slice(6, 6)), augmentation_named("published"))
    assert (nothing == 90).all(), "a crop of the canvas alone"


def test_colours_vary():
    image = np.full((1, 1, 3), 90, np.uint8)
    torch.manual_seed(0)
    light = augmentation_named("light")
    assert len({tuple(recolor(image, WHOLE, light)[0, 0]) for _ in range(20)}) == 20
    assert (recolor(image, WHOLE, Augmentation()) == image).all()


def test_blur_softens_edges():
    image = tv_tensors.Image(torch.zeros(3, 32, 32, dtype=torch.uint8))
    image[:, :, 16:] = 255
    torch.manual_seed(0)
    rows = [blur_of(Augmentation(blur=2.0))(image)[0, 5].tolist() for _ in range(20)]
    assert all(row == sorted(row) and (row[0], row[-1]) == (0, 255) for row in rows)
    soft = [sum(0 < value < 255 for value in row) for row in rows]
    assert min(soft) <= 2 < 6 <= max(soft) <= 14
    assert torch.equal(blur_of(Augmentation())(image), image)


def sample_of(*squares, value):
    """16 x 16 pixels of one value, with objects of these first and last pixels."""
    masks = torch.zeros(len(squares), 16, 16, dtype=torch.bool)
    for mask, (first, last) in zip(masks, squares, strict=True):
        mask[first : last + 1, first : last + 1] = True
    boxes = torch.tensor([[a, a, b + 1, b + 1] for a, b in squares]).reshape(-1, 4) / 16
    target = Target(boxes, torch.full((len(squares),), value), masks)
    return Sample(np.full((16, 16, 3), value, np.uint8), target)


@pytest.mark.parametrize(("neutral", "regions"), [(True, [[8, 8, 10, 10]]), (False, [])])
def test_pasted_objects_cover_what_is_below(monkeypatch, neutral, regions):
    monkeypatch.setattr(torch, "rand", lambda count: torch.tensor([0.4, 0.6, 0.1])[:count])
    above = sample_of((4, 7), (12, 15), (10, 14), value=2)
    below = sample_of((2, 5), (8, 11), (0, 1), (4, 4), value=1)
    below.target.masks[1, :, :10] = below.target.masks[1, :10] = False  # hidden but for two squares
    below.target.masks[1, 8:10, 8:10] = True
    below.target.masks[1, 10:14, 10:14] = True
    limits = Augmentation(min_visible=0.5, neutral_cuts=neutral)
    image, target = paste(above, below, limits)
    assert target.class_ids.tolist() == [1, 1, 2, 2]
    boxes = (target.boxes * 16).tolist()
    assert boxes == [[2, 2, 6, 6], [0, 0, 2, 2], [4, 4, 8, 8], [10, 10, 15, 15]]
    assert target.masks.flatten(1).sum(dim=1).tolist() == [12, 4, 16, 25]
    assert (target.crowd_boxes * 16).tolist() == regions
    cover = target.masks[2:].any(dim=0).numpy()
    assert (image[cover] == 2).all() and (image[~cover] == 1).all()


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
