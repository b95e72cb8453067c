# SPDX-License-Identifier: Apache-2.0
"""The demo's subscriber: collects results and truth, and describes what comes in."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from yolact_ros.msg import InstanceArray
from yolact_ros.ros.images import image_to_array
from yolact_ros.ros.statistics import COUNTERS
from yolact_ros.ros.truth_score import TruthScore

Stamp = tuple[int, int]


class DemoViewer(Node):
    """Subscribes to the results of `yolact` and to the truth of `demo_camera`.

    Attributes:
        results: Messages of `~/instances` by stamp, in the order they came.
        size: (width, height) of the images.
        node_problem: Why the node could not be configured, by its diagnostics; empty: it could.
    """

    def __init__(self) -> None:
        super().__init__("demo_viewer")
        self.results: dict[Stamp, InstanceArray] = {}
        self.size = (0, 0)
        self.node_problem = ""
        self._truths: dict[Stamp, InstanceArray] = {}
        self._arrivals: list[float] = []
        self._ages: list[float] = []
        self._overlay: Image | None = None
        self._most_instances = 0
        self._counts: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self.create_subscription(InstanceArray, "yolact/instances", self._on_result, _reliable(50))
        self.create_subscription(InstanceArray, "truth", self._on_truth, _reliable(50))
        self.create_subscription(Image, "yolact/overlay", self._on_overlay, _reliable(1))
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def live_line(self) -> str:
        """Describes the newest result and the last second."""
        if not self.results:
            return "waiting for the first result: the node loads its network"
        newest = list(self.results.values())[-1]
        classes = Counter(instance.class_name for instance in newest.instances)
        seen = ", ".join(f"{count} {name}" for name, count in sorted(classes.items())) or "nothing"
        middle, worst = self.age_percentiles(30)
        return (
            f"{len(self.results):4d} frames  {self.rate(30):5.1f} Hz  "
            f"age p50 {middle:3.0f} p95 {worst:3.0f} ms  {self.dropped()}  | {seen}"
        )

    def rate(self, last: int = 0) -> float:
        """Results a second, Hz, over all or the last so many."""
        times = self._arrivals[-last:]
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0

    def age_percentiles(self, last: int = 0) -> tuple[float, float]:
        """Median and 95th percentile of the age of results on arrival, ms."""
        if not self._ages:
            return 0.0, 0.0
        middle, worst = np.percentile(self._ages[-last:], [50, 95])
        return float(middle), float(worst)

    def dropped(self) -> str:
        """Frames dropped in DDS and in the node, by the node's own diagnostics."""
        return f"dropped {self._counts['lost']} in DDS, {self._counts['replaced']} in the node"

    def score(self) -> TruthScore:
        """Compares every result with the truth of the same stamp."""
        score = TruthScore()
        for stamp, result in self.results.items():
            if stamp in self._truths:
                score.add(result, self._truths[stamp])
        return score

    def overlay(self) -> npt.NDArray[np.uint8] | None:
        """The overlay with the most instances, BGR; None: none came."""
        return None if self._overlay is None else image_to_array(self._overlay).pixels

    def _on_result(self, message: InstanceArray) -> None:
        stamp = message.header.stamp
        age = self.get_clock().now().nanoseconds * 1e-6 - stamp.sec * 1e3 - stamp.nanosec * 1e-6
        self._ages.append(age)
        self._arrivals.append(time.monotonic())
        self.size = (message.image_width, message.image_height)
        self.results[_stamp(message)] = message

    def _on_truth(self, message: InstanceArray) -> None:
        self._truths[_stamp(message)] = message

    def _on_overlay(self, message: Image) -> None:
        result = self.results.get(_stamp(message))
        count = len(result.instances) if result else 0
        if self._overlay is None or count > self._most_instances:
            self._overlay, self._most_instances = message, count

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        by_meaning = {meaning: name for name, meaning in COUNTERS.items()}
        for status in message.status:
            if not status.name.endswith(": segmentation"):
                continue
            values = {item.key: item.value for item in status.values}
            for meaning in by_meaning.keys() & values.keys():
                self._counts[by_meaning[meaning]] = int(values[meaning])
            if status.level == DiagnosticStatus.ERROR and values.get("state") == "unconfigured":
                self.node_problem = status.message


def _reliable(depth: int) -> QoSProfile:
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.RELIABLE)


def _stamp(message: Any) -> Stamp:
    return message.header.stamp.sec, message.header.stamp.nanosec
