# SPDX-License-Identifier: Apache-2.0
"""A rough answer is near the truth, or none."""

import numpy as np
import pytest

from yolact_ros.errors import InputError
from yolact_ros.space import Camera, rough_centres
from yolact_testing.instances import instances_of

CAMERA = Camera(64, 48, 60.0, 60.0, 31.5, 23.5)


def test_a_flat_thing_is_where_its_middle_is_seen():
    mask = np.zeros((48, 64), bool)
    mask[10:31, 20:51] = True
    depth = np.where(mask, np.float32(1.2), np.float32(3.0))
    depth[12:20, 22:30] = 0  # a hole
    [centre] = rough_centres(instances_of([mask]), depth, CAMERA)
    np.testing.assert_allclose(centre, [(35 - 31.5) / 50, (20 - 23.5) / 50, 1.2], atol=0.06)


def test_there_is_no_answer_where_it_may_be_wrong():
    thing, nothing, few, both = np.zeros((4, 48, 64), bool)
    thing[4:20, 4:20] = few[26:28, 4:6] = both[4:20, 30:50] = True
    depth = np.full((48, 64), 0.8, np.float32)
    depth[:, 40:] = 1.6
    depth[32:] = np.nan
    missing = np.zeros((48, 64), bool)
    missing[36:46, 4:30] = True
    masks = [thing, nothing, few, both, missing]
    centres = rough_centres(instances_of(masks), depth, CAMERA)
    assert np.isfinite(centres).all(axis=1).tolist() == [True, False, True, False, False]
    assert rough_centres(instances_of(masks)[[]], depth, CAMERA).shape == (0, 3)


def test_depth_of_another_size_is_refused_or_brought_to_size():
    mask = np.ones((48, 64), bool)
    half = np.full((24, 32), 0.5, np.float32)
    assert rough_centres(instances_of([mask]), half, CAMERA)[0, 2] == pytest.approx(0.5)
    with pytest.raises(InputError, match="expected 64x48 pixels"):
        rough_centres(instances_of([mask]), half[:20], CAMERA)
