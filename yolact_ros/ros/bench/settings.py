# SPDX-License-Identifier: Apache-2.0
"""What `yolact-ros bench node` measures, and the nodes and topics that follow from it; no ROS."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from yolact_ros.errors import InputError

TOPICS = {
    "instances": "yolact_ros.msg/InstanceArray",
    "detections": "vision_msgs.msg/Detection2DArray",
    "instance_map": "sensor_msgs.msg/Image",
    "class_map": "sensor_msgs.msg/Image",
    "overlay": "sensor_msgs.msg/Image",
}
"""The outputs that can be subscribed to, and where the type of each is found."""

OWN_PARAMETERS = ("cameras", "image_transport", "autostart")
"""Parameters of the node that the measurement sets itself."""

_SIDES = (32, 4096)
_MOST_CAMERAS = 64
_HIGHEST_RATE = 240.0


@dataclass(frozen=True)
class CameraSettings:
    """One camera.

    Attributes:
        name: "cam0" and so on.
        size: (height, width) of its images.
        rate: Frames a second, Hz.
    """

    name: str
    size: tuple[int, int]
    rate: float


@dataclass(frozen=True, kw_only=True)
class NodeBenchSettings:
    """What is measured.

    Attributes:
        cameras: At least one.
        transport: "raw" or "compressed" (JPEG).
        reliability: "reliable" or "best_effort": what the cameras offer.
        seconds: How long the cameras film for the measurement, s.
        warm_up: How long they film before it, s.
        topics: Outputs that are subscribed to; the ages are those of the first.
        parameters: Further parameters of the node, as YAML writes their values.
        compare: Whether one node for all cameras is measured against one node for each.
        rounds: How often each way is measured; the ways take turns.
        domain_id: ROS domain; None: a free one.

    Raises:
        ValueError: A value is out of range.
    """

    cameras: tuple[CameraSettings, ...]
    transport: str = "raw"
    reliability: str = "reliable"
    seconds: float = 20.0
    warm_up: float = 5.0
    topics: tuple[str, ...] = ("instances",)
    parameters: Mapping[str, str] = field(default_factory=dict)
    compare: bool = False
    rounds: int = 1
    domain_id: int | None = None

    def __post_init__(self) -> None:
        _expect(self.transport in ("raw", "compressed"), "transport", "raw or compressed",
                self.transport)  # fmt: skip
        _expect(self.reliability in ("reliable", "best_effort"), "reliability",
                "reliable or best_effort", self.reliability)  # fmt: skip
        _expect(1 <= self.seconds <= 3600, "seconds", "1 to 3600", self.seconds)
        _expect(0 <= self.warm_up <= 3600, "warm_up", "0 to 3600 s", self.warm_up)
        _expect(self.rounds >= 1, "rounds", "1 or more", self.rounds)
        unknown = [topic for topic in self.topics if topic not in TOPICS]
        _expect(bool(self.topics) and not unknown, "topics", f"some of {', '.join(TOPICS)}",
                ",".join(self.topics))  # fmt: skip
        _expect(len(set(self.topics)) == len(self.topics), "topics", "each once",
                ",".join(self.topics))  # fmt: skip
        _expect(self.domain_id is None or 0 <= self.domain_id <= 232, "domain_id", "0 to 232",
                self.domain_id)  # fmt: skip
        for name in OWN_PARAMETERS:
            _expect(name not in self.parameters, "parameter",
                    f"none of {', '.join(OWN_PARAMETERS)}, which the measurement sets itself",
                    name)  # fmt: skip
        _expect(not self.compare or len(self.cameras) > 1, "compare", "2 or more cameras",
                len(self.cameras))  # fmt: skip


def cameras_of(
    count: int, sizes: Sequence[tuple[int, int]], rates: Sequence[float]
) -> tuple[CameraSettings, ...]:
    """Makes cameras `cam0`, `cam1` and so on.

    Args:
        count: How many.
        sizes: (height, width): one for all, or one for each.
        rates: Hz: one for all, or one for each.

    Raises:
        ValueError: A value is out of range, or there are too few or too many.
    """
    _expect(1 <= count <= _MOST_CAMERAS, "cameras", f"1 to {_MOST_CAMERAS}", count)
    for name, values in (("image_size", sizes), ("rate", rates)):
        _expect(len(values) in (1, count), name, f"1 or {count} for {count} cameras",
                len(values))  # fmt: skip
    for height, width in sizes:
        low, high = _SIDES
        _expect(low <= height <= high and low <= width <= high, "image_size",
                f"sides of {low} to {high} pixels", f"{height}x{width}")  # fmt: skip
    for rate in rates:
        _expect(math.isfinite(rate) and 0.1 <= rate <= _HIGHEST_RATE, "rate",
                f"0.1 to {_HIGHEST_RATE:g} Hz", rate)  # fmt: skip
    return tuple(
        CameraSettings(f"cam{i}", sizes[i % len(sizes)], float(rates[i % len(rates)]))
        for i in range(count)
    )


@dataclass(frozen=True)
class Stream:
    """Where one camera's messages go, by full names.

    Attributes:
        camera: What films.
        image: The topic of the images; with the transport's suffix.
        results: What comes before the name of an output.
    """

    camera: CameraSettings
    image: str
    results: str


@dataclass(frozen=True)
class NodePlan:
    """One process of the node.

    Attributes:
        arguments: ROS arguments besides the parameters.
        parameters: As YAML writes their values.
        streams: The cameras that it serves.
    """

    arguments: tuple[str, ...]
    parameters: Mapping[str, str]
    streams: tuple[Stream, ...]


@dataclass(frozen=True)
class SetUp:
    """One way to serve all cameras.

    Attributes:
        name: In words.
        nodes: Its processes.
    """

    name: str
    nodes: tuple[NodePlan, ...]

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Those of all nodes, in the order of the cameras."""
        return tuple(stream for node in self.nodes for stream in node.streams)


