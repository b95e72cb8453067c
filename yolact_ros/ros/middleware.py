# SPDX-License-Identifier: Apache-2.0
"""What to do about the middleware in use when images do not reach the node, in words."""

from __future__ import annotations

from pathlib import Path

import rclpy
from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

_SILENT = {
    "rmw_fastrtps": "if the camera runs as another user or in a container, this node cannot read "
    "its shared memory: run both as one user and share /dev/shm and the host's IPC, or set "
    "FASTDDS_BUILTIN_TRANSPORTS=UDPv4 for both",
    "rmw_cyclonedds": "if the camera runs on another machine, both must use the same network "
    "interface (CYCLONEDDS_URI) and let multicast and UDP through the firewall",
    "rmw_zenoh": "see that the router runs (`ros2 run rmw_zenoh_cpp rmw_zenohd`) and that both "
    "sides connect to it (ZENOH_ROUTER_CONFIG_URI, ZENOH_SESSION_CONFIG_URI)",
}
_LOST = {
    "rmw_fastrtps": "large images need a larger shared-memory segment in the camera's process: "
    "start it with FASTRTPS_DEFAULT_PROFILES_FILE (Fast DDS 3: FASTDDS_DEFAULT_PROFILES_FILE) set "
    "to {profile}",
    "rmw_cyclonedds": "large images need larger socket buffers on this machine: "
    "`sudo sysctl -w net.core.rmem_max=33554432`, and a SocketReceiveBufferSize of 10MB in the "
    "file that CYCLONEDDS_URI names",
    "rmw_zenoh": "large images need shared memory in both processes, "
    "ZENOH_CONFIG_OVERRIDE='transport/shared_memory/enabled=true', or a reliable camera",
}


def silence_advice(middleware: str = "") -> str:
    """Say what to look at when a publisher is known, but nothing comes from it.

    Args:
        middleware: Name of the implementation, such as "rmw_fastrtps_cpp"; empty: the one in use.
    """
    return _of(_SILENT, middleware)


def loss_advice(middleware: str = "") -> str:
    """Say what to do about images that get lost on their way.

    Args:
        middleware: Name of the implementation, such as "rmw_fastrtps_cpp"; empty: the one in use.
    """
    return _of(_LOST, middleware).format(profile=profile_path())


def profile_path() -> Path:
    """Return the path of the shipped Fast DDS profile."""
    try:
        share = Path(get_package_share_directory("yolact_ros"))
    except PackageNotFoundError:
        share = Path("yolact_ros")
    return share / "config" / "fastdds.xml"


def _of(advice: dict[str, str], middleware: str) -> str:
    name = middleware or rclpy.get_rmw_implementation_identifier()
    known = (text for prefix, text in advice.items() if name.startswith(prefix))
    return next(known, f"see the documentation of {name}")
