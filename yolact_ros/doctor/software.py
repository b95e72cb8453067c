# SPDX-License-Identifier: Apache-2.0
"""Python, ROS, the package's messages, NumPy and OpenCV: found, and found in the right place."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import yolact_ros
from yolact_ros.findings import Finding, error, not_checked, ok, warning

_OPENCVS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
_INSTALLED_ROS = Path("/opt/ros")
_LOGGED = re.compile(r"^\[\w+\] \[[\d.]+\] \[\w+\]: ")
"""How a line of ROS's log begins."""
_SOURCE = ". install/setup.bash in the workspace's folder"

_TRY_CV_BRIDGE = """
import importlib.util, json
found = all(importlib.util.find_spec(name) for name in ("cv_bridge", "sensor_msgs"))
if found:
    import numpy, cv_bridge
    image = numpy.zeros((4, 6, 3), numpy.uint8)
    bridge = cv_bridge.CvBridge()
    bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(image, "rgb8"), "bgr8")
print(json.dumps(found))
"""


def check_python(
    version: Sequence[Any], executable: str, prefix: str, environment: Mapping[str, str]
) -> Finding:
    """Whether this is the Python that the shell means.

    Args:
        version: As `sys.version_info` has it.
        executable: The interpreter.
        prefix: Its environment, as `sys.prefix` has it.
        environment: The environment variables.
    """
    found = f"{'.'.join(map(str, version[:3]))}, {executable}"
    active, conda = environment.get("VIRTUAL_ENV"), environment.get("CONDA_PREFIX")
    if active and Path(active).resolve() != Path(prefix).resolve():
        return warning(
            "Python",
            f"{found}, though the active environment is {active}: what was installed there is not "
            "seen",
            f"run it with the environment's Python: {active}/bin/python -m yolact_ros.cli.main",
        )
    if conda and Path(conda).resolve() == Path(prefix).resolve() and environment.get("ROS_DISTRO"):
        return warning(
            "Python",
            f"{found}, of conda, beside a ROS 2 of the system: their libraries do not mix",
            "conda deactivate, and use a virtual environment (docs/install.md, On a robot)",
        )
    return ok("Python", found)


def check_ros(distro: str, middleware: str, problem: str, installed: Sequence[str]) -> Finding:
    """Whether a ROS 2 is sourced, is of this Python, and has the middleware that is asked for.

    Args:
        distro: ROS_DISTRO, or empty.
        middleware: RMW_IMPLEMENTATION, or empty.
        problem: Why rclpy cannot be imported; empty: it can.
        installed: Names of the distributions in /opt/ros.
    """
    if not problem:
        return ok("ROS", f"ROS 2 {distro or 'without a name (ROS_DISTRO is not set)'}")
    if middleware and middleware in problem:
        return error(
            "ROS",
            f"RMW_IMPLEMENTATION asks for {middleware}, which is not there: {problem}",
            f"sudo apt install ros-{distro or '$ROS_DISTRO'}-{middleware.replace('_', '-')}, or "
            "unset RMW_IMPLEMENTATION",
        )
    if distro:
        return error(
            "ROS",
            f"ROS 2 {distro} is sourced, but this Python {sys.version_info[0]}."
            f"{sys.version_info[1]} ({sys.executable}) cannot import its rclpy: {problem}",
            f"use the Python that ROS 2 {distro} was built for: leave this environment, or make it "
            "with /usr/bin/python3 -m venv --system-site-packages FOLDER",
        )
    remedy = (
        f". /opt/ros/{installed[-1]}/setup.bash, then {_SOURCE}"
        if installed
        else ". scripts/environment.bash after scripts/setup, or install ROS 2; without it, "
        "predict, train and eval work, the node does not"
    )
    return warning("ROS", "no ROS 2 is sourced in this shell", remedy)


def check_messages(
    code: Path, messages: Path | None, built: Path | None, built_version: str, version: str
) -> Finding:
    """Whether the package's messages were built, and are those of the code that runs.

    Args:
        code: The folder that `yolact_ros` is imported from.
        messages: The folder that `yolact_ros.msg` is imported from; None: it is not found.
        built: The prefix in AMENT_PREFIX_PATH that has the package; None: none has.
        built_version: The version in its package.xml.
        version: That of the code.
    """
    in_sources = (code.parent / "package.xml").exists()
    out_of_path = f"go to another folder, and take {code.parent} out of PYTHONPATH"
    if messages is None and built and in_sources:
        return error(
            "messages",
            f"the source tree {code.parent}, which has none, hides the package built in {built}",
            f"{out_of_path}; then {_SOURCE}",
        )
    if messages is None and built:
        return error(
            "messages",
            f"{code}, which has none, hides the package built in {built}",
            f"pip uninstall yolact-ros, then {_SOURCE}",
        )
    if messages is None:
        return error(
            "messages",
            f"yolact_ros ({code}) has no messages: it is not built, or not sourced",
            f"colcon build --packages-up-to yolact_ros, then {_SOURCE}",
        )
    if in_sources and code not in messages.parents:
        return warning(
            "messages",
            f"the code is that of the source tree {code.parent}, the messages those of {messages}",
            out_of_path,
        )
    if built and built_version != version:
        return error(
            "messages",
            f"the package built in {built} is {built_version}, the code {version} ({code})",
            f"colcon build --packages-up-to yolact_ros, then {_SOURCE}",
        )
    return ok("messages", f"in {messages}")


