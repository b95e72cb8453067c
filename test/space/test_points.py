# SPDX-License-Identifier: Apache-2.0
"""Points have their pixel's place, colour, instance and class."""

import numpy as np
import pytest

from yolact_ros.errors import InputError
from yolact_ros.space import Camera, organised_points, sparse_points
from yolact_ros.space.points import NO_CLASS, POINT
from yolact_testing.instances import instances_of

CAMERA = Camera(6, 4, 2.0, 4.0, 1.0, 2.0)
DEPTH = np.full((4, 6), 2, np.float32)
IMAGE = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)


def _instances(class_ids=(7, 2)):
    masks = np.zeros((2, 4, 6), bool)
    masks[0, 1:3, 1:4] = True
    masks[1, 2:, 2:] = True  # the first has the better score, and is on top
    return instances_of(list(masks), class_ids=class_ids)


def test_a_point_takes_twenty_bytes_as_a_cloud_declares_them():
    assert POINT.itemsize == 20
    offsets = {name: POINT.fields[name][1] for name in POINT.names}
    expected = {"x": 0, "y": 4, "z": 8, "rgb": 12, "instance": 16, "class_id": 18}
    assert offsets == expected


def test_each_pixel_has_its_point():
    cloud = organised_points(_instances(), DEPTH, CAMERA, IMAGE)
    assert cloud.shape == (4, 6) and cloud.dtype == POINT
    x, y = np.meshgrid((np.arange(6) - 1) / 2 * 2, (np.arange(4) - 2) / 4 * 2)
    assert np.array_equal(cloud["x"], x) and np.array_equal(cloud["y"], y)
    assert (cloud["z"] == 2).all()
    red, green, blue = IMAGE[1, 2].astype(int)
    assert cloud["rgb"][1, 2] == red << 16 | green << 8 | blue
    assert np.array_equal(cloud["instance"], _instances().instance_map())
    classes = np.array([NO_CLASS, 7, 2])[_instances().instance_map()]
    assert np.array_equal(cloud["class_id"], classes)


def test_the_channel_order_is_that_of_the_image():
    rgb = organised_points(_instances(), DEPTH, CAMERA, IMAGE)
    bgr = organised_points(_instances(), DEPTH, CAMERA, IMAGE[..., ::-1].copy(), "bgr")
    assert np.array_equal(rgb["rgb"], bgr["rgb"])
    assert not organised_points(_instances(), DEPTH, CAMERA)["rgb"].any()
    with pytest.raises(InputError, match="channel_order: expected one of bgr, rgb"):
        organised_points(_instances(), DEPTH, CAMERA, IMAGE, "gbr")


@pytest.mark.parametrize("missing", [0, np.nan, -1, np.inf, 1e30])
def test_without_depth_an_organised_point_is_nan_and_a_sparse_one_missing(missing):
    depth = DEPTH.copy()
    depth[2, 2] = missing
    cloud = organised_points(_instances(), depth, CAMERA, IMAGE)
    for name in "xyz":
        assert np.argwhere(np.isnan(cloud[name])).tolist() == [[2, 2]]
    assert cloud["instance"][2, 2] == 1
    points = sparse_points(_instances(), depth, CAMERA, IMAGE)
    seen = (cloud["instance"] > 0) & (np.isfinite(cloud["z"]))
    assert points.dtype == POINT
    assert points.tobytes() == cloud[seen].tobytes()


def test_where_the_lens_has_no_ray_there_is_no_point():
    camera = Camera(6, 4, 2.0, 4.0, 1.0, 2.0, "plumb_bob", (-1.0, 0.0, 0.0, 0.0))
    lost = np.isnan(camera.rays[0])
    assert lost.any() and not lost.all()
    cloud = organised_points(_instances(), DEPTH, camera)
    assert np.array_equal(np.isnan(cloud["x"]), lost)
    inside = (cloud["instance"] > 0) & ~lost
    assert len(sparse_points(_instances(), DEPTH, camera)) == inside.sum()


def test_class_ids_that_do_not_fit_are_no_class():
    cloud = organised_points(_instances(class_ids=(70000, -1)), DEPTH, CAMERA)
    assert set(cloud["class_id"].ravel()) == {NO_CLASS}


@pytest.mark.parametrize("points", [organised_points, sparse_points])
def test_what_does_not_fit_is_refused(points):
    with pytest.raises(InputError, match="image: expected shape"):
        points(_instances(), DEPTH, CAMERA, IMAGE[:, :3])
    with pytest.raises(InputError, match="depth: expected 6x4"):
        points(_instances(), DEPTH[:, :3].copy(), CAMERA, IMAGE)
    with pytest.raises(InputError, match="camera: expected the calibration of 6x4"):
        points(_instances(), DEPTH, Camera(4, 6, 2.0, 4.0, 1.0, 2.0), IMAGE)
