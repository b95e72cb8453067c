# SPDX-License-Identifier: Apache-2.0
"""The sensor's flaws have the size that they are said to have."""

from dataclasses import replace

import numpy as np
import pytest

from yolact_ros.scenes.sensor import Sensor

SENSOR = Sensor(
    gain=np.array([1.0, 0.5, 1.2]),
    vignetting=0.3,
    blur=0.6,
    noise=3.0,
    depth_noise=0.002,
    max_depth=5.0,
    hole_rate=0.3,
)


def test_gain_falls_off_to_the_corners() -> None:
    gain = SENSOR.gain_map(101, 201)
    np.testing.assert_allclose(gain[50, 100], SENSOR.gain, rtol=1e-5)
    np.testing.assert_allclose(gain[0, 0], 0.7 * SENSOR.gain, rtol=1e-5)


def test_color_noise() -> None:
    rng = np.random.default_rng(0)
    light = np.full((200, 300, 3), 100, np.float32)
    image = (
        replace(SENSOR, gain=np.ones(3), vignetting=0)
        .pixels(200, 300, rng)
        .expose(light, rng)
        .astype(float)
    )
    assert image.mean() == pytest.approx(100, abs=0.1)
    assert image.std() == pytest.approx(3, rel=0.1)


def test_bright_and_dark_are_clipped() -> None:
    light = np.zeros((50, 50, 3), np.float32)
    light[:, 25:] = 1e4
    rng = np.random.default_rng(0)
    image = SENSOR.pixels(50, 50, rng).expose(light, rng)
    assert image[:, :20].max() < 15
    assert image[:, 30:].min() > 240


def test_depth_noise_grows_with_the_square_and_far_does_not_return() -> None:
    depth = np.full((300, 300), 1.0, np.float32)
    depth[100:] = 2.0
    depth[200:] = 6.0
    rng = np.random.default_rng(0)
    measured = SENSOR.pixels(300, 300, rng).measure(depth, rng)
    near, far = measured[:95], measured[105:195]
    assert near[near > 0].std() == pytest.approx(0.002, rel=0.1)
    assert far[far > 0].std() == pytest.approx(0.008, rel=0.1)
    assert not measured[205:].any()
    edge = measured[99:101]
    assert (edge == 0).mean() == pytest.approx(0.3, abs=0.15)
    assert (near == 0).mean() < 0.01


def test_noise_differs_from_frame_to_frame() -> None:
    rng = np.random.default_rng(0)
    pixels = replace(SENSOR, vignetting=0).pixels(64, 64, rng)
    light = np.full((64, 64, 3), 100, np.float32)
    first, second = (pixels.expose(light, rng).astype(float) for _ in range(2))
    assert (first != second).mean() > 0.5
    assert abs(np.corrcoef(first[..., 0].ravel(), second[..., 0].ravel())[0, 1]) < 0.1
