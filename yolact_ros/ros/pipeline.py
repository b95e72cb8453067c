# SPDX-License-Identifier: Apache-2.0
"""One image message from arrival to published results; runs in the worker's thread."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from rclpy.clock import Clock
from rclpy.time import Time
from sensor_msgs.msg import CompressedImage

from yolact_ros.inference import Segmenter
from yolact_ros.ros.images import ImageArray, ImageError, compressed_to_array, image_to_array
from yolact_ros.ros.logs import ThrottledLog
from yolact_ros.ros.outputs import Outputs, Result
from yolact_ros.ros.parameters import Settings
from yolact_ros.ros.statistics import Statistics
from yolact_ros.structures import Instances
from yolact_ros.visualization import OverlayStyle


@dataclass(frozen=True)
class Frame:
    """An image message and when it came.

    Attributes:
        message: A sensor_msgs/Image or CompressedImage.
        arrived: `time.perf_counter()` in the callback.
        age: Seconds from its stamp to the callback, by the node's clock; None without a stamp.
    """

    message: Any
    arrived: float
    age: float | None


class Pipeline:
    """Turns each image message into what is subscribed to.

    The stages that are timed: "arrival" (stamp to callback), "wait" (callback to the worker's
    thread), "convert" (message to array), those of the segmenter, those of `Outputs.publish`;
    "processing" (all but "arrival" and "wait"), "total" (callback to all messages sent) and "age"
    (stamp to all messages sent).

    Args:
        segmenter: The loaded network.
        outputs: Where results go.
        settings: Values of the parameters; `settings` may be replaced at any time.
        statistics: Counts and times.
        clock: The node's, for the age of images.
        log: For bad, old and failed frames.
    """

    def __init__(
        self,
        *,
        segmenter: Segmenter,
        outputs: Outputs,
        settings: Settings,
        statistics: Statistics,
        clock: Clock,
        log: ThrottledLog,
    ) -> None:
        self.settings = settings
        self._segmenter = segmenter
        self._outputs = outputs
        self._statistics = statistics
        self._clock = clock
        self._log = log

    def receive(self, message: Any) -> Frame:
        """Notes when an image message came; belongs into the subscription's callback."""
        return Frame(message, time.perf_counter(), self._age(message))

    def process(self, frame: Frame) -> None:
        """Segments one frame and publishes the results."""
        begin = time.perf_counter()
        message, settings = frame.message, self.settings
        wanted = self._outputs.wanted()
        if not wanted:
            self._statistics.count("unwanted")
            return
        if self._too_old(message, settings.max_image_age):
            return
        image = self._convert(message, settings.max_image_pixels)
        if image is None:
            return
        times = {} if frame.age is None else {"arrival": frame.age * 1000}
        times["wait"] = (begin - frame.arrived) * 1000
        times["convert"] = _since(begin)
        found = self._segment(image)
        if found is None:
            return
        times |= self._segmenter.timings
        result = Result(message.header, found.without_empty_masks(), image, _style(settings))
        times |= self._outputs.publish(result, wanted)
        times["processing"] = _since(begin)
        times["total"] = _since(frame.arrived)
        if (age := self._age(message)) is not None:
            times["age"] = age * 1000
        for stage, milliseconds in times.items():
            self._statistics.record(stage, milliseconds)
        self._statistics.count("processed")

    def _convert(self, message: Any, max_pixels: int) -> ImageArray | None:
        convert = compressed_to_array if isinstance(message, CompressedImage) else image_to_array
        try:
            return convert(message, max_pixels)
        except ImageError as error:
            self._statistics.count("bad")
            # With the form of the frame: another camera's or setting's fault gets its own line.
            form = [getattr(message, name, None) for name in ("width", "height", "encoding")]
            self._log.warning((error.kind, *form), f"frame skipped: {error}")
            return None

    def _age(self, message: Any) -> float | None:
        """Seconds since the stamp; None for an image without one."""
        stamp = message.header.stamp
        if stamp.sec == 0 and stamp.nanosec == 0:
            return None
        taken = Time.from_msg(stamp, clock_type=self._clock.clock_type)
        return float((self._clock.now() - taken).nanoseconds) * 1e-9

    def _too_old(self, message: Any, limit: float) -> bool:
        age = self._age(message) if limit else None
        if age is None or age <= limit:
            return False
        self._statistics.count("too_old")
        self._log.warning(
            "too old",
            f"frame skipped: expected a stamp at most {limit:g} s old (parameter max_image_age), "
            f"got {age:.3f} s; does the camera use this machine's clock?",
        )
        return True

    def _segment(self, image: ImageArray) -> Instances | None:
        try:
            [found] = self._segmenter([image.pixels], channel_order=image.channel_order)
        except Exception as error:
            self._statistics.count("failed")
            height, width = image.pixels.shape[:2]
            self._log.error(
                type(error).__name__,
                f"frame of {width} x {height} pixels not segmented: {_explain(error)}",
            )
            _free_device_memory(error)
            return None
        return found


def _since(begin: float) -> float:
    return (time.perf_counter() - begin) * 1000


def _style(settings: Settings) -> OverlayStyle:
    return OverlayStyle(
        opacity=settings.overlay_opacity,
        boxes=settings.overlay_boxes,
        labels=settings.overlay_labels,
        contours=settings.overlay_contours,
    )


def _out_of_memory(error: Exception) -> bool:
    # By name: torch of some versions has the class in another place.
    return type(error).__name__ == "OutOfMemoryError"


def _explain(error: Exception) -> str:
    first_line = (str(error).splitlines() or [""])[0]
    if _out_of_memory(error):
        return f"the GPU's memory is full ({first_line})"
    return f"{type(error).__name__}: {first_line}"


def _free_device_memory(error: Exception) -> None:
    """Gives cached blocks back, so that the next, smaller frame finds room."""
    if _out_of_memory(error):
        import torch

        torch.cuda.empty_cache()
