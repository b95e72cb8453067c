# SPDX-License-Identifier: Apache-2.0
"""Environment variables for DDS: the shipped Fast DDS profile, and staying on this machine."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from yolact_ros.ros.middleware import profile_path

PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
"""What Fast DDS 2 (Humble to Jazzy) and 3 (Kilted and later) read."""

USER_VARIABLES = (*PROFILE_VARIABLES, "FASTDDS_BUILTIN_TRANSPORTS")
"""Variables by which users configure Fast DDS themselves."""


_FIRST_WITH_3 = 9
"""Major version of ROS's part for Fast DDS from which on it is made for Fast DDS 3."""


def read_variable() -> str:
    """Return that of `PROFILE_VARIABLES` which the Fast DDS of this ROS 2 reads.

    Kilted's takes the other one, too, and each process complains of it.
    """
    try:
        share = Path(get_package_share_directory("rmw_fastrtps_shared_cpp"))
        version = re.search(r"<version>(\d+)", (share / "package.xml").read_text())
    except (PackageNotFoundError, OSError):
        version = None
    is_3 = version is not None and int(version[1]) >= _FIRST_WITH_3
    return PROFILE_VARIABLES[1 if is_3 else 0]


def profile_variables(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variable that names the shipped profile; none if the user has set their own.

    It must be set for the process that publishes the images; config/fastdds.xml says why.

    Args:
        environment: That in which a process will be started.
    """
    if any(environment.get(name) for name in USER_VARIABLES):
        return {}
    return {read_variable(): str(profile_path())}


def node_profile_variables(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that name the profile of a node that keeps waiting for no viewer.

    It takes the place of the shipped one alone: none are returned if the user has set others.

    Args:
        environment: That in which the node runs; it must be changed before rclpy is initialised.
    """
    given = {name: file for name in USER_VARIABLES if (file := environment.get(name))}
    if not all(_is_shipped(Path(file)) for file in given.values()):
        return {}
    return dict.fromkeys([*given, read_variable()], str(profile_path("fastdds_node.xml")))


def _is_shipped(file: Path) -> bool:
    """Whether this is the profile for cameras, installed or not."""
    try:
        return file.read_bytes() == profile_path().read_bytes()
    except OSError:
        return False


def localhost_variables(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that keep ROS within this machine (scripts/environment.bash has them).

    Args:
        environment: That in which a process will be started.
    """
    if environment.get("ROS_DISTRO") == "humble":
        return {"ROS_LOCALHOST_ONLY": "1"}
    return {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