def check_opencv(found: Iterable[tuple[str, str, str]]) -> Finding:
    """Whether one OpenCV is there.

    Args:
        found: Name, version and folder of each distribution of OpenCV.
    """
    by_folder: dict[str, list[str]] = defaultdict(list)
    for name, version, folder in found:
        by_folder[folder].append(f"{name} {version}")
    for folder, names in by_folder.items():
        if len(names) > 1:
            words = " ".join(name.partition(" ")[0] for name in sorted(names))
            return warning(
                "OpenCV",
                f"{' and '.join(sorted(names))} in {folder}: each replaces files of the other",
                f"pip uninstall -y {words} && pip install 'opencv-python-headless<5'",
            )
    shown = [f"{name} in {folder}" for folder, names in by_folder.items() for name in names]
    return ok("OpenCV", ", ".join(shown) or "not installed by pip")


def check_cv_bridge(numpy: str, exit_code: int, output: str) -> Finding:
    """Whether cv_bridge works with this NumPy.

    Args:
        numpy: NumPy's version.
        exit_code: Of a process that converted an image to a message and back.
        output: What it printed.
    """
    if exit_code == 0 and "_ARRAY_API" not in output:
        there = output.strip().endswith("true")
        return ok(
            "cv_bridge",
            f"works with NumPy {numpy}" if there else "not installed here; this package needs none",
        )
    lines = [line for line in output.strip().splitlines() if line.strip()] or ["it crashed"]
    reason = next((line for line in lines if "_ARRAY_API" in line), lines[-1])
    clash = re.search(r"_ARRAY_API|NumPy|numpy|tostring", output) is not None
    return warning(
        "cv_bridge",
        f"does not work with NumPy {numpy}: {reason.strip()}; this package needs none, other nodes "
        "may",
        "pip install 'numpy<2'" if clash else "reinstall ros-$ROS_DISTRO-cv-bridge",
    )


def look_at_python() -> Finding:
    """Check the Python that runs this."""
    return check_python(tuple(sys.version_info), sys.executable, sys.prefix, os.environ)


def look_at_ros() -> Finding:
    """Check the ROS 2 of this shell, in a process of its own: a wrong middleware ends it."""
    code, output = _run("import rclpy; rclpy.get_rmw_implementation_identifier()")
    lines = [line for line in output.splitlines() if line.strip()] or ["it crashed"]
    installed = sorted(path.parent.name for path in _INSTALLED_ROS.glob("*/setup.bash"))
    return check_ros(
        os.environ.get("ROS_DISTRO", ""),
        os.environ.get("RMW_IMPLEMENTATION", ""),
        _LOGGED.sub("", lines[-1].strip()) if code else "",
        installed,
    )


def look_at_messages() -> Finding:
    """Check where the package's code and messages are imported from."""
    if not os.environ.get("AMENT_PREFIX_PATH"):
        return not_checked("messages", "no ROS 2 is sourced")
    spec = importlib.util.find_spec("yolact_ros.msg")
    messages = Path(spec.origin).parent if spec is not None and spec.origin else None
    prefixes = map(Path, os.environ["AMENT_PREFIX_PATH"].split(os.pathsep))
    files = (prefix / "share" / "yolact_ros" / "package.xml" for prefix in prefixes)
    built = next((file for file in files if file.exists()), None)
    version = re.search(r"<version>\s*(\S+?)\s*</version>", built.read_text()) if built else None
    return check_messages(
        Path(yolact_ros.__file__).parent,
        messages,
        built.parents[2] if built else None,
        version[1] if version else "",
        yolact_ros.__version__,
    )


def look_at_opencv() -> Finding:
    """Check the distributions of OpenCV in sys.path."""
    found = {
        (name, each.version, str(each.locate_file("")))
        for each in metadata.distributions()
        if (name := str(each.metadata["Name"]).lower().replace("_", "-")) in _OPENCVS
    }
    return check_opencv(sorted(found))


def look_at_cv_bridge() -> Finding:
    """Check that cv_bridge converts an image, in a process of its own: it may crash."""
    code, output = _run(_TRY_CV_BRIDGE)
    return check_cv_bridge(metadata.version("numpy"), code, output)


def _run(code: str) -> tuple[int, str]:
    """Run Python code; returns its exit code, and what it printed."""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    return result.returncode, result.stderr + result.stdout
