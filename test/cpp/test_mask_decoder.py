# SPDX-License-Identifier: Apache-2.0
"""The C++ decoder: its own tests, the comparison with the Python one, and a consumer's build."""

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from yolact_ros.masks import decode_mask, instance_map
from yolact_ros.structures import PackedMask

HERE = Path(__file__).parent
GUIDE = HERE.parents[1] / "docs" / "messages.md"


def test_the_tests_in_cpp_pass(cpp_program):
    result = subprocess.run([cpp_program("test_mask_decoder")], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    assert result.stdout == "all passed\n"


def test_random_masks_break_nothing_under_the_sanitizers(cpp_program):
    command = [cpp_program("fuzz_mask_decoder"), "1", "3"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    masks, decoded = map(int, re.findall(r"\d+", result.stdout))
    assert masks > 100 and masks / 10 < decoded < masks


def _message(random: np.random.Generator, count: int):
    from array import array

    from yolact_ros.msg import Instance, InstanceArray, Mask

    height, width = (int(side) for side in random.integers(20, 90, 2))
    message = InstanceArray(image_height=height, image_width=width)
    for number in range(count):
        top, left = int(random.integers(0, height - 5)), int(random.integers(0, width - 5))
        shape = (random.integers(1, height - top + 1), random.integers(1, width - left + 1))
        region = random.random(shape) < random.random()
        packed = PackedMask.from_array(region, x_offset=left, y_offset=top)
        mask = Mask(
            x_offset=packed.x_offset,
            y_offset=packed.y_offset,
            width=packed.width,
            height=packed.height,
            step=packed.step,
        )
        mask.data = array("B", packed.data.tobytes())
        message.instances.append(Instance(class_id=number, class_name="thing", mask=mask))
    return message


def test_cpp_decodes_serialised_messages_as_python_does(decode_in_cpp):
    from rclpy.serialization import serialize_message

    random = np.random.default_rng(3)
    messages = [_message(random, count) for count in (0, 1, 2, 7, 25)]
    decoded = decode_in_cpp([serialize_message(message) for message in messages])
    assert len(decoded) == len(messages)
    for message, found in zip(messages, decoded, strict=True):
        np.testing.assert_array_equal(found.instance_map, instance_map(message))
        assert len(found.masks) == len(message.instances)
        for instance, mask in zip(message.instances, found.masks, strict=True):
            np.testing.assert_array_equal(mask.pixels, decode_mask(instance.mask))
            assert mask.x_offset == instance.mask.x_offset
            assert mask.y_offset == instance.mask.y_offset
            assert mask.area == decode_mask(instance.mask).sum()


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (struct.pack("<I", 2**32 - 1), "a message of at most 268435456 bytes, got 4294967295"),
        (b"\x01\x00", "ends within a number"),
        (struct.pack("<I", 9) + b"abc", "ends within a message"),
        (struct.pack("<I", 9) + b"\0\1\0\0abcde", "9 bytes are no InstanceArray"),
    ],
)
def test_a_broken_stream_is_refused(cpp_program, stream, expected):
    result = subprocess.run([cpp_program("mask_decode_tool")], input=stream, capture_output=True)
    assert result.returncode == 1
    assert expected in result.stderr.decode()


@pytest.mark.parametrize("side", [2**32 - 1, 2**31, 10_000])
def test_an_image_that_nobody_has_memory_for_is_refused(cpp_program, side):
    """Of the first two, width * 2 * height wraps around in 64 bits."""
    from rclpy.serialization import serialize_message
    from yolact_ros.msg import InstanceArray

    data = serialize_message(InstanceArray(image_width=side, image_height=side))
    stream = struct.pack("<I", len(data)) + data
    result = subprocess.run([cpp_program("mask_decode_tool")], input=stream, capture_output=True)
    assert result.returncode == 1
    assert f"image of at most 67108864 pixels, got {side}x{side}" in result.stderr.decode()


def test_contradicting_fields_are_refused(cpp_program):
    from rclpy.serialization import serialize_message

    message = _message(np.random.default_rng(5), 1)
    message.instances[0].mask.step += 1
    data = serialize_message(message)
    stream = struct.pack("<I", len(data)) + data
    result = subprocess.run([cpp_program("mask_decode_tool")], input=stream, capture_output=True)
    assert result.returncode == 1
    assert "bytes of data" in result.stderr.decode()


def test_a_consumer_builds_against_the_installed_package(tmp_path, cpp_program):
    cpp_program("mask_decode_tool")  # skips where the package was built without tests
    prefixes = os.environ["AMENT_PREFIX_PATH"].replace(os.pathsep, ";")
    [recipe] = re.findall(r"^```cpp\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "messages.hpp").write_text(recipe)
    for command in (
        [
            "cmake",
            *("-S", str(HERE / "downstream"), "-B", str(tmp_path)),
            f"-DGUIDE={tmp_path}",
            f"-DCMAKE_PREFIX_PATH={prefixes}",
            f"-DPython3_EXECUTABLE={sys.executable}",
        ],
        ["cmake", "--build", str(tmp_path)],
    ):
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
    program = tmp_path / "downstream"
    assert subprocess.check_output([program], text=True) == f"7,0 9,0 {'0 ' * 7}255 0 255 10 "

    # names alone: the addresses beside them are random digits
    lines = subprocess.check_output(["ldd", program], text=True).splitlines()
    linked = {Path(line.split()[0]).name.partition(".so")[0] for line in lines}
    assert "libstdc++" in linked
    assert not [name for name in linked if re.match(r"lib(torch|opencv|c10)", name)]
