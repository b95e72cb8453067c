# SPDX-License-Identifier: Apache-2.0
"""What `yolact-ros bench node` measures, and the nodes and topics that follow from it; no ROS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from yolact_ros.bench.settings import expect

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


@dataclass(frozen=True)
class CameraSettings:
    """A camera: image size (height, width) of 32 to 4096 pixels each, 0.1 to 240 frames per second.

    Raises:
        InputError: A value is out of range.
    """

    name: str
    image_size: tuple[int, int]
    rate_hz: float

    def __post_init__(self) -> None:
        height, width = self.image_size
        fits = all(32 <= side <= 4096 for side in self.image_size)
        expect(fits, "image_size", "sides of 32 to 4096 pixels", f"{width}x{height}")
        expect(0.1 <= self.rate_hz <= 240, "rate", "0.1 to 240 Hz", self.rate_hz)


@dataclass(frozen=True, kw_only=True)
class NodeBenchSettings:
    """What is measured.

    Attributes:
        transport: "raw" or "compressed" (JPEG).
        reliability: "reliable" or "best_effort": what the cameras offer.
        seconds: How long the cameras film for the measurement, s, 1 to 3600.
        warm_up_s: How long they film before it, s, 0 to 3600.
        topics: Outputs that are subscribed to; the ages are those of the first.
        parameters: Further parameters of the node, as YAML writes their values.
        compare: Whether to compare one node for all cameras with one node for each.
        rounds: How often each arrangement is measured; the arrangements take turns.
        domain_id: ROS domain, 0 to 232; None: a free one.

    Raises:
        InputError: A value is out of range.
    """

    cameras: tuple[CameraSettings, ...]
    transport: str = "raw"
    reliability: str = "reliable"
    seconds: float = 20.0
    warm_up_s: float = 5.0
    topics: tuple[str, ...] = ("instances",)
    parameters: Mapping[str, str] = field(default_factory=dict)
    compare: bool = False
    rounds: int = 1
    domain_id: int | None = None

    def __post_init__(self) -> None:
        expect(1 <= self.seconds <= 3600, "seconds", "1 to 3600", self.seconds)
        expect(0 <= self.warm_up_s <= 3600, "warm_up", "0 to 3600 s", self.warm_up_s)
        expect(self.rounds >= 1, "rounds", "1 or more", self.rounds)
        topics = ",".join(self.topics)
        known = bool(topics) and set(self.topics) <= set(TOPICS)
        expect(known, "topics", f"some of {', '.join(TOPICS)}", topics)
        expect(len(set(self.topics)) == len(self.topics), "topics", "each once", topics)
        domain_id = self.domain_id
        expect(domain_id is None or 0 <= domain_id <= 232, "domain_id", "0 to 232", domain_id)
        others = f"none of {', '.join(OWN_PARAMETERS)}, which the measurement sets itself"
        for name in OWN_PARAMETERS:
            expect(name not in self.parameters, "parameter", others, name)
        enough = not self.compare or len(self.cameras) > 1
        expect(enough, "compare", "2 or more cameras", len(self.cameras))


def cameras_of(
    count: int, sizes: Sequence[tuple[int, int]], rates: Sequence[float]
) -> tuple[CameraSettings, ...]:
    """Make `cam0`, `cam1` and so on, 1 to 64, of one size (height, width) and rate for all or each.

    Raises:
        InputError: A value is out of range, or there are too few or too many.
    """
    expect(1 <= count <= 64, "cameras", "1 to 64", count)
    for name, values in (("image_size", sizes), ("rate", rates)):
        expected = f"1 or {count} for {count} cameras"
        expect(len(values) in (1, count), name, expected, len(values))
    return tuple(
        CameraSettings(f"cam{i}", sizes[i % len(sizes)], float(rates[i % len(rates)]))
        for i in range(count)
    )


@dataclass(frozen=True)
class Stream:
    """A camera, the full name of its image topic, and what precedes the names of its outputs."""

    camera: CameraSettings
    image: str
    results: str


@dataclass(frozen=True)
class NodePlan:
    """One process of the node: ROS arguments, parameters as YAML writes them, and its cameras."""

    arguments: tuple[str, ...]
    parameters: Mapping[str, str]
    streams: tuple[Stream, ...]


@dataclass(frozen=True)
class Arrangement:
    """Nodes that serve all cameras together, and a name for them, in words."""

    name: str
    nodes: tuple[NodePlan, ...]

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Those of all nodes, in the order of the cameras."""
        return tuple(stream for node in self.nodes for stream in node.streams)


def arrangements(settings: NodeBenchSettings) -> list[Arrangement]:
    """One node for all cameras and, to compare, one node for each."""
    cameras = settings.cameras
    suffix = "/compressed" if settings.transport == "compressed" else ""
    parameters = {**settings.parameters, "image_transport": settings.transport}
    if len(cameras) == 1:
        alone = Stream(cameras[0], f"/image{suffix}", "/yolact/")
        return [Arrangement("one node, one camera", (NodePlan((), parameters, (alone,)),))]
    joined, separate = [], []
    for camera in cameras:
        image, namespace = f"/{camera.name}/image{suffix}", f"/{camera.name}"
        joined.append(Stream(camera, image, f"/yolact{namespace}/"))
        stream = Stream(camera, image, f"{namespace}/yolact/")
        separate.append(NodePlan(("-r", f"__ns:={namespace}"), parameters, (stream,)))
    names = {"cameras": f"[{', '.join(camera.name for camera in cameras)}]"}
    one = NodePlan((), {**parameters, **names}, tuple(joined))
    found = [Arrangement(f"one node, {len(cameras)} cameras", (one,))]
    if settings.compare:
        found.append(Arrangement(f"{len(cameras)} nodes, one camera each", tuple(separate)))
    return found
