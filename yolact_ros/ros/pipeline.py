# SPDX-License-Identifier: Apache-2.0
"""One image message from arrival to published results; runs in the worker's thread."""

from __future__ import annotations

import time
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
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
from yolact_ros.visualization import OverlayStyle, draw_overlay


class Pipeline:
    """Turns each image message into what is subscribed to.

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

    def process(self, message: Any) -> None:
        """Segments one sensor_msgs/Image or CompressedImage and publishes the results."""
        settings = self.settings
        wanted = self._outputs.wanted()
        if not wanted:
            self._statistics.count("unwanted")
            return
        if self._too_old(message, settings.max_image_age):
            return
        begin = time.perf_counter()
        try:
            convert = (
                compressed_to_array if isinstance(message, CompressedImage) else image_to_array
            )
            image = convert(message, settings.max_image_pixels)
        except ImageError as error:
            self._statistics.count("bad")
            # With the form of the frame: another camera's or setting's fault gets its own line.
            form = [getattr(message, name, None) for name in ("width", "height", "encoding")]
            self._log.warning((error.kind, *form), f"frame skipped: {error}")
            return
        self._statistics.record("convert", _since(begin))
        found = self._segment(image)
        if found is None:
            return
        self._publish(message, image, found.without_empty_masks(), wanted, settings)
        self._statistics.record("total", _since(begin))
        self._statistics.count("processed")
        if (age := self._age(message)) is not None:
            self._statistics.record("age", age * 1000)

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
        for stage, milliseconds in self._segmenter.timings.items():
            self._statistics.record(stage, milliseconds)
        return found

    def _publish(
        self,
        message: Any,
        image: ImageArray,
        instances: Instances,
        wanted: frozenset[str],
        settings: Settings,
    ) -> None:
        def draw() -> npt.NDArray[np.uint8]:
            begin = time.perf_counter()
            style = OverlayStyle(
                opacity=settings.overlay_opacity,
                boxes=settings.overlay_boxes,
                labels=settings.overlay_labels,
                contours=settings.overlay_contours,
            )
            canvas = draw_overlay(_as_bgr(image), instances, style)
            self._statistics.record("overlay", _since(begin))
            return canvas

        begin = time.perf_counter()
        self._outputs.publish(Result(message.header, instances, draw), wanted)
        self._statistics.record("publish", _since(begin))


def _since(begin: float) -> float:
    return (time.perf_counter() - begin) * 1000


def _as_bgr(image: ImageArray) -> npt.NDArray[np.uint8]:
    if image.channel_order == "bgr":
        return image.pixels
    return np.asarray(cv2.cvtColor(image.pixels, cv2.COLOR_RGB2BGR), dtype=np.uint8)


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
