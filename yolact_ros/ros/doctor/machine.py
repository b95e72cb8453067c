# SPDX-License-Identifier: Apache-2.0
"""The middleware, its profile, and the shared memory that it uses on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from yolact_ros.findings import Finding, error, ok, warning
from yolact_ros.ros.fastdds_profile import PROFILE_VARIABLES
from yolact_ros.ros.middleware import described, profile_path
from yolact_ros.ros.shared_memory import SHARED_MEMORY, left_behind

_LEAST_FREE = 32_000_000
"""Bytes: of a camera's segment and the node's, as the shipped profile makes them."""


def check_middleware() -> Finding:
    """Which middleware is in use, and what limits whom it finds."""
    names = ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_LOCALHOST_ONLY")
    settings = [f"{key}={os.environ[key]}" for key in names if os.environ.get(key)]
    return ok("middleware", ", ".join([described(), *settings]))


def check_profile(middleware: str, environment: Mapping[str, str], read: str) -> Finding:
    """Whether Fast DDS can use the file of profiles that it is given; it goes on without.

    Args:
        middleware: Name of the implementation.
        environment: The environment variables.
        read: The variable that its Fast DDS reads.
    """
    if not middleware.startswith("rmw_fastrtps"):
        return ok("profile", f"{middleware} reads none of Fast DDS")
    given = {name: value for name in PROFILE_VARIABLES if (value := environment.get(name))}
    for name, file in given.items():
        try:
            ElementTree.parse(file)
        except (OSError, ElementTree.ParseError) as failure:
            reason = getattr(failure, "strerror", None) or str(failure)
            text = f"{name} names {file}, which Fast DDS cannot use, and goes on without: {reason}"
            return error("profile", text, f"export {name}={profile_path()}")
    if given and read not in given:
        [(name, file)] = given.items()
        text = f"the Fast DDS of this ROS 2 reads {read}, and only {name} is set"
        remedy = f"unset {name}; export {read}={file}"
        if read == PROFILE_VARIABLES[0]:
            return error("profile", text, remedy)
        return warning("profile", f"{text}, which is deprecated or no longer read", remedy)
    if not given:
        return ok("profile", "none in this shell; launch and demo set the shipped one")
    return ok("profile", ", ".join(f"{name}={value}" for name, value in given.items()))


def check_shared_memory(folder: Path = SHARED_MEMORY) -> Finding:
    """Whether there is room for images, and whether killed processes have left theirs behind."""
    count, size = left_behind(folder)
    state = os.statvfs(folder)
    free = state.f_bavail * state.f_frsize
    found = f"{free / 1e6:.0f} MB free in {folder}"
    if free < _LEAST_FREE:
        return error(
            "shared memory",
            f"{found}: too little for images"
            + (f"; {size / 1e6:.0f} MB are left" if count else ""),
            "fastdds shm clean; in a container: docker run --shm-size=512m or --ipc=host",
        )
    if count:
        return warning(
            "shared memory",
            f"{found}; processes that were killed left {count} segments, {size / 1e6:.0f} MB",
            "fastdds shm clean",
        )
    return ok("shared memory", found)
