# SPDX-License-Identifier: Apache-2.0
"""Rays are what cv2 projects, for each distortion model; values without meaning are refused."""

import math

import cv2
import numpy as np
import pytest

from yolact_ros.errors import InputError
from yolact_ros.space import Camera

SIZE = {"width": 160, "height": 120}
PINHOLE = {**SIZE, "fx": 130.0, "fy": 128.0, "cx": 80.3, "cy": 58.9}
MODELS = {
    "none": (),
    "plumb_bob": (-0.25, 0.08, 0.001, -0.0015, 0.01),
    "rational_polynomial": (0.3, 0.05, 1e-4, 2e-4, 0.01, 0.35, 0.08, 0.003),
    "equidistant": (-0.02, 0.01, -0.003, 0.001),
}


def _project(points, model, distortion):
    """Pixels of points by OpenCV alone."""
    matrix = np.array([[130.0, 0, 80.3], [0, 128.0, 58.9], [0, 0, 1]])
    project = cv2.fisheye.projectPoints if model == "equidistant" else cv2.projectPoints
    pixels, _ = project(
        points.reshape(-1, 1, 3), np.zeros(3), np.zeros(3), matrix, np.array(distortion)
    )
    return pixels.reshape(-1, 2)


@pytest.mark.parametrize("model", MODELS)
def test_a_point_on_a_pixels_ray_is_projected_to_that_pixel(model):
    x, y = Camera(**PINHOLE, distortion_model=model, distortion=MODELS[model]).rays
    assert x.shape == y.shape == (120, 160) and x.dtype == y.dtype == np.float32
    depth = np.random.default_rng(0).uniform(0.3, 4, x.shape)
    points = np.stack([x * depth, y * depth, depth], axis=-1).astype(np.float64)
    row, column = np.mgrid[:120, :160]
    pixels = _project(points, model, MODELS[model] or np.zeros(4))
    expected = np.stack([column, row], axis=-1).reshape(-1, 2)
    assert np.abs(pixels - expected).max() < 1e-3


@pytest.mark.parametrize("model", MODELS)
def test_project_gives_opencvs_pixels(model):
    camera = Camera(**PINHOLE, distortion_model=model, distortion=MODELS[model])
    points = np.array([[0.1, -0.2, 1.0], [0.0, 0.0, 2.0], [-0.5, 0.3, 1.5]])
    expected = _project(points, model, MODELS[model] or np.zeros(4))
    assert np.allclose(camera.project(points), expected, atol=1e-9)


def test_distortion_moves_rays_by_what_a_hand_can_compute():
    # k1 alone: at the undistorted radius 0.5 a point appears at 0.5 (1 + 0.2 * 0.25) = 0.525
    camera = Camera(101, 3, 100.0, 100.0, 0.0, 1.0, "plumb_bob", (0.2, 0.0, 0.0, 0.0))
    x, _ = camera.rays
    assert x[1, 0] == 0
    assert camera.project([[0.5, 0, 1]])[0, 0] == pytest.approx(52.5)
    assert np.interp(52.5, np.arange(101), x[1]) == pytest.approx(0.5, abs=1e-4)


def test_a_fisheye_camera_keeps_the_angle():
    # r = f theta: 45 degrees are pi / 4 * 100 pixels from the middle, and x / z there is 1
    camera = Camera(180, 3, 100.0, 100.0, 0.0, 1.0, "equidistant", (0.0, 0.0, 1e-12, 0.0))
    x, _ = camera.rays
    assert np.interp(100 * math.pi / 4, np.arange(180), x[1]) == pytest.approx(1, abs=1e-3)


def test_pixels_that_no_ray_reaches_have_none():
    # 1 - r^2 folds back at r = 0.577: nothing appears farther out than 0.385 * 130 = 50 pixels
    camera = Camera(**PINHOLE, distortion_model="plumb_bob", distortion=(-1.0, 0.0, 0.0, 0.0))
    x, y = camera.rays
    away = np.hypot(*np.meshgrid(np.arange(160) - 80.3, np.arange(120) - 58.9))
    assert np.isfinite(x[away < 40]).all()
    assert np.isnan(x[away > 52]).all() and (np.isnan(x) == np.isnan(y)).all()


def test_rays_are_computed_once_and_cannot_be_changed():
    camera = Camera(**PINHOLE)
    assert camera.rays[0] is camera.rays[0]
    with pytest.raises(ValueError, match="read-only"):
        camera.rays[0][0, 0] = 1


HOSTILE = [
    ({"fx": 0.0}, "fx of 1 to 1e\\+06 pixels, got 0; is the camera calibrated"),
    ({"fx": -130.0}, "fx of 1 to"),
    ({"fy": math.nan}, "finite number for fy"),
    ({"fy": 1e30}, "fy of 1 to"),
    ({"fx": 10**400}, "finite number for fx"),
    ({"cx": math.inf}, "finite number for cx"),
    ({"cy": 1e30}, "cy of at most"),
    ({"cx": "middle"}, "finite number for cx, got 'middle'"),
    ({"width": 0}, "width of 1 to 32768, got 0"),
    ({"height": 10**9}, "height of 1 to 32768"),
    ({"width": 160.5}, "width of 1 to 32768"),
    ({"distortion_model": "thin_prism"}, "expected one of none, plumb_bob"),
    ({"distortion_model": "plumb_bob", "distortion": (0.1,)}, "0 or 4 or 5 coefficients"),
    ({"distortion": (0.1, 0.1, 0.0, 0.0)}, "0 coefficients for none"),
    ({"distortion_model": "equidistant", "distortion": (0, 0, 0, math.nan)}, "finite number"),
    ({"distortion_model": "equidistant", "distortion": (0, 0, 0, 1e30)}, "of at most 10000"),
]


@pytest.mark.parametrize(("change", "message"), HOSTILE)
def test_values_without_meaning_are_refused_in_one_sentence(change, message):
    with pytest.raises(InputError, match=message) as caught:
        Camera(**PINHOLE | change)
    assert "\n" not in str(caught.value)
