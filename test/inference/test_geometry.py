# SPDX-License-Identifier: Apache-2.0
"""Image to network to image: nothing may shift, in either kind of resize, for any size."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from yolact_ros.inference.assemble import assemble_instances
from yolact_ros.inference.preprocess import Preprocessor
from yolact_ros.network.priors import level_sizes
from yolact_ros.presets import Normalization, get_preset
from yolact_ros.structures import Detections

# No normalisation: the input is the resized pixel values.
PRESET = dataclasses.replace(
    get_preset("yolact_demo"), normalization=Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
)
side = st.integers(1, 256)
kind = st.sampled_from(["square", "fit"])


def preprocessor(resize):
    return Preprocessor(PRESET, torch.device("cpu"), torch.float32, resize)


@settings(deadline=None, max_examples=40)
@given(side, side, kind)
def test_every_input_pixel_shows_the_image_at_the_same_fraction(height, width, resize):
    # Channel 0 says its column, channel 1 its row.
    image = np.zeros((height, width, 3), np.uint8)
    image[:, :, 0] = np.arange(width)
    image[:, :, 1] = np.arange(height)[:, None]
    prepare = preprocessor(resize)
    [x] = prepare([image], "rgb")
    rows, columns = prepare.input_size(height, width)
    assert x.shape == (3, rows, columns)
    for values, cells, pixels in ((x[0, 0], columns, width), (x[1, :, 0], rows, height)):
        fractions = (torch.arange(cells) + 0.5) / cells
        expected = (fractions * pixels - 0.5).clamp(0, pixels - 1)
        torch.testing.assert_close(values, expected, atol=1e-3, rtol=0)


@given(st.integers(1, 9000), st.integers(1, 9000))
def test_fit_keeps_the_aspect_ratio_to_the_nearest_pixel(height, width):
    rows, columns = preprocessor("fit").input_size(height, width)
    assert max(rows, columns) == PRESET.input_size
    short, long = sorted((height, width))
    expected = PRESET.input_size * short / long
    assert abs(min(rows, columns) - max(expected, 32)) <= 0.5
    assert preprocessor("square").input_size(height, width) == (320, 320)


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(40, 400),
    width=st.integers(40, 400),
    resize=kind,
    corners=st.tuples(*[st.floats(0.05, 0.95)] * 4),
)
@example(height=40, width=40, resize="square", corners=(0.5, 0.75, 0.0625, 0.0546875))
def test_a_rectangle_in_the_prototypes_comes_back_where_it_was(height, width, resize, corners):
    x1, x2 = sorted(corners[:2])
    y1, y2 = sorted(corners[2:])
    input_size = preprocessor(resize).input_size(height, width)
    rows, columns = (2 * cells for cells in level_sizes(input_size, 3)[0])
    # One prototype: positive where the cell's centre lies in the rectangle.
    in_x = ((torch.arange(columns) + 0.5) / columns - x1) * (
        x2 - (torch.arange(columns) + 0.5) / columns
    ) >= 0
    in_y = ((torch.arange(rows) + 0.5) / rows - y1) * (y2 - (torch.arange(rows) + 0.5) / rows) >= 0
    inside = in_y[:, None] & in_x[None]
    prototypes = torch.where(inside, 8.0, -8.0)[..., None]
    detections = Detections(
        boxes=torch.tensor([[x1, y1, x2, y2]]),
        scores=torch.ones(1),
        class_ids=torch.zeros(1, dtype=torch.int64),
        coefficients=torch.ones(1, 1),
    )
    found = assemble_instances(detections, None, prototypes, (height, width), ("thing",))
    np.testing.assert_allclose(
        found.boxes[0], [x1 * width, y1 * height, x2 * width, y2 * height], rtol=1e-4, atol=1e-3
    )
    if not inside.any():
        return
    mask = found.masks[0]
    if not mask.any():
        # Thinner than a pixel, and between the centres of two of them.
        assert in_x.sum() <= columns / width or in_y.sum() <= rows / height
        return
    # The edge of the cells, half a cell at most from the true one, and one pixel of rounding.
    cell = max(width / columns, height / rows)
    ys, xs = np.nonzero(mask)
    left, right = xs.min() / width, (xs.max() + 1) / width
    top, bottom = ys.min() / height, (ys.max() + 1) / height
    tolerance_x, tolerance_y = (0.6 * cell + 1) / width, (0.6 * cell + 1) / height
    assert abs(left - x1) <= tolerance_x and abs(right - x2) <= tolerance_x
    assert abs(top - y1) <= tolerance_y and abs(bottom - y2) <= tolerance_y


def test_an_unknown_resize_is_refused():
    with pytest.raises(ValueError, match="resize: expected one of square, fit, got 'letterbox'"):
        preprocessor("letterbox")
