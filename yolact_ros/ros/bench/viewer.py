# SPDX-License-Identifier: Apache-2.0
"""The subscriber of `yolact-ros bench node`: which results came when, and the diagnostics."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from rclpy.serialization import deserialize_message
from rclpy.task import Future
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from yolact_ros.msg import InstanceArray
from yolact_ros.recordings.matching import nanoseconds
from yolact_ros.ros.bench.camera import raise_priority
from yolact_ros.ros.bench.counts import Arrivals
from yolact_ros.ros.bench.recorder import Recorder
from yolact_ros.ros.compat import with_information
from yolact_ros.ros.diagnostics import values_of
from yolact_ros.ros.parameters.qos import volatile_qos

TOPICS = {
    "instances": InstanceArray,
    "detections": Detection2DArray,
    "instance_map": Image,
    "class_map": Image,
    "confidence_map": Image,
    "overlay": Image,
    "overlay/compressed": CompressedImage,
}
"""The outputs that can be subscribed to, and the type of each; its cameras have no depth."""


_WHOLE = ": segmentation"
"""How the name of the status of a node as a whole ends."""


class Status(NamedTuple):
    """A status of `/diagnostics`, with its values by key."""

    level: bytes
    message: str
    values: dict[str, str]


class Viewer:
    """Subscriber of `/diagnostics` and of results, of which it reads the stamp alone.

    Its thread and those of DDS run before others where that is allowed; the main thread does not,
    and its children would inherit that.

    Args:
        topics: The results, and the type of each.
        recorder: Is told, in the thread, of every status of a node as a whole.
    """

    def __init__(self, topics: Mapping[str, type], recorder: Recorder | None = None) -> None:
        self._recorder = recorder
        self._lock = threading.Lock()
        self._statuses: dict[tuple[str, str], list[Status]] = defaultdict(list)
        self._topics = topics
        self._results: dict[str, deque[tuple[int, int]]] = {name: deque() for name in topics}
        self._clients: dict[str, Client] = {}
        self._context = rclpy.Context()
        self._thread = ThreadPoolExecutor(1, initializer=raise_priority)
        self._thread.submit(self._subscribe).result()
        self._spinning = self._thread.submit(self._executor.spin)

    def __enter__(self) -> Viewer:
        return self

    def __exit__(self, *error: object) -> None:
        self._executor.shutdown()
        self._thread.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()

    def check(self) -> None:
        """Raise the error that has ended the subscriber, if any."""
        if self._spinning.done():
            self._spinning.result()

    def is_found(self) -> bool:
        """Whether every result has a publisher."""
        return all(self._node.count_publishers(topic) for topic in self._topics)

    def take_results(self) -> dict[str, Arrivals]:
        """Stamp and arrival of the results since the last call, by topic."""
        taken = {}
        for topic, results in self._results.items():
            # As many as there are now: the other thread may append meanwhile.
            pairs = [results.popleft() for _ in range(len(results))]
            taken[topic] = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        return taken

    def forget(self) -> None:
        """Forget the statuses that came so far."""
        with self._lock:
            self._statuses.clear()

    def of_topic(self, topic: str) -> list[Status]:
        """All statuses since the last `forget` of the camera that publishes this alone."""
        with self._lock:
            found = (found for (_, image), found in self._statuses.items() if image == topic)
            return list(next(found, []))

    def of_nodes(self) -> list[list[Status]]:
        """All statuses since the last `forget` of each node as a whole."""
        with self._lock:
            return [
                list(found) for (name, _), found in self._statuses.items() if name.endswith(_WHOLE)
            ]

    def _subscribe(self) -> None:
        rclpy.init(args=[], context=self._context)
        self._node = rclpy.create_node("bench_viewer", context=self._context)
        qos = volatile_qos(depth=100, reliable=True)
        for topic, kind in self._topics.items():
            note = with_information(partial(_note, self._results[topic]))
            self._node.create_subscription(kind, topic, note, qos, raw=True)
        listen = with_information(self._on_diagnostics)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", listen, 100)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)

    def _on_diagnostics(
        self, message: DiagnosticArray, information: Mapping[str, int] | None
    ) -> None:
        arrival = _arrival(information)
        with self._lock:
            for status in message.status:
                told = Status(status.level, status.message, values_of(status))
                key = (status.name, told.values.get("image topic", ""))
                self._statuses[key].append(told)
                if self._recorder is not None and status.name.endswith(_WHOLE):
                    level = int.from_bytes(told.level, "big")
                    self._recorder.listen(arrival, level, told.message, told.values)

    def call(self, kind: type, service: str, request: Any) -> Future:
        """Call a service without waiting for it."""
        if service not in self._clients:
            self._clients[service] = self._node.create_client(kind, service)
        return self._clients[service].call_async(request)


def _note(
    results: deque[tuple[int, int]], data: bytes, information: Mapping[str, int] | None
) -> None:
    results.append((stamp_of(data), _arrival(information)))


def _arrival(information: Mapping[str, int] | None) -> int:
    # DDS notes the arrival in a thread of its own: how long Python takes does not matter.
    return (information["received_timestamp"] if information else 0) or time.time_ns()


def stamp_of(data: bytes) -> int:
    """Read the stamp of a serialised message that begins with a header, ns."""
    return nanoseconds(deserialize_message(data, Header).stamp)
