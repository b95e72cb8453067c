# SPDX-License-Identifier: Apache-2.0
"""The C++ header for objects: its own tests, and the example that subscribes with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PREFIXES = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)]
HAS_RCLCPP = any(
    (prefix / "share/ament_index/resource_index/packages/rclcpp").exists() for prefix in PREFIXES
)


def test_the_tests_in_cpp_pass(cpp_program):
    result = subprocess.run([cpp_program("test_objects")], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    assert result.stdout == "all passed\n"


def _built(folder, *prefixes):
    """Builds examples/cpp as a package of its own, and returns its program."""
    path = ";".join(map(str, [*prefixes, *PREFIXES]))
    for command in (
        [
            "cmake",
            *("-S", ROOT / "examples" / "cpp", "-B", folder),
            f"-DCMAKE_PREFIX_PATH={path}",
            f"-DPython3_EXECUTABLE={sys.executable}",
        ],
        ["cmake", "--build", folder],
    ):
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
    return folder / "objects_listener"


def test_the_example_builds_with_rclcpp(tmp_path, cpp_program):
    cpp_program("test_objects")  # skips where the package was built without tests
    if not HAS_RCLCPP:
        pytest.skip("no rclcpp in AMENT_PREFIX_PATH: the ROS 2 of scripts/setup has none")
    _built(tmp_path)


def test_the_example_says_where_objects_are(tmp_path, cpp_program):
    """With a stand-in for rclcpp, which delivers one object and prints what is logged."""
    cpp_program("test_objects")  # skips where the package was built without tests
    program = _built(tmp_path, Path(__file__).parent / "stand_in")
    lines = subprocess.check_output([program], text=True).splitlines()
    assert lines == [
        "yolact/objects, depth 5",
        "[objects_listener] 1 objects in camera",
        "[objects_listener] box 0.75: from (-0.100, -0.050, 0.470) to (0.100, 0.050, 0.530) m, "
        "+- 2.0 mm, yaw known",
    ]
