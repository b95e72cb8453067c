# SPDX-License-Identifier: Apache-2.0
"""One image message: when it came, how old it is, and its pixels."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rclpy.clock import Clock
from sensor_msgs.msg import CompressedImage

from yolact_ros.recordings.images.bounds import ImageError
from yolact_ros.recordings.images.compressed import compressed_to_array
from yolact_ros.recordings.images.raw import image_to_array
from yolact_ros.recordings.matching import DepthRequest
from yolact_ros.ros.camera_stream import CameraStream
from yolact_ros.ros.parameters.table import Settings
from yolact_ros.ros.region import Region, View
from yolact_ros.ros.stamps import StampAge, stamp_age


@dataclass
class Frame:
    """An image message between its callback and the results.

    Attributes:
        camera: The camera that sent it.
        message: A sensor_msgs/Image or CompressedImage.
        arrived: `time.perf_counter()` in the callback.
        begun: `time.perf_counter()` when its batch was taken.
        times: Milliseconds of each stage so far.
        depth: Its depth image, there or expected; None: nobody wants objects or points.
        reason: Why it came to no result, as far as that was said.
    """

    camera: CameraStream
    message: Any
    arrived: float
    begun: float = 0.0
    depth: DepthRequest[Any] | None = None
    times: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    _ended: bool = False

    def end(self, counter: str, reason: str = "") -> None:
        """Count what became of the frame, once: only the first call has an effect."""
        if not self._ended:
            self._ended = True
            self.reason = reason
            self.camera.counters.count(counter, reason=reason)

    def age(self, clock: Clock) -> StampAge:
        """Return the time since the image was taken, by its stamp."""
        stamp = self.message.header.stamp
        return stamp_age(stamp.sec, stamp.nanosec, clock.now().nanoseconds)


def received_frame(
    camera: CameraStream, message: Any, info: Mapping[str, Any] | None, clock: Clock
) -> Frame:
    """Note when a message came; called in the subscription's callback.

    Args:
        camera: The camera that sent it.
        message: A sensor_msgs/Image or CompressedImage.
        info: "source_timestamp" and "received_timestamp" from the middleware, ns, each 0 if
            unknown; None before ROS 2 Iron.
        clock: The node's clock.
    """
    frame = Frame(camera, message, time.perf_counter())
    if info is not None:
        frame.times |= _delivery(info, time.time_ns())
    age = frame.age(clock)
    camera.stamps = age.text
    if age.trouble:
        text = f"{age.text}: their age is not shown" + _ADVICE.get(age.trouble, "")
        camera.log.warning(("stamp", age.trouble), text, period=math.inf)
    elif age.seconds is not None:
        frame.times["arrival"] = age.seconds * 1000
    return frame


_ADVICE = {
    "no clock": "; start what publishes /clock, or set use_sim_time to false",
    "past": "; a recording is played with --clock and use_sim_time",
}


def read_frame(
    frame: Frame, begun: float, settings: Settings, clock: Clock, region: Region
) -> View | None:
    """Return the frame's pixels, or None if it is too old or malformed (counted and logged).

    Args:
        frame: Gets its times.
        begun: `time.perf_counter()` when its batch was taken.
        settings: The parameters.
        clock: The node's clock.
        region: What the network sees of it.
    """
    begin = time.perf_counter()
    frame.begun = begun
    frame.times["wait"] = (begun - frame.arrived) * 1000
    if _is_too_old(frame, settings.max_image_age, clock):
        return None
    compressed = isinstance(frame.message, CompressedImage)
    convert = compressed_to_array if compressed else image_to_array
    sample_bits = frame.camera.sample_bits
    sample_bits.setting = settings.image_depth_bits
    try:
        view = region.view(convert(frame.message, settings.max_image_pixels, sample_bits))
    except ImageError as error:
        _count_as_bad(frame, error.kind, str(error))
        return None
    except Exception as error:  # whatever a library makes of rubbish, only this frame is lost
        _count_as_bad(frame, type(error).__name__, error_line(error))
        return None
    if sample_bits.remark:
        frame.camera.log.warning("sample bits", sample_bits.remark, period=math.inf)
    frame.times["convert"] = since(begin)
    return view


def since(begin: float) -> float:
    """Return the milliseconds since a time of `time.perf_counter()`."""
    return (time.perf_counter() - begin) * 1000


def error_line(error: Exception) -> str:
    """Return the type and the first line of an error."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def _delivery(info: Mapping[str, Any], now: int) -> dict[str, float]:
    """Milliseconds of "transport" and "executor", where the middleware tells the times (ns)."""
    sent, received = info.get("source_timestamp", 0), info.get("received_timestamp", 0)
    times = {}
    if sent and received:
        times["transport"] = (received - sent) * 1e-6
    if received:
        times["executor"] = (now - received) * 1e-6
    return times


def _is_too_old(frame: Frame, limit: float, clock: Clock) -> bool:
    age = frame.age(clock).seconds if limit else None
    if age is None or age <= limit:
        return False
    text = f"expected a stamp at most {limit:g} s old (parameter max_image_age), got {age:.3f} s"
    frame.end("too_old", reason=text)
    frame.camera.log.warning(
        "too old", f"frame skipped: {text}; does the camera use this machine's clock?"
    )
    return True


def _count_as_bad(frame: Frame, kind: str, text: str) -> None:
    frame.end("bad", reason=text)
    # The format is part of the key, so that a fault of another format gets a line of its own.
    image_format = [getattr(frame.message, name, None) for name in ("width", "height", "encoding")]
    frame.camera.log.warning((kind, *image_format), f"frame skipped: {text}")
