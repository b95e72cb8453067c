# SPDX-License-Identifier: Apache-2.0
"""The demo's subscriber: collects results and truth, and describes what comes in."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from sensor_msgs.msg import Image

from yolact_ros.msg import InstanceArray, ObjectArray
from yolact_ros.recordings.images.raw import image_to_array
from yolact_ros.ros.counters import COUNTERS
from yolact_ros.ros.demo.truth_score import TruthScore
from yolact_ros.ros.diagnostics import status_name, values_of
from yolact_ros.ros.parameters.qos import volatile_qos

Stamp = tuple[int, int]


class CameraView:
    """Subscribes to the results of one camera and to its truth.

    Args:
        node: Owner of the subscriptions.
        name: As in the parameter `cameras`; empty for the only camera.
        in_space: Whether to subscribe to its objects as well.

    Attributes:
        name: The name.
        in_space: The same.
        results: Messages of `~/instances` by stamp, in the order they came.
        size: (width, height) of the images.
        frame_ids: Every `frame_id` seen in the results.
    """

    def __init__(self, node: Node, name: str = "", *, in_space: bool = False) -> None:
        self.name = name
        self.in_space = in_space
        self.results: dict[Stamp, InstanceArray] = {}
        self.size = (0, 0)
        self.frame_ids: set[str] = set()
        self._node = node
        self._truths: dict[Stamp, InstanceArray] = {}
        self._objects: dict[Stamp, ObjectArray] = {}
        self._true_objects: dict[Stamp, ObjectArray] = {}
        self._arrivals: list[float] = []
        self._ages: list[float] = []
        self._overlay: Image | None = None
        self._most_instances = 0
        self._counts: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        prefix = f"{name}/" if name else ""
        topics: list[tuple[type, str, Callable[[Any], None], int]] = [
            (InstanceArray, f"yolact/{prefix}instances", self._on_result, 50),
            (InstanceArray, f"{prefix}truth", self._on_truth, 50),
            (Image, f"yolact/{prefix}overlay", self._on_overlay, 1),
        ]
        if in_space:
            topics += [
                (ObjectArray, f"yolact/{prefix}objects", self._on_objects, 50),
                (ObjectArray, f"{prefix}truth_objects", self._on_true_objects, 50),
            ]
        for message_type, topic, callback, depth in topics:
            qos = volatile_qos(depth=depth, reliable=True)
            node.create_subscription(message_type, topic, callback, qos)

    def live_line(self) -> str:
        """Describe the newest result and the last second."""
        if not self.results:
            return "waiting for the first result: the node loads its network"
        newest = list(self.results.values())[-1]
        classes = Counter(instance.class_name for instance in newest.instances)
        seen = ", ".join(f"{count} {name}" for name, count in sorted(classes.items())) or "nothing"
        middle, worst = self.age_percentiles(30)
        return (
            f"{len(self.results):4d} frames  {self.rate(30):5.1f} Hz  "
            f"age p50 {middle:3.0f} p95 {worst:3.0f} ms  {self.dropped()}  | {seen}"
            f"{self._nearest()}"
        )

    def _nearest(self) -> str:
        """Describe the nearest of the newest objects in space, if there is one."""
        objects = list(self._objects.values())[-1].objects if self._objects else []
        if not objects:
            return ""
        nearest = min(objects, key=lambda each: each.pose.pose.position.z)
        place, size = nearest.pose.pose.position, nearest.size
        error = max(float(nearest.pose.covariance[i]) for i in (0, 7, 14)) ** 0.5
        return (
            f"; nearest {nearest.class_name} at {place.x:.3f} {place.y:.3f} {place.z:.3f} m "
            f"± {error * 1000:.0f} mm, {size.x * 100:.0f} x {size.y * 100:.0f} x "
            f"{size.z * 100:.0f} cm"
        )

    def rate(self, last: int = 0) -> float:
        """Return the rate of all results, or of the last N, in Hz."""
        times = self._arrivals[-last:]
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0

    def age_percentiles(self, last: int = 0) -> tuple[float, float]:
        """Return median and 95th percentile of the results' age on arrival, ms."""
        if not self._ages:
            return 0.0, 0.0
        middle, worst = np.percentile(self._ages[-last:], [50, 95])
        return float(middle), float(worst)

    def dropped(self) -> str:
        """Describe the frames dropped in DDS and in the node, by the node's diagnostics."""
        return f"dropped {self._counts['lost']} in DDS, {self._counts['replaced']} in the node"

    @property
    def comparable(self) -> int:
        """Number of results whose truth has come, too; the first truths may have been missed."""
        return len(self.results.keys() & self._truths.keys())

    def score(self) -> TruthScore:
        """Compare every result with the truth of the same stamp."""
        score = TruthScore()
        for stamp, result in self.results.items():
            if stamp in self._truths:
                score.add(
                    result,
                    self._truths[stamp],
                    self._objects.get(stamp),
                    self._true_objects.get(stamp) if self._objects else None,
                )
        return score

    def overlay(self) -> npt.NDArray[np.uint8] | None:
        """Return the overlay with the most instances, BGR; None if there was none."""
        return None if self._overlay is None else image_to_array(self._overlay).pixels

    def read_status(self, status: DiagnosticStatus) -> None:
        """Take the counters from the status of this camera."""
        values = values_of(status)
        for name, meaning in COUNTERS.items():
            if meaning in values:
                self._counts[name] = int(values[meaning])

    def _on_result(self, message: InstanceArray) -> None:
        stamp = message.header.stamp
        now = self._node.get_clock().now().nanoseconds
        self._ages.append(now * 1e-6 - stamp.sec * 1e3 - stamp.nanosec * 1e-6)
        self._arrivals.append(time.monotonic())
        self.size = (message.image_width, message.image_height)
        self.frame_ids.add(message.header.frame_id)
        self.results[_stamp(message)] = message

    def _on_truth(self, message: InstanceArray) -> None:
        self._truths[_stamp(message)] = message

    def _on_objects(self, message: ObjectArray) -> None:
        self._objects[_stamp(message)] = message

    def _on_true_objects(self, message: ObjectArray) -> None:
        self._true_objects[_stamp(message)] = message

    def _on_overlay(self, message: Image) -> None:
        result = self.results.get(_stamp(message))
        count = len(result.instances) if result else 0
        if self._overlay is None or count > self._most_instances:
            self._overlay, self._most_instances = message, count


class DemoViewer(Node):
    """Watches the node `yolact` and its cameras.

    Args:
        cameras: As the parameter `cameras`; empty for the only camera.

    Attributes:
        views: One per camera.
        node_problem: Why the node could not be configured, by its diagnostics; else empty.
    """

    def __init__(self, cameras: Sequence[str] = ()) -> None:
        super().__init__("demo_viewer")
        # Several cameras leave no time for more, on a machine of two cores.
        self.views = [CameraView(self, name) for name in cameras] or [
            CameraView(self, in_space=True)
        ]
        self.node_problem = ""
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        views = {status_name("/yolact", view.name): view for view in self.views}
        whole = status_name("/yolact")
        for status in message.status:
            if status.name in views:
                views[status.name].read_status(status)
            unconfigured = values_of(status).get("state") == "unconfigured"
            if status.name == whole and status.level == DiagnosticStatus.ERROR and unconfigured:
                self.node_problem = status.message


def _stamp(message: Any) -> Stamp:
    return message.header.stamp.sec, message.header.stamp.nanosec
