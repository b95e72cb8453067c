# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, RegionOfInterest

from yolact_ros.errors import InputError
from yolact_ros.recordings.images.camera_info import camera_of
from yolact_ros.space import Camera


def info(**changed):
    fields = {
        "width": 640,
        "height": 480,
        "distortion_model": "plumb_bob",
        "d": [0.1, -0.2, 0.001, 0.002, 0.0],
        "k": [500.0, 0.0, 320.0, 0.0, 510.0, 240.0, 0.0, 0.0, 1.0],
        "p": [400.0, 0.0, 300.0, 0.0, 0.0, 410.0, 200.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    }
    return CameraInfo(**fields | changed)


def test_a_raw_camera_follows_k_and_d():
    assert camera_of(info()) == Camera(
        *(640, 480, 500.0, 510.0, 320.0, 240.0, "plumb_bob"), (0.1, -0.2, 0.001, 0.002, 0.0)
    )


def test_a_rectified_camera_follows_p():
    assert camera_of(info(), rectified=True) == Camera(640, 480, 400.0, 410.0, 300.0, 200.0)


@pytest.mark.parametrize("d, model", [([], ""), ([0.0] * 5, "plumb_bob"), ([0.0] * 7, "magic")])
def test_a_camera_without_distortion_is_ideal_whatever_its_model_is_called(d, model):
    camera = camera_of(info(d=d, distortion_model=model))
    assert (camera.distortion_model, camera.distortion) == ("none", ())


@pytest.mark.parametrize(
    "model, count", [("plumb_bob", 4), ("rational_polynomial", 8), ("equidistant", 4)]
)
def test_distortion_models(model, count):
    camera = camera_of(info(d=[0.01] * count, distortion_model=model))
    assert (camera.distortion_model, len(camera.distortion)) == (model, count)


def test_binning_and_a_region_of_interest():
    roi = RegionOfInterest(x_offset=100, y_offset=40, width=400, height=200)
    camera = camera_of(info(d=[], binning_x=2, binning_y=4, roi=roi))
    assert (camera.width, camera.height) == (200, 50)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (250.0, 127.5, 110.0, 50.0)


@pytest.mark.parametrize(
    "changed, text",
    [
        ({"k": [0.0] * 9}, "expected fx of 1 to .*, got 0; is the camera calibrated"),
        ({"k": [1e30] * 9}, "expected fx of 1 to .*, got 1e.30"),
        ({"k": [np.nan] * 9}, "expected a finite number for fx, got nan"),
        ({"width": 0}, "expected a width of 1 to .*, got 0"),
        ({"width": 2**31}, "expected a width of 1 to .*, got 2147483648"),
        ({"binning_x": 1000}, "expected a width of 1 to .*, got 0"),
        ({"d": [np.nan] * 5}, "expected a finite number for distortion, got nan"),
        ({"d": [1e30] * 5}, "expected coefficients of at most"),
        ({"d": [0.1] * 3}, "expected a tuple of 0 or 4 or 5 coefficients"),
        ({"distortion_model": "magic"}, "distortion_model: expected one of .*, got 'magic'"),
    ],
)
def test_hostile_calibrations(changed, text):
    with pytest.raises(InputError, match=f"^camera_info: .*{text}"):
        camera_of(info(**changed))
