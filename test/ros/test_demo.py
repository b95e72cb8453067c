# SPDX-License-Identifier: Apache-2.0
"""The demo as a newcomer sees it."""

import re

import cv2
import pytest

pytestmark = pytest.mark.timeout(150)


def test_demo_agrees_with_the_camera_s_truth(start, tmp_path):
    picture = tmp_path / "out" / "overlay.png"
    demo = start("yolact_ros.ros.demo", "--output", picture, "--frames", "120")
    code = demo.process.wait(120)
    print(demo.output)
    assert code == 0
    assert len(demo.lines(r"frames .* Hz  age p50")) >= 3
    [line] = demo.lines("frames of 640 x 480")
    assert int(re.match(r"(\d+) frames", line)[1]) >= 120
    assert "age of results p50" in line and "in DDS" in line and "in the node" in line
    assert cv2.imread(str(picture)).shape == (480, 640, 3)


def test_demo_says_what_failed(start, tmp_path):
    weights = tmp_path / "missing.safetensors"
    demo = start("yolact_ros.ros.demo", "--weights", weights, "--output", tmp_path / "o.png")
    assert demo.process.wait(100) == 1
    assert demo.lines("demo failed: .*missing.safetensors")
    assert "Traceback" not in demo.output
