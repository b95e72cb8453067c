# SPDX-License-Identifier: Apache-2.0
import pytest

from yolact_ros.bench.memory import measure_peak_memory
from yolact_ros.cli.main import main
from yolact_ros.presets import get_preset

DEMO = get_preset("yolact_demo")


def test_masks_of_a_hundred_instances_stay_far_below_full_images():
    peak = measure_peak_memory(DEMO, (1944, 2592), instances=100, box_area=0.05)
    # As floats over the whole image they would be 100 * 5 MP * 4 bytes = 2,016 MB.
    assert peak.preprocess + peak.masks < 150
    assert 0 < peak.packed < 10


def test_the_command_prints_each_stage(capsys):
    arguments = ["--image-size", "240x320", "--instances", "3", "--box-area", "0.1"]
    assert main(["memory", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["preprocess", "network", "masks", "packed"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image-size", "0x5"], "--image-size: expected HxW in pixels"),
        (["--instances", "0"], "expected at least 1 instance"),
        (["--box-area", "1.5"], "box area above 0 up to 1"),
    ],
)
def test_wrong_values_give_one_line(capsys, arguments, message):
    assert main(["memory", *arguments]) == 1
    assert message in capsys.readouterr().err
