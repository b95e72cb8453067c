# SPDX-License-Identifier: Apache-2.0
"""Environment variables for DDS: the shipped Fast DDS profile, and staying on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from yolact_ros.ros.middleware import profile_path

PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
"""What Fast DDS 2 (Humble to Jazzy) and 3 (Kilted and later) read."""

USER_VARIABLES = (*PROFILE_VARIABLES, "FASTDDS_BUILTIN_TRANSPORTS")
"""Variables by which users configure Fast DDS themselves."""


def profile_variables(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that name the shipped profile; none if the user has set their own.

    They must be set for the process that publishes the images; config/fastdds.xml says why.

    Args:
        environment: That in which a process will be started.
    """
    if any(environment.get(name) for name in USER_VARIABLES):
        return {}
    return dict.fromkeys(PROFILE_VARIABLES, str(profile_path()))


def node_profile_variables(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that name the profile of a node that keeps waiting for no viewer.

    It takes the place of `profile_variables`' alone: none are returned if the user has set others.

    Args:
        environment: That in which the node runs; it must be changed before rclpy is initialised.
    """
    given = [environment[name] for name in USER_VARIABLES if environment.get(name)]
    if not all(_is_shipped(Path(file)) for file in given):
        return {}
    return dict.fromkeys(PROFILE_VARIABLES, str(profile_path("fastdds_node.xml")))


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