def set_ups(settings: NodeBenchSettings) -> list[SetUp]:
    """One node for all cameras and, to compare, one node for each."""
    ways = [_one_node(settings)]
    if settings.compare:
        ways.append(_node_per_camera(settings))
    return ways


def _one_node(settings: NodeBenchSettings) -> SetUp:
    cameras = settings.cameras
    parameters = _parameters(settings)
    suffix = _suffix(settings)
    if len(cameras) == 1:
        streams = [Stream(cameras[0], f"/image{suffix}", "/yolact/")]
        return SetUp("one node, one camera", (NodePlan((), parameters, tuple(streams)),))
    parameters["cameras"] = f"[{', '.join(camera.name for camera in cameras)}]"
    streams = [
        Stream(camera, f"/{camera.name}/image{suffix}", f"/yolact/{camera.name}/")
        for camera in cameras
    ]
    plan = NodePlan((), parameters, tuple(streams))
    return SetUp(f"one node, {len(cameras)} cameras", (plan,))


def _node_per_camera(settings: NodeBenchSettings) -> SetUp:
    plans = []
    for camera in settings.cameras:
        image = f"/{camera.name}/image{_suffix(settings)}"
        plans.append(
            NodePlan(
                ("-r", f"__ns:=/{camera.name}"),
                _parameters(settings),
                (Stream(camera, image, f"/{camera.name}/yolact/"),),
            )
        )
    return SetUp(f"{len(plans)} nodes, one camera each", tuple(plans))


def _parameters(settings: NodeBenchSettings) -> dict[str, str]:
    return {**settings.parameters, "image_transport": settings.transport}


def _suffix(settings: NodeBenchSettings) -> str:
    return "/compressed" if settings.transport == "compressed" else ""


def _expect(fits: bool, name: str, expected: str, got: object) -> None:
    if not fits:
        raise InputError(f"{name}: expected {expected}, got {got}")
