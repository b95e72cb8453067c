# SPDX-License-Identifier: Apache-2.0
"""Subscribes to a camera's depth images and calibrations while somebody wants objects or points."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from rclpy.node import Node
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from yolact_ros.ros.camera_stream import CameraStream
from yolact_ros.ros.diagnostics import DepthState
from yolact_ros.ros.matched_subscription import MatchedSubscription, name_with_suffix
from yolact_ros.ros.parameters.qos import SUBSCRIPTION, following_qos, overridden_qos

_SUFFIX = "/compressedDepth"
_QUEUE = 4
"""Depth images that DDS holds until they are taken: it keeps as much room as the largest needed."""


class DepthReceiver(Protocol):
    """What takes depth images and calibrations, in the executor's thread."""

    def wanted(self, camera: CameraStream) -> bool:
        """Whether somebody subscribes to objects or points of the camera."""

    def asked(self, camera: CameraStream) -> bool:
        """Whether somebody asked for objects of the camera a short time ago."""

    def receive_depth(self, camera: CameraStream, message: Any, arrived: float) -> None:
        """Take a depth image that came at a time of `time.perf_counter()`."""

    def receive_camera_info(self, camera: CameraStream, message: CameraInfo) -> None:
        """Take a calibration."""

    def forget(self, camera: CameraStream) -> None:
        """Forget the camera's depth images."""


class Source(MatchedSubscription):
    """A subscription whose messages go to a function."""

    def __init__(
        self,
        node: Node,
        camera: CameraStream,
        *,
        message_type: type,
        name: str,
        what: str,
        on_message: Callable[[Any], None],
        queue: int = 1,
        lost: str = "",
    ) -> None:
        super().__init__(
            node, camera.log, message_type=message_type, name=name, what=what, queue=queue
        )
        self._counters = camera.counters
        self._room = camera.room
        self._on_message = on_message
        self._lost = lost
        self.match()

    def _look_at(self, found: Sequence[TopicEndpointInfo]) -> None:
        """Do nothing: stamps tell whose depth belongs to an image."""

    def _receive(self, message: Any, info: Mapping[str, Any] | None) -> None:
        del info
        self._room.note(self.topic, message)
        self._on_message(message)

    def _count_lost(self, count: int) -> None:
        if self._lost:
            self._counters.count(self._lost, count)


class DepthSources:
    """The subscriptions of all cameras, each there only while it is needed.

    Args:
        node: Owner of the subscriptions.
        cameras: The cameras.
        transport: "raw" or "compressedDepth".
        receiver: Where the messages go.

    Raises:
        ParameterError: An override of their QoS cannot be used.
    """

    def __init__(
        self,
        node: Node,
        *,
        cameras: Sequence[CameraStream],
        transport: str,
        receiver: DepthReceiver,
    ) -> None:
        self._node = node
        self._cameras = cameras
        self._compressed = transport == "compressedDepth"
        self._receiver = receiver
        self._lock = threading.Lock()  # transitions, the executor and services call
        self._closed = False
        self._open: dict[str, tuple[Source, Source]] = {}
        self._calibrated: set[str] = set()
        for camera in cameras:  # so that overrides are refused now, not when objects are wanted
            for name, queue in ((self._depth_name(camera), _QUEUE), (_info_name(camera), 1)):
                overridden_qos(node, SUBSCRIPTION, name, following_qos(depth=queue))

    def match(self) -> None:
        """Look at subscribers and publishers; call it once a second, and when somebody asks."""
        with self._lock:
            for camera in self._cameras:
                needed = self._receiver.wanted(camera) or self._receiver.asked(camera)
                if self._closed or not needed:
                    self._shut(camera)
                elif camera.name in self._open:
                    for source in self._open[camera.name]:
                        source.match()
                else:
                    self._open[camera.name] = self._subscribe(camera)

    def state(self, camera: CameraStream) -> DepthState | None:
        """Return what the diagnostics tell of a camera's depth; None: it is not needed."""
        sources = self._open.get(camera.name)
        if sources is None or not self._receiver.wanted(camera):
            return None
        depth, info = sources
        return DepthState(
            topic=depth.topic,
            sources=depth.sources,
            info_topic=info.topic,
            info_sources=info.sources,
            calibrated=camera.name in self._calibrated,
        )

    def publishers(self, camera: CameraStream) -> int:
        """Return how many publishers of depth were found; 0 if it is not needed."""
        sources = self._open.get(camera.name)
        return 0 if sources is None else sources[0].publisher_count

    def close(self) -> None:
        """End the subscriptions; may be called in any thread."""
        with self._lock:
            self._closed = True
            for camera in self._cameras:
                self._shut(camera)

    def _shut(self, camera: CameraStream) -> None:
        for source in self._open.pop(camera.name, ()):
            source.close()
        self._calibrated.discard(camera.name)
        self._receiver.forget(camera)

    def _subscribe(self, camera: CameraStream) -> tuple[Source, Source]:
        depth = Source(
            self._node,
            camera,
            message_type=CompressedImage if self._compressed else Image,
            name=self._depth_name(camera),
            what="depth images",
            on_message=lambda message: self._receive_depth(camera, message),
            queue=_QUEUE,  # not the newest counts, but that of an image's moment
            lost="depth_lost",
        )
        info = Source(
            self._node,
            camera,
            message_type=CameraInfo,
            name=_info_name(camera),
            what="calibrations",
            on_message=lambda message: self._receive_info(camera, message),
        )
        return depth, info

    def _depth_name(self, camera: CameraStream) -> str:
        name = f"{camera.prefix}depth"
        return name_with_suffix(self._node, name, _SUFFIX) if self._compressed else name

    def _receive_depth(self, camera: CameraStream, message: Any) -> None:
        self._receiver.receive_depth(camera, message, time.perf_counter())

    def _receive_info(self, camera: CameraStream, message: CameraInfo) -> None:
        self._calibrated.add(camera.name)
        self._receiver.receive_camera_info(camera, message)


def _info_name(camera: CameraStream) -> str:
    return f"{camera.prefix}camera_info"
