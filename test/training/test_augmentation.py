# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yolact_ros.inference.preprocess import Preprocessor
from yolact_ros.presets import Normalization, get_preset
from yolact_ros.training.augmentation import (
    Augmentation,
    SceneDataset,
    boxes_of,
    collate,
    coverage_of,
    make_sample,
)
from yolact_ros.training.scene_store import StoredScene, render_store


def scene(seed=0, height=48, width=64):
    """Two rectangles and a noisy image in which their pixels are brighter."""
    rng = np.random.default_rng(seed)
    instance_map = np.zeros((height, width), np.uint8)
    for index in (1, 2):
        y, x = rng.integers(0, height - 12), rng.integers(0, width - 12)
        instance_map[y : y + rng.integers(6, 12), x : x + rng.integers(6, 12)] = index
    image = rng.integers(0, 60, (height, width, 3), dtype=np.uint8)
    image[instance_map > 0] += 150
    return StoredScene(image, instance_map, np.array([4, 7]))


def sample_of(stored, augmentation, seed=0):
    return make_sample(
        stored,
        input_size=32,
        mask_size=16,
        augmentation=augmentation,
        rng=np.random.default_rng(seed),
    )


def test_without_augmentation_samples_are_what_inference_sees():
    stored = scene(height=480, width=640)
    sample = make_sample(
        stored,
        input_size=320,
        mask_size=80,
        augmentation=Augmentation.none(),
        rng=np.random.default_rng(0),
    )
    plain = Normalization(mean=(0, 0, 0), std=(1, 1, 1))
    preset = type("Preset", (), {"input_size": 320, "normalization": plain})()
    expected = Preprocessor(preset, torch.device("cpu"), torch.float32)([stored.image], "rgb")
    difference = np.abs(expected[0].permute(1, 2, 0).numpy() - sample.image)
    assert difference.max() <= 0.75  # whole numbers here, fractions there


def test_boxes_and_areas():
    instance_map = np.zeros((10, 20), np.uint8)
    instance_map[2:5, 4:10] = 1
    instance_map[9, 19] = 3
    boxes, areas = boxes_of(instance_map, 3)
    assert areas.tolist() == [18, 0, 1]
    np.testing.assert_allclose(
        boxes, [[0.2, 0.2, 0.5, 0.5], [0, 0, 0, 0], [0.95, 0.9, 1, 1]], rtol=1e-6
    )


def test_coverage_is_the_part_of_a_pixel():
    instance_map = np.zeros((8, 8), np.uint8)
    instance_map[:4, :3] = 1
    instance_map[4:, 4:] = 2
    covered = coverage_of(instance_map, 2, input_size=8, mask_size=2)
    np.testing.assert_array_equal(covered, [[[0.75, 0], [0, 0]], [[0, 0], [0, 1]]])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_image_boxes_and_masks_stay_together(seed):
    """Objects are bright, so the augmented image itself tells where they went."""
    unchanged = Augmentation(contrast=0, brightness=0, color=0, min_area=1, min_visible=0)
    sample = sample_of(scene(seed), unchanged, seed)
    target = sample.target
    bright = torch.from_numpy((sample.image.min(axis=2) > 105).astype(np.float32))
    found = bright.reshape(16, 2, 16, 2).mean(dim=(1, 3))
    covered = target.masks.sum(dim=0)
    # Pixels that are wholly inside or outside of all objects agree.
    inside = torch.nn.functional.avg_pool2d(covered[None], 3, 1, 1)[0]
    assert (found[inside > 0.999] > 0.5).all()
    assert (found[inside == 0] == 0).all()
    for box, mask in zip(target.boxes, target.masks, strict=True):
        if mask.max() == 0:
            continue
        rows, columns = mask.amax(dim=1).nonzero()[:, 0], mask.amax(dim=0).nonzero()[:, 0]
        extent = torch.tensor(
            [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=torch.float32
        )
        assert (box * 16 - extent).abs().max() <= 1.5  # whole mask pixels around the box


def test_mirror():
    stored = scene()
    straight = sample_of(stored, Augmentation.none())
    mirrored = sample_of(stored, Augmentation(mirror=1, crop=0, contrast=0, brightness=0, color=0))
    assert torch.equal(mirrored.target.masks, straight.target.masks.flip(2))
    flipped = straight.target.boxes[:, [2, 1, 0, 3]] * torch.tensor([-1, 1, -1, 1])
    assert torch.allclose(mirrored.target.boxes, flipped + torch.tensor([1, 0, 1, 0]))
    np.testing.assert_array_equal(mirrored.image, straight.image[:, ::-1])


def test_objects_that_are_nearly_gone_are_dropped():
    stored = scene()
    areas = np.bincount(stored.instance_map.ravel())[1:]
    kept = sample_of(stored, Augmentation(crop=0, mirror=0, min_area=int(areas.max())))
    assert kept.target.class_ids.tolist() == [int(stored.class_ids[areas.argmax()])]
    none = sample_of(stored, Augmentation(crop=0, mirror=0, min_area=10_000))
    assert len(none.target) == 0
    assert none.target.masks.shape == (0, 16, 16)


def test_colours_change_and_stay_in_range():
    image = np.array([[[0, 128, 255]]], np.uint8)
    strong = Augmentation(contrast=0.9, brightness=100, color=0.5)
    results = {tuple(strong.recolor(image, np.random.default_rng(seed))[0, 0]) for seed in range(5)}
    assert len(results) == 5
    still = Augmentation.none().recolor(image, np.random.default_rng(0))
    np.testing.assert_array_equal(still, image)


def test_stored_scenes_make_repeatable_samples(tmp_path):
    store = render_store(tmp_path / "scenes", [3, 4], workers=1, moments=[0.5, 2.0])
    assert len(store) == 2
    size = get_preset("yolact_demo").input_size
    dataset, again = (
        SceneDataset(
            store,
            input_size=size,
            mask_size=size // 4,
            augmentation=Augmentation(),
            seed=1,
            length=6,
        )
        for _ in range(2)
    )
    assert len(dataset) == 6
    images, targets = collate([dataset[i] for i in range(6)])
    assert images.shape == (6, size, size, 3)
    assert len(targets) == 6
    assert torch.equal(targets[5].masks, again[5].target.masks)
    np.testing.assert_array_equal(images[5], again[5].image)
    assert not np.array_equal(images[0], images[2])  # varied anew in each pass


def test_prototypes_must_divide_the_input():
    with pytest.raises(ValueError, match="mask_size: expected a divisor of the input size 320"):
        SceneDataset(
            [], input_size=320, mask_size=33, augmentation=Augmentation(), seed=0, length=1
        )
