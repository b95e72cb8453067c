# SPDX-License-Identifier: Apache-2.0
"""What to do about the middleware in use when images do not reach the node, in words."""

from __future__ import annotations

from pathlib import Path

import rclpy
from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

_CYCLONE_BUFFERS = (
    "large images need larger socket buffers in this node's process: run `sudo sysctl -w "
    "net.core.rmem_max=10485760`, and start the node with CYCLONEDDS_URI='<CycloneDDS><Domain>"
    '<Internal><SocketReceiveBufferSize max="10MB"/></Internal></Domain></CycloneDDS>\', after a '
    "comma if it has a value already"
)
_SILENT = {
    "rmw_fastrtps": "if the camera runs as another user or in a container, this node cannot read "
    "its shared memory: run both as one user and with the host's /dev/shm (docker run "
    "--ipc=host), or set FASTDDS_BUILTIN_TRANSPORTS=UDPv4 for both, which counts only without "
    "ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST and without a file of profiles "
    "(FASTRTPS_DEFAULT_PROFILES_FILE, FASTDDS_DEFAULT_PROFILES_FILE)",
    "rmw_cyclonedds": f"{_CYCLONE_BUFFERS}; if the camera runs on another machine, both must use "
    "the same network interface (CYCLONEDDS_URI) and let multicast and UDP through the firewall",
    "rmw_zenoh": "if the camera runs on another machine or in a container, it and this node know "
    "each other through the router, but may not reach each other: start one of them with "
    "ZENOH_CONFIG_OVERRIDE='mode=\"client\"', and the router passes the images on",
}
_LOST = {
    "rmw_fastrtps": "large images need a larger shared-memory segment in the camera's process: "
    "start it with FASTRTPS_DEFAULT_PROFILES_FILE (Fast DDS 3: FASTDDS_DEFAULT_PROFILES_FILE) set "
    "to {profile}",
    "rmw_cyclonedds": _CYCLONE_BUFFERS,
    "rmw_zenoh": "large images need shared memory in both processes, "
    "ZENOH_CONFIG_OVERRIDE='transport/shared_memory/enabled=true', or a camera that is reliable "
    "and has the history keep_all (one that keeps the last images drops them, too)",
}
_SILENT_ABOUT_LOSSES = "rmw_cyclonedds"
"""Its event of lost messages never comes for those that the network loses."""


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
    return _of(_LOST, middleware).replace("{profile}", str(profile_path()))


def described(middleware: str = "") -> str:
    """Name the middleware, and say if it does not tell of lost images.

    Args:
        middleware: Name of the implementation, such as "rmw_fastrtps_cpp"; empty: the one in use.
    """
    name = middleware or rclpy.get_rmw_implementation_identifier()
    silent = name.startswith(_SILENT_ABOUT_LOSSES)
    return f"{name}, which does not tell of lost images" if silent else name


def profile_path(name: str = "fastdds.xml") -> Path:
    """Return the path of a shipped Fast DDS profile: that for cameras, or fastdds_node.xml."""
    try:
        share = Path(get_package_share_directory("yolact_ros"))
    except PackageNotFoundError:
        share = Path("yolact_ros")
    return share / "config" / name


def _of(advice: dict[str, str], middleware: str) -> str:
    name = middleware or rclpy.get_rmw_implementation_identifier()
    known = (text for prefix, text in advice.items() if name.startswith(prefix))
    return next(known, f"see the documentation of {name}")
