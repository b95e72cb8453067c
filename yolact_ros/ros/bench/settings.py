# SPDX-License-Identifier: Apache-2.0
"""What `yolact-ros bench node` measures, and the nodes and topics that follow from it; no ROS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from yolact_ros.errors import InputError


@dataclass(frozen=True)
class CameraSettings:
    """A camera: sides of its images, 32 to 4096 pixels, and 0.1 to 240 frames per second."""

    name: str
    image_size: tuple[int, int]  # height, width
    rate_hz: float


@dataclass(frozen=True, kw_only=True)
class NodeBenchSettings:
    """What is measured; `yolact_ros.cli.options` checks each value by itself.

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
        storm: Seconds of storm instead of the measurement; None: none.
        soak: Seconds of measurement with a record of every second; None: no record.
        seed: What happens in the storm follows from it.

    Raises:
        InputError: There is nothing to compare, or two things at once are to be done.
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
    storm: float | None = None
    soak: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        asked = {"storm": self.storm, "soak": self.soak, "compare": self.compare or None}
        given = [name for name, value in asked.items() if value is not None]
        if len(given) > 1:
            raise InputError(f"{given[0]}: expected it without {given[1]}, got both")
        if self.rounds > 1 and (self.storm or self.soak):
            raise InputError(f"rounds: expected 1 with {given[0]}, got {self.rounds}")
        if self.compare and len(self.cameras) < 2:
            raise InputError(f"compare: expected 2 or more cameras, got {len(self.cameras)}")


def cameras_of(
    count: int, sizes: Sequence[tuple[int, int]], rates: Sequence[float]
) -> tuple[CameraSettings, ...]:
    """Make `cam0`, `cam1` and so on of one size (height, width) and rate for all or each.

    Raises:
        InputError: Too few or too many sizes or rates.
    """
    for name, values in (("image_size", sizes), ("rate", rates)):
        if len(values) not in (1, count):
            got = f"got {len(values)}"
            raise InputError(f"{name}: expected 1 or {count} for {count} cameras, {got}")
    return tuple(
        CameraSettings(f"cam{i}", sizes[i % len(sizes)], rates[i % len(rates)])
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
