# SPDX-License-Identifier: Apache-2.0
"""The demo as a newcomer sees it."""

import re

import cv2
import pytest

pytestmark = pytest.mark.timeout(400)  # a busy machine shows fewer of the frames it is asked for


def test_demo_agrees_with_the_camera_s_truth(start, tmp_path):
    picture = tmp_path / "out" / "overlay.png"
    demo = start("yolact_ros.ros.demo", "--output", picture, "--frames", "100")
    code = demo.process.wait(300)
    print(demo.output)
    assert code == 0
    assert len(demo.lines(r"frames .* Hz  age p50")) >= 3
    [line] = demo.lines("frames of 640 x 480")
    assert int(re.match(r"(\d+) frames", line)[1]) >= 100
    assert "age of results p50" in line and "in DDS" in line and "in the node" in line
    assert cv2.imread(str(picture)).shape == (480, 640, 3)
    assert len(demo.lines(r"frames .* nearest \w+ at -?0\.\d+ -?0\.\d+ \d\.\d+ m ± \d+ mm")) >= 3
    [line] = demo.lines("in space, [0-9]+ objects found in [0-9]+ of [0-9]+ frames")
    assert int(re.search(r"\d+", line)[0]) >= 50
    [line] = demo.lines("error of the centre")
    median, worst = (float(number) for number in re.findall(r"([\d.]+) mm", line)[:2])
    assert 0 < median <= worst < 50


def test_demo_of_several_cameras_agrees_with_the_truth_of_each(start, tmp_path):
    picture = tmp_path / "overlay.png"
    demo = start("yolact_ros.ros.demo", "--cameras", "2", "--output", picture)
    code = demo.process.wait(300)
    print(demo.output)
    assert code == 0
    for name, width, height in (("front", 640, 480), ("rear", 480, 360)):
        assert len(demo.lines(rf"^{name} .*frames .* Hz  age p50")) >= 3
        [line] = demo.lines(rf"^{name}: \d+ frames of {width} x {height} at")
        assert int(re.search(r"(\d+) frames", line)[1]) >= 100
        overlay = cv2.imread(str(tmp_path / f"overlay_{name}.png"))
        assert overlay.shape == (height, width, 3)
    assert len(demo.lines("recall at mask IoU")) == 2


@pytest.mark.parametrize(
    "arguments, text",
    [
        (("--cameras", "9"), "--cameras: expected 1 to 4, got 9"),
        (("--cameras", "2", "--frames", "5"), "--frames: expected at least 100, got 5"),
    ],
)
def test_demo_refuses_what_it_cannot_show(start, arguments, text):
    demo = start("yolact_ros.ros.demo", *arguments)
    assert demo.process.wait(30) == 2 and text in demo.output


def test_demo_says_what_failed(start, tmp_path):
    weights = tmp_path / "missing.safetensors"
    demo = start("yolact_ros.ros.demo", "--weights", weights, "--output", tmp_path / "o.png")
    assert demo.process.wait(100) == 1
    assert demo.lines("demo failed: .*missing.safetensors")
    assert "Traceback" not in demo.output
