# SPDX-License-Identifier: Apache-2.0
"""Image messages from arrival to published results, one batch at a time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rclpy.clock import Clock
from rclpy.time import Time
from sensor_msgs.msg import CompressedImage

from yolact_ros.inference import Segmenter
from yolact_ros.ros.camera import Camera
from yolact_ros.ros.conversion.images import (
    ImageArray,
    ImageError,
    compressed_to_array,
    image_to_array,
)
from yolact_ros.ros.counters import Statistics
from yolact_ros.ros.outputs import Outputs, Result
from yolact_ros.ros.parameters.table import Settings
from yolact_ros.structures import Instances
from yolact_ros.visualization import OverlayStyle


@dataclass
class Frame:
    """An image message on its way.

    Attributes:
        camera: Where it comes from.
        message: A sensor_msgs/Image or CompressedImage.
        arrived: `time.perf_counter()` in the callback.
        begun: `time.perf_counter()` when it was taken from those that wait.
        times: Milliseconds of its stages so far.
    """

    camera: Camera
    message: Any
    arrived: float
    begun: float = 0.0
    times: dict[str, float] = field(default_factory=dict)


Readable = tuple[Frame, ImageArray]
"""A frame and its pixels."""
Segmented = tuple[Frame, Result]
"""A frame and what is to be published of it."""


class Pipeline:
    """Turns image messages into what is subscribed to.

    `receive` belongs into the subscription's callback, `read` and `segment` into the worker's
    thread and `publish` into the publisher's.

    The stages that are timed of each frame: "transport" (sent by the camera to received by DDS
    here), "executor" (received by DDS to callback), "arrival" (stamp to callback), "wait" (callback
    to batch taken), "convert" (message to array), those of `Outputs.publish`, "processing" (batch
    taken to all messages sent), "total" (callback to all messages sent) and "age" (stamp to all
    messages sent). Of each batch: those of the segmenter, "batch" (taken to segmented) and
    "hand-over" (segmented to taken up by the publisher's thread).

    Args:
        segmenter: The loaded network.
        outputs: Where the results of each camera go, by its name.
        settings: Values of the parameters; `settings` may be replaced at any time.
        statistics: Those of the whole node, for the stages of batches.
        clock: The node's, for the age of images.
    """

    def __init__(
        self,
        *,
        segmenter: Segmenter,
        outputs: Mapping[str, Outputs],
        settings: Settings,
        statistics: Statistics,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self._segmenter = segmenter
        self._outputs = outputs
        self._statistics = statistics
        self._clock = clock

    def receive(
        self, camera: Camera, message: Any, info: Mapping[str, Any] | None = None
    ) -> Frame | None:
        """Notes when a message came; None if nobody subscribes to its camera's results.

        Args:
            info: What the middleware tells of the message, if it does.
        """
        if not self._outputs[camera.name].wanted():
            camera.statistics.count("unwanted")
            return None
        frame = Frame(camera, message, time.perf_counter())
        if info is not None:
            frame.times |= _delivery(info, time.time_ns())
        if (age := self._age(message)) is not None:
            frame.times["arrival"] = age * 1000
        return frame

    def read(self, frames: Sequence[Frame]) -> list[Readable]:
        """Takes the pixels out of messages; those that cannot be used are counted and left out."""
        begun = time.perf_counter()
        images = [(frame, self._read(frame, begun)) for frame in frames]
        return [(frame, image) for frame, image in images if image is not None]

    def segment(self, batch: Sequence[Readable]) -> list[Segmented]:
        """Segments frames in one batch; those that fail are counted, logged and left out."""
        # In one order: on a GPU, each order of sizes would be captured as a graph of its own.
        batch = sorted(batch, key=lambda item: (item[1].pixels.shape, item[1].channel_order))
        found = self._find(batch)
        self._statistics.record("batch", _since(batch[0][0].begun))
        style = _style(self.settings)
        return [
            (frame, Result(frame.message.header, instances.without_empty_masks(), image, style))
            for (frame, image), instances in zip(batch, found, strict=True)
            if instances is not None
        ]

    def publish(self, frame: Frame, result: Result) -> None:
        """Publishes what is wanted of one frame, and records its times."""
        camera = frame.camera
        outputs = self._outputs[camera.name]
        times = frame.times | outputs.publish(result, outputs.wanted())
        times["processing"] = _since(frame.begun)
        times["total"] = _since(frame.arrived)
        if (age := self._age(frame.message)) is not None:
            times["age"] = age * 1000
        for stage, milliseconds in times.items():
            camera.statistics.record(stage, milliseconds)
        camera.statistics.count("processed")

    def _read(self, frame: Frame, begun: float) -> ImageArray | None:
        begin = time.perf_counter()
        frame.begun = begun
        frame.times["wait"] = (begun - frame.arrived) * 1000
        settings, camera = self.settings, frame.camera
        if not self._outputs[camera.name].wanted():
            camera.statistics.count("unwanted")
            return None
        if self._too_old(frame, settings.max_image_age):
            return None
        image = _convert(frame, settings.max_image_pixels)
        frame.times["convert"] = _since(begin)
        return image

    def _find(self, batch: Sequence[Readable]) -> list[Instances | None]:
        """Segments a batch, and if that fails each of its frames alone."""
        try:
            found = self._segmenter(
                [image.pixels for _, image in batch],
                channel_order=[image.channel_order for _, image in batch],
            )
        except Exception as error:
            failure = error.with_traceback(None)  # which would keep the batch's memory
        else:
            self._statistics.record_batch(len(batch))
            for stage, milliseconds in self._segmenter.timings.items():
                self._statistics.record(stage, milliseconds)
            return list(found)
        _free_device_memory(failure)
        if len(batch) == 1:
            _report_failure(*batch[0], failure)
            return [None]
        return [instances for item in batch for instances in self._find([item])]

    def _age(self, message: Any) -> float | None:
        """Seconds since the stamp; None for an image without one."""
        stamp = message.header.stamp
        if stamp.sec == 0 and stamp.nanosec == 0:
            return None
        taken = Time.from_msg(stamp, clock_type=self._clock.clock_type)
        return float((self._clock.now() - taken).nanoseconds) * 1e-9

    def _too_old(self, frame: Frame, limit: float) -> bool:
        age = self._age(frame.message) if limit else None
        if age is None or age <= limit:
            return False
        frame.camera.statistics.count("too_old")
        frame.camera.log.warning(
            "too old",
            f"frame skipped: expected a stamp at most {limit:g} s old (parameter max_image_age), "
            f"got {age:.3f} s; does the camera use this machine's clock?",
        )
        return True


def _convert(frame: Frame, max_pixels: int) -> ImageArray | None:
    message, camera = frame.message, frame.camera
    convert = compressed_to_array if isinstance(message, CompressedImage) else image_to_array
    try:
        return convert(message, max_pixels)
    except ImageError as error:
        text, kind = str(error), error.kind
    except Exception as error:  # whatever a library makes of rubbish, it is this camera's alone
        text, kind = _first_line(error), type(error).__name__
    camera.statistics.count("bad")
    # With the form of the frame: another setting's fault gets its own line.
    form = [getattr(message, name, None) for name in ("width", "height", "encoding")]
    camera.log.warning((kind, *form), f"frame skipped: {text}")
    return None


def _report_failure(frame: Frame, image: ImageArray, error: Exception) -> None:
    frame.camera.statistics.count("failed")
    height, width = image.pixels.shape[:2]
    frame.camera.log.error(
        type(error).__name__,
        f"frame of {width} x {height} pixels not segmented: {_explain(error)}",
    )


def _delivery(info: Mapping[str, Any], now: int) -> dict[str, float]:
    """Milliseconds of "transport" and "executor", where the middleware tells the times (ns)."""
    sent, received = info.get("source_timestamp", 0), info.get("received_timestamp", 0)
    times = {}
    if sent and received:
        times["transport"] = (received - sent) * 1e-6
    if received:
        times["executor"] = (now - received) * 1e-6
    return times


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
    if _out_of_memory(error):
        return f"the GPU's memory is full ({(str(error).splitlines() or [''])[0]})"
    return _first_line(error)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def _free_device_memory(error: Exception) -> None:
    """Gives cached blocks back, so that the next, smaller frame finds room."""
    if _out_of_memory(error):
        import torch

        torch.cuda.empty_cache()
