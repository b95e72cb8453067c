# SPDX-License-Identifier: Apache-2.0
"""Whatever comes is read within its bounds, or refused in one line."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from yolact_ros.errors import InputError
from yolact_ros.recordings.images.bounds import ImageError
from yolact_ros.recordings.images.camera_info import camera_of
from yolact_ros.recordings.images.compressed import compressed_to_array
from yolact_ros.recordings.images.depth import compressed_depth_to_metres, depth_to_metres
from yolact_ros.recordings.images.raw import image_to_array
from yolact_testing.hostile import (
    hostile_camera_info,
    hostile_compressed,
    hostile_depth,
    hostile_image,
)

MAX_PIXELS = 100_000
SEEDS = st.integers(0, 1 << 32)


def read(convert, message):
    try:
        result = convert(message, MAX_PIXELS)
    except ImageError as error:
        text = str(error)
        assert ": expected " in text and "\n" not in text and len(text) < 400
        return
    pixels = getattr(result, "pixels", result)
    assert 0 < pixels.shape[0] * pixels.shape[1] <= MAX_PIXELS
    assert pixels.dtype == (np.uint8 if pixels.ndim == 3 else np.float32)


@settings(deadline=None, max_examples=300)
@given(SEEDS)
def test_images(seed):
    read(image_to_array, hostile_image(seed, MAX_PIXELS))


@settings(deadline=None, max_examples=150)
@given(SEEDS)
def test_compressed_images(seed):
    read(compressed_to_array, hostile_compressed(seed, MAX_PIXELS))


@settings(deadline=None, max_examples=100)
@given(SEEDS)
def test_depth(seed):
    read(depth_to_metres, hostile_depth(seed, MAX_PIXELS))
    read(compressed_depth_to_metres, hostile_compressed(seed, MAX_PIXELS, depth=True))


@settings(deadline=None, max_examples=100)
@given(SEEDS, st.booleans())
def test_calibrations(seed, rectified):
    try:
        camera = camera_of(hostile_camera_info(seed), rectified)
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert camera.width <= 1 << 15 and camera.height <= 1 << 15
