# SPDX-License-Identifier: Apache-2.0
"""A camera's topic: who publishes there, what arrives, at what rate, and how old it is."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rclpy.clock import Clock
from rclpy.node import Node

from yolact_ros.errors import InputError
from yolact_ros.findings import Finding, error, ok, warning
from yolact_ros.recordings.images.compressed import compressed_to_array
from yolact_ros.recordings.images.raw import image_to_array
from yolact_ros.ros.camera_stream import CameraStream
from yolact_ros.ros.counters import Counters
from yolact_ros.ros.logs import ThrottledLog
from yolact_ros.ros.middleware import loss_advice, silence_advice
from yolact_ros.ros.stamps import StampAge, stamp_age
from yolact_ros.ros.subscription import ImageSubscription

_LATE = 0.5
"""Seconds: an image that came older than that, if it is the youngest, has another clock's stamp."""
_SYNCHRONISE = (
    "synchronise the clocks of both machines (sudo apt install chrony, then chronyc tracking); for "
    "a recording: ros2 bag play --clock and use_sim_time:=true"
)
_DRIVER = (
    "let the driver stamp images with ROS's time, not the camera's (realsense2_camera: "
    "rgb_camera.global_time_enabled:=true; usb_cam and others: an option of their own)"
)
_STAMP_REMEDIES = {
    "no clock": "start what publishes /clock, or use_sim_time:=false",
    "zero": _DRIVER,
    "negative": _DRIVER,
    "from boot": _DRIVER,
    "future": _SYNCHRONISE,
    "past": _SYNCHRONISE,
}
_START = "start the camera's driver, with this shell's ROS_DOMAIN_ID and discovery range"
_SILENT_LOG = logging.Logger("yolact_doctor", logging.CRITICAL)


class CameraListener:
    """Listens to a camera as the node does, and keeps what a check has to know.

    Args:
        node: Its remapping of `image` and its overrides of QoS count.
        transport: "raw" or "compressed".
    """

    def __init__(self, node: Node, transport: str) -> None:
        self._clock: Clock = node.get_clock()
        self._stream = CameraStream("", Counters(), ThrottledLog(_SILENT_LOG))
        self._ages: list[StampAge] = []
        self._arrivals: list[float] = []
        self._read: Callable[[Any], Any] = (
            compressed_to_array if transport == "compressed" else image_to_array
        )
        self.newest: Any = None
        self.subscription = ImageSubscription(
            node, camera=self._stream, transport=transport, on_image=self._take
        )

    def _take(self, camera: CameraStream, message: Any, info: Mapping[str, Any] | None) -> None:
        stamp = message.header.stamp
        self._ages.append(stamp_age(stamp.sec, stamp.nanosec, self._clock.now().nanoseconds))
        self._arrivals.append(time.monotonic())
        self.newest = message

    @property
    def image_bytes(self) -> int:
        """Size of the newest image; 0: none came."""
        return len(self.newest.data) if self.newest is not None else 0

    def findings(self) -> Iterator[Finding]:
        """What came of it."""
        subscription = self.subscription
        if not subscription.publisher_count:
            yield _split("image topic", subscription.describe_silence(), _START)
            return
        topic = f"{subscription.topic} ({subscription.type_name}): {subscription.sources}"
        yield ok("image topic", topic.partition("; ")[0])
        if subscription.unheard:
            yield _split("quality of service", subscription.unheard, "")
            return
        asked = "reliable" if subscription.reliable else "best effort"
        yield ok("quality of service", f"the node would ask for {asked}, as the publishers offer")
        if self.newest is None:
            yield error("images", f"none came on {subscription.topic}", silence_advice())
            return
        yield self._arrived()
        yield self._readable()
        yield self._stamps()

    def _arrived(self) -> Finding:
        lost = self._stream.counters.snapshot().counts["lost"]
        seconds = self._arrivals[-1] - self._arrivals[0]
        rate = f"{(len(self._arrivals) - 1) / seconds:.1f} Hz" if seconds else "one image"
        if lost:
            return warning("images", f"{rate}, and {lost} were lost in DDS", loss_advice())
        return ok("images", rate)

    def _readable(self) -> Finding:
        try:
            height, width = self._read(self.newest).pixels.shape[:2]
        except InputError as refusal:
            remedy = "set the driver to an encoding that docs/images.md lists"
            return error("encoding", str(refusal), remedy)
        what = getattr(self.newest, "encoding", None) or self.newest.format
        return ok("encoding", f"{width} x {height}, {what}")

    def _stamps(self) -> Finding:
        # the youngest: a delay on the way adds to the others
        known = [age for age in self._ages if age.seconds is not None]
        age = min(known, key=lambda each: each.seconds or 0.0) if known else self._ages[-1]
        if age.trouble:
            return warning("stamps", age.text, _STAMP_REMEDIES[age.trouble])
        seconds = age.seconds or 0.0
        if seconds > _LATE:
            found = f"the youngest image was {seconds:.1f} s old on arrival"
            return warning("stamps", found, _SYNCHRONISE)
        return ok("stamps", f"{1000 * seconds:.0f} ms old on arrival, at best")


def _split(name: str, sentence: str, remedy: str) -> Finding:
    """An error of what the node says: what is there; what to set."""
    found, _, advice = sentence.partition("; ")
    return error(name, found, advice or remedy)
