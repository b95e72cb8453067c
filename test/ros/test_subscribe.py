# SPDX-License-Identifier: Apache-2.0
"""The listeners of docs/subscribe.md, cut out of it, built and run as they stand there."""

import os
import re
import subprocess
import sys
from array import array
from pathlib import Path

import pytest
from yolact_ros.msg import Instance, InstanceArray, Mask

pytestmark = pytest.mark.timeout(300)
ROOT = Path(__file__).parents[2]
CMAKE = """
cmake_minimum_required(VERSION 3.16)
project(listener CXX)
find_package(rclcpp REQUIRED)
find_package(yolact_ros REQUIRED)
add_executable(listener listener.cpp)
target_link_libraries(listener PRIVATE
  rclcpp::rclcpp yolact_ros::mask_decoder ${yolact_ros_TARGETS})
"""


def block(language):
    """The one block of a language in the guide."""
    guide = (ROOT / "docs" / "subscribe.md").read_text()
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    return found


def python_listener(folder):
    program = folder / "listener.py"
    program.write_text(block("python"))
    return [sys.executable, program]


def cpp_listener(folder):
    prefixes = os.environ["AMENT_PREFIX_PATH"].split(os.pathsep)
    if not any((Path(prefix) / "share" / "rclcpp").exists() for prefix in prefixes):
        pytest.skip("no rclcpp in AMENT_PREFIX_PATH: the ROS 2 of scripts/setup has none")
    (folder / "CMakeLists.txt").write_text(CMAKE)
    (folder / "listener.cpp").write_text(block("cpp"))
    for command in (
        [
            *("cmake", "-S", folder, "-B", folder / "build"),
            f"-DCMAKE_PREFIX_PATH={';'.join(prefixes)}",
            f"-DPython3_EXECUTABLE={sys.executable}",
        ],
        ["cmake", "--build", folder / "build"],
    ):
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
    return [folder / "build" / "listener"]


def message_of(name, *, image_side=20, **fields):
    mask = Mask(**dict({"x_offset": 3, "width": 10, "height": 1, "step": 2}, **fields))
    mask.data = array("B", [0xFF, 0xC0])
    message = InstanceArray(image_height=image_side, image_width=image_side)
    message.instances = [Instance(class_name=name, score=0.5, mask=mask)]
    return message


@pytest.mark.parametrize("listener", [python_listener, cpp_listener])
def test_a_listener_survives_bad_messages(start_command, peer, tmp_path, listener):
    bad = [
        message_of("step", step=1),
        message_of("height", height=2),
        message_of("outside", x_offset=11),
        message_of("far", x_offset=2**32 - 1),
        message_of("tiny", image_side=0),
    ]
    if listener is python_listener:  # the other makes no image
        bad.append(message_of("huge", image_side=2**32 - 1))
    program = start_command(listener(tmp_path))
    publisher = peer.publisher(InstanceArray, "yolact/instances")
    peer.until(publisher.get_subscription_count, what="listener")
    for number, message in enumerate(bad):
        publisher.publish(message)
        program.wait_for("not decoded: ", count=number + 1)
        publisher.publish(message_of("cup"))
        assert program.wait_for("pixels$", count=number + 1).endswith("cup 0.50: 10 pixels")
