# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from yolact_ros.structures import Instances, PackedMask
from yolact_ros.visualization import (
    OverlayStyle,
    class_color,
    draw_overlay,
    paint_overlay,
    track_color,
)

FILL_ONLY = OverlayStyle(opacity=1.0, contours=False, boxes=False, labels=False)


def scene(size=(60, 80)):
    mask = np.zeros(size, bool)
    mask[20:40, 30:50] = True
    mask[25:30, 35:40] = False  # a hole
    instances = Instances(
        image_size=size,
        boxes=np.array([[30, 20, 50, 40]], np.float32),
        scores=np.array([0.8], np.float32),
        class_ids=np.array([3]),
        class_names=("bottle",),
        packed_masks=(PackedMask.from_array(mask),),
    )
    return np.full((*size, 3), 77, np.uint8), mask, instances


def test_solid_fill_colours_the_mask_and_nothing_else():
    image, mask, instances = scene()
    drawn = draw_overlay(image, instances, FILL_ONLY)
    red, green, blue = class_color(3)
    assert (drawn[mask] == (blue, green, red)).all()
    assert (drawn[~mask] == 77).all()
    assert (image == 77).all()


def test_a_track_gives_the_colour_and_stands_in_the_label():
    image, mask, instances = scene()
    drawn = draw_overlay(image, instances, FILL_ONLY, np.array([12]))
    assert (drawn[mask] == track_color(12)[::-1]).all() and track_color(12) != class_color(3)
    untracked = draw_overlay(image, instances, FILL_ONLY, np.array([0]))
    assert (untracked[mask] == 150).all()
    labels = OverlayStyle(0, False, False, True)
    image, _, instances = scene((240, 320))
    plain = draw_overlay(image, instances, labels)
    longer = draw_overlay(image, instances, labels, np.array([12]))
    widths = [np.ptp(np.nonzero((each != image).any(axis=(0, 2)))) for each in (plain, longer)]
    assert widths[1] > widths[0]


@pytest.mark.parametrize("opacity", [0.1, 0.45, 0.9])
def test_fill_is_the_weighted_mean_of_image_and_colour(opacity):
    _, mask, instances = scene()
    image = np.random.default_rng(3).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    drawn = draw_overlay(image, instances, OverlayStyle(opacity, False, False, False))
    mean = (1 - opacity) * image[mask] + opacity * np.array(class_color(3)[::-1])
    assert np.abs(drawn[mask] - mean).max() <= 0.51
    np.testing.assert_array_equal(drawn[~mask], image[~mask])


@pytest.mark.parametrize("size", [(60, 80), (720, 1280)])
@pytest.mark.parametrize("opacity", [0, 0.45])
def test_the_outline_lies_within_the_mask_along_its_border(size, opacity):
    image, mask, instances = scene(size)
    drawn = draw_overlay(image, instances, OverlayStyle(opacity, True, False, False))
    assert (drawn[~mask] == 77).all()
    line = (drawn == class_color(3)[::-1]).all(axis=2)
    assert line[27, 30 + (opacity > 0)] and line[27, 34 - (opacity > 0)]  # outside, and at the hole
    assert line[mask].mean() < 1


def test_the_outline_follows_the_image_border():
    mask = np.ones((60, 80), bool)
    _, _, one = scene()
    whole = Instances(**{**vars(one), "packed_masks": (PackedMask.from_array(mask),)})
    drawn = draw_overlay(np.zeros((60, 80, 3), np.uint8), whole, OverlayStyle(0, True, False))
    assert (drawn[30, 0] == class_color(3)[::-1]).all() and not drawn[30, 20].any()


def test_paint_draws_onto_the_image_itself():
    image, _, instances = scene()
    expected = draw_overlay(image, instances)
    paint_overlay(image, instances)
    np.testing.assert_array_equal(image, expected)
    assert (image != 77).any()


def test_the_better_of_two_is_on_top():
    image, mask, instances = scene()
    twice = Instances(
        image_size=instances.image_size,
        boxes=np.repeat(instances.boxes, 2, axis=0),
        scores=np.array([0.9, 0.8], np.float32),
        class_ids=np.array([1, 2]),
        class_names=("box", "can"),
        packed_masks=instances.packed_masks * 2,
    )
    drawn = draw_overlay(image, twice, FILL_ONLY)
    assert (drawn[mask] == class_color(1)[::-1]).all()


def test_each_part_is_drawn_only_if_asked():
    image, _, instances = scene()
    nothing = OverlayStyle(opacity=0, contours=False, boxes=False, labels=False)
    np.testing.assert_array_equal(draw_overlay(image, instances, nothing), image)
    boxed = draw_overlay(image, instances, OverlayStyle(0, False, True, False))
    assert (boxed[20, 30:51] != 77).any(axis=1).all() and (boxed[30, 40] == 77).all()
    outlined = draw_overlay(image, instances, OverlayStyle(0, True, False, False))
    assert (outlined[20, 35] != 77).any() and (outlined[33, 33] == 77).all()
    labelled = draw_overlay(image, instances, OverlayStyle(0, False, False, True))
    changed = (labelled != 77).any(axis=2)
    assert changed.any() and not changed[21:].any()  # above the box


def test_a_label_is_shorter_without_its_score():
    image, _, instances = scene(size=(60, 200))
    widths = [
        np.ptp(np.nonzero((draw_overlay(image, instances, style) != 77).any(axis=2))[1])
        for style in (OverlayStyle(0, False, False), OverlayStyle(0, False, False, scores=False))
    ]
    assert 30 < widths[1] < widths[0] - 20


@pytest.mark.parametrize("size", [(1, 1), (3, 4096), (2000, 2)])
def test_labels_of_instances_at_the_border_of_tiny_images(size):
    mask = np.ones(size, bool)
    instances = Instances(
        image_size=size,
        boxes=np.array([[0, 0, size[1], size[0]]], np.float32),
        scores=np.array([1.0], np.float32),
        class_ids=np.array([0]),
        class_names=("ball",),
        packed_masks=(PackedMask.from_array(mask),),
    )
    drawn = draw_overlay(np.zeros((*size, 3), np.uint8), instances)
    assert drawn.shape == (*size, 3)
    assert drawn.any()


def test_instances_of_another_image_are_refused():
    image, _, instances = scene()
    with pytest.raises(
        ValueError, match=r"expected the instances' size \(60, 80\), got \(30, 80\)"
    ):
        draw_overlay(image[:30], instances)


def test_opacity_out_of_range_is_refused():
    with pytest.raises(ValueError, match="opacity: expected 0 to 1, got 2"):
        OverlayStyle(opacity=2)


def test_colours_of_neighbouring_classes_differ():
    colors = np.array([class_color(i) for i in range(80)], int)
    assert len(np.unique(colors, axis=0)) == 80
    assert (np.abs(np.diff(colors, axis=0)).sum(axis=1) > 150).all()
