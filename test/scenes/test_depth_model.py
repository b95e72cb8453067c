# SPDX-License-Identifier: Apache-2.0
"""The flaws of each depth camera have the size that they are said to have."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolact_ros.scenes import Scene
from yolact_ros.scenes.depth_model import DEPTH_MODELS, DepthModel

REAL = DEPTH_MODELS["real"]
NEAR, FAR = 0.6, 1.0


def wall(distance: float, height: int = 240, width: int = 320) -> np.ndarray:
    return np.full((height, width), distance, np.float32)


def edge() -> np.ndarray:
    """Columns 0 to 49 are near, the others far."""
    depth = wall(FAR, 400, 100)
    depth[:, :50] = NEAR
    return depth


def table() -> np.ndarray:
    """A table seen under 33 degrees from 0.9 m, as flat as scenes show it."""
    rows = (np.arange(480) - 239.5) / 413
    pitch = np.deg2rad(33)
    depth = 0.9 * np.sin(pitch) / (np.sin(pitch) + rows * np.cos(pitch))
    return np.repeat(depth[:, None], 64, axis=1).astype(np.float32)


def measured(model: DepthModel, depth: np.ndarray, seed: int = 0) -> np.ndarray:
    return model.measure(depth, np.random.default_rng(seed))


def test_an_ideal_camera_measures_the_truth() -> None:
    depth = edge()
    result = measured(DEPTH_MODELS["ideal"], depth)
    np.testing.assert_array_equal(result, depth)
    assert result is not depth


@pytest.mark.parametrize(
    "distance, millimetres",
    # 1.2 + 1.9 (z - 0.4)^2, and the deviation 1 / sqrt(12) of the steps of 1 mm
    [(0.45, 1.2386), (0.7, 1.4002), (1.0, 1.9060), (2.0, 6.0709)],
)
def test_noise_of_a_real_camera(distance: float, millimetres: float) -> None:
    result = measured(REAL, wall(distance, 480, 640)).astype(np.float64)
    assert result.dtype == np.float64 and measured(REAL, wall(1)).dtype == np.float32
    assert 1000 * (result.mean() - distance) == pytest.approx(0, abs=0.05)
    assert 1000 * result.std() == pytest.approx(millimetres, rel=0.02)
    np.testing.assert_allclose(1000 * result, np.round(1000 * result), atol=2e-4)


def test_half_of_the_variance_is_correlated_over_three_pixels() -> None:
    plain = replace(REAL, step=0.0, mixing=0.0)
    noise = measured(plain, wall(1.0, 480, 640)) - np.float32(1.0)
    noise = noise / noise.std()
    for axis in (0, 1):
        for lag, expected in ((1, 0.4474), (2, 0.3206), (3, 0.1839), (9, 0.0001)):
            along = np.moveaxis(noise, axis, 0)
            assert (along[lag:] * along[:-lag]).mean() == pytest.approx(expected, abs=0.012)


def test_flying_pixels_are_at_edges_alone() -> None:
    result = measured(DepthModel(mixing=1.0), edge())
    np.testing.assert_allclose(result[:, :49], NEAR, atol=1e-6)
    np.testing.assert_allclose(result[:, 51:], FAR, atol=1e-6)
    for column, own in ((49, NEAR), (50, FAR)):
        pixels = result[:, column]
        assert ((pixels > NEAR - 1e-6) & (pixels < FAR + 1e-6)).all()
        # Half look to their own side; the others see evenly spread depths in between.
        flying = np.abs(pixels - own) > 1e-6
        assert flying.mean() == pytest.approx(0.5, abs=0.1)
        assert pixels[flying].mean() == pytest.approx(0.5 * (NEAR + FAR), abs=0.04)


@pytest.mark.parametrize("name, size", [("missing", 6), ("holes", 20)])
def test_what_is_missing_and_how_large_it_is(name: str, size: float) -> None:
    model, depth = DEPTH_MODELS[name], wall(1.0, 480, 640)
    crossings = []
    for seed in range(4):
        gone = measured(model, depth, seed) == 0
        assert gone.mean() == pytest.approx(0.3, abs=1e-4)
        np.testing.assert_array_equal(
            measured(REAL, depth, seed)[~gone], measured(model, depth, seed)[~gone]
        )
        crossings.append((gone[:, 1:] != gone[:, :-1]).mean())
    # Rice's formula for a Gaussian field, whose 30 % lie below -0.5244 deviations.
    expected = np.exp(-(0.5244**2) / 2) / (np.pi * np.sqrt(2) * size)
    assert np.mean(crossings) == pytest.approx(expected, rel=0.1)


def test_near_things_grow_by_three_pixels() -> None:
    fat = replace(DEPTH_MODELS["ideal"], fattening=DEPTH_MODELS["fattened"].fattening)
    result = measured(fat, edge())
    np.testing.assert_array_equal(result[:, :53], np.float32(NEAR))
    np.testing.assert_array_equal(result[:, 53:], np.float32(FAR))
    spot = wall(FAR, 21, 21)
    spot[10, 10] = NEAR
    rows, columns = np.nonzero(measured(fat, spot) < FAR)
    away = np.hypot(rows - 10, columns - 10)
    assert away.max() == 3
    assert len(away) == 29  # all of the disc
    slope = np.s_[3:-3]  # at the image's border it cannot be told from an edge
    np.testing.assert_array_equal(measured(fat, table())[slope], table()[slope])


def test_a_shifted_camera_sees_a_thing_to_the_right_and_below() -> None:
    shifted = replace(DEPTH_MODELS["ideal"], offset=DEPTH_MODELS["shifted"].offset)
    depth = wall(FAR, 40, 60)
    depth[10:20, 30:45] = NEAR
    expected = wall(FAR, 40, 60)
    expected[11:21, 33:48] = NEAR
    np.testing.assert_array_equal(measured(shifted, depth), expected)


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(sorted(DEPTH_MODELS)),
    seed=st.integers(0, 2**32),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    distance=st.floats(0.05, 20),
)
def test_any_image_can_be_measured_and_again(
    name: str, seed: int, height: int, width: int, distance: float
) -> None:
    rng = np.random.default_rng(seed)
    depth = (distance * rng.uniform(0.5, 1.5, (height, width))).astype(np.float32)
    before = depth.copy()
    model = DEPTH_MODELS[name]
    first = measured(model, depth, seed)
    assert first.shape == depth.shape and first.dtype == np.float32
    assert np.isfinite(first).all() and (first >= 0).all()
    np.testing.assert_array_equal(depth, before)
    np.testing.assert_array_equal(measured(model, depth, seed), first)


@pytest.mark.parametrize("name", sorted(set(DEPTH_MODELS) - {"ideal"}))
def test_each_frame_has_noise_of_its_own(name: str) -> None:
    model, depth = DEPTH_MODELS[name], wall(1.0)
    assert (measured(model, depth, 1) != measured(model, depth, 2)).mean() > 0.5


def test_depth_that_is_not_true_is_refused() -> None:
    for wrong in (0.0, -1.0, np.nan):
        depth = wall(1.0)
        depth[3, 4] = wrong
        with pytest.raises(ValueError, match=r"depth: expected true, positive depths, got"):
            measured(REAL, depth)


def test_a_scene_is_filmed_with_the_model_that_it_was_made_with() -> None:
    usual = Scene.random(3, width=160, height=120).frame(0.4)
    for model in DEPTH_MODELS.values():
        frame = Scene.random(3, width=160, height=120, depth_model=model).frame(0.4)
        for name in ("image", "true_depth", "instance_map"):
            np.testing.assert_array_equal(getattr(frame, name), getattr(usual, name))
        assert (frame.depth != usual.depth).mean() > 0.5
        if model.missing_share:
            assert (frame.depth == 0).mean() == pytest.approx(0.3, abs=1e-3)
        if model == DEPTH_MODELS["ideal"]:
            np.testing.assert_array_equal(frame.depth, frame.true_depth)
    scene = Scene.random(3, width=160, height=120, depth_model=REAL)
    np.testing.assert_array_equal(scene.frame(0.4).depth, scene.frame(0.4).depth)
    assert (scene.frame(0.4).depth != scene.frame(0.5).depth).mean() > 0.5
