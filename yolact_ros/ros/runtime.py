# SPDX-License-Identifier: Apache-2.0
"""Takes images to results through three threads, while the node is configured.

Importing this takes seconds, because of torch.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rclpy.clock import Clock

from yolact_ros.inference import Segmenter
from yolact_ros.ros.batch import segment_batch
from yolact_ros.ros.camera_stream import CameraStream
from yolact_ros.ros.conversion.images import ImageArray
from yolact_ros.ros.counters import Counters
from yolact_ros.ros.diagnostics import NetworkState
from yolact_ros.ros.frame import Frame, age_of, read_frame, received_frame, since
from yolact_ros.ros.loading import segmenter_options
from yolact_ros.ros.outputs import ClassList, Outputs, Result
from yolact_ros.ros.parameters.table import Settings
from yolact_ros.ros.worker import BatchWorker, HandOver
from yolact_ros.visualization import OverlayStyle


@dataclasses.dataclass(frozen=True)
class _Segmented:
    frames: list[tuple[Frame, Result]]
    finished: float  # time.perf_counter()


class Runtime:
    """Receives images, segments them in batches and publishes the results.

    An image passes through `receive` in the executor's thread, `segment` in the worker's and
    `publish` in the publisher's, which works on one batch while the worker segments the next.

    Stages timed per frame: "transport" (sent by the camera to received by DDS here), "executor"
    (received by DDS to callback), "arrival" (stamp to callback), "wait" (callback to batch taken),
    "convert" (message to array), those of `Outputs.publish`, "processing" (batch taken to all
    messages sent), "total" (callback to all messages sent) and "age" (stamp to all messages sent).
    Per batch: those of the segmenter, "batch" (taken to segmented) and "hand-over" (segmented to
    taken up by the publisher's thread).

    Args:
        segmenter: The loaded network.
        outputs: The publishers of each camera, by its name.
        class_list: The publisher of the class list.
        cameras: The cameras whose images are segmented.
        settings: The parameters.
        counters: Counts and times of the whole node.
        clock: The node's, for the age of images.
        on_error: Called in the threads with a camera whose frame was lost, or None if it was a
            whole batch, and with what was raised.
    """

    def __init__(
        self,
        *,
        segmenter: Segmenter,
        outputs: Mapping[str, Outputs],
        class_list: ClassList,
        cameras: Sequence[CameraStream],
        settings: Settings,
        counters: Counters,
        clock: Clock,
        on_error: Callable[[CameraStream | None, Exception], None],
    ) -> None:
        self.settings = settings
        self._segmenter = segmenter
        self._outputs = outputs
        self._class_list = class_list
        self._counters = counters
        self._clock = clock
        self._on_error = on_error
        by_name = {camera.name: camera for camera in cameras}
        self._worker: BatchWorker[Frame] = BatchWorker(
            tuple(by_name),
            self.segment,
            on_replaced=lambda name: by_name[name].counters.count("replaced"),
            on_error=lambda error: on_error(None, error),
            **_scheduling(settings),
        )
        self._publisher: HandOver[_Segmented] = HandOver(
            self.publish, on_error=lambda error: on_error(None, error)
        )

    # What happens to an image, in this order

    def receive(
        self, camera: CameraStream, message: Any, info: Mapping[str, Any] | None = None
    ) -> None:
        """Store a message; it replaces one of the same camera that is still waiting.

        Args:
            camera: The camera that sent it.
            message: A sensor_msgs/Image or CompressedImage.
            info: What the middleware tells of the message, if anything.
        """
        if not self._outputs[camera.name].wanted():
            camera.counters.count("unwanted")
            return
        self._worker.offer(camera.name, received_frame(camera, message, info, self._clock))

    def segment(self, frames: Sequence[Frame]) -> bool:
        """Segment a batch and hand the results over; return whether the network ran."""
        begun = time.perf_counter()
        batch: list[tuple[Frame, ImageArray]] = []
        for frame in frames:
            if not self._outputs[frame.camera.name].wanted():
                frame.camera.counters.count("unwanted")
            elif (image := read_frame(frame, begun, self.settings, self._clock)) is not None:
                batch.append((frame, image))
        if not batch:
            return False
        # In one order: on a GPU, each order of sizes would be captured as a graph of its own.
        batch.sort(key=lambda item: (item[1].pixels.shape, item[1].channel_order))
        found = segment_batch(self._segmenter, batch, self._counters)
        self._counters.record("batch", since(begun))
        style = _style(self.settings)
        results = [
            (frame, Result(frame.message.header, instances.without_empty_masks(), image, style))
            for (frame, image), instances in zip(batch, found, strict=True)
            if instances is not None
        ]
        if results:
            self._publisher.give(_Segmented(results, time.perf_counter()))
        return True

    def publish(self, segmented: _Segmented) -> None:
        """Publish the results of a batch, as far as somebody subscribes to them."""
        self._counters.record("hand-over", since(segmented.finished))
        for frame, result in segmented.frames:
            outputs = self._outputs[frame.camera.name]
            try:
                self._record(frame, outputs.publish(result, outputs.wanted()))
            except Exception as error:
                self._on_error(frame.camera, error)

    def _record(self, frame: Frame, publishing: Mapping[str, float]) -> None:
        times = {**frame.times, **publishing}
        times["processing"] = since(frame.begun)
        times["total"] = since(frame.arrived)
        if (age := age_of(frame.message, self._clock)) is not None:
            times["age"] = age * 1000
        for stage, milliseconds in times.items():
            frame.camera.counters.record(stage, milliseconds)
        frame.camera.counters.count("processed")

    # What the node does with it

    @property
    def network(self) -> NetworkState:
        """The network, as the diagnostics show it."""
        segmenter = self._segmenter
        return NetworkState(segmenter.preset.name, str(segmenter.device), segmenter.precision)

    def start(self) -> None:
        """Announce the classes and begin to take images."""
        for outputs in self._outputs.values():
            outputs.open()
        self._announce()
        self._publisher.start()
        self._worker.start()

    def apply(self, changed: Mapping[str, Any]) -> None:
        """Use checked values of parameters, by name, from the next image on.

        Raises:
            InputError: `classes` has a name that the network does not know; nothing has changed.
        """
        by_field = {name.replace(".", "_"): value for name, value in changed.items()}
        settings = dataclasses.replace(self.settings, **by_field)
        self._segmenter.options = segmenter_options(settings)
        self.settings = settings
        self._worker.configure(**_scheduling(settings))
        if "score_threshold" in changed:
            self._announce()

    def stop(self, timeout: float) -> bool:
        """Take no more images; return whether those in progress were published in time (s).

        The others are dropped: nothing is published after this returns.
        """
        deadline = time.monotonic() + timeout
        ended = self._worker.stop(timeout)
        ended = self._publisher.stop(max(0.0, deadline - time.monotonic())) and ended
        for outputs in self._outputs.values():
            outputs.shut()
        return ended

    def close(self) -> None:
        """Remove the publishers."""
        self._class_list.close()
        for outputs in self._outputs.values():
            outputs.close()

    def _announce(self) -> None:
        self._class_list.announce(self._segmenter.class_names, self.settings.score_threshold)


def _scheduling(settings: Settings) -> dict[str, Any]:
    """The parameters that decide which frames make a batch, and when."""
    return {name: getattr(settings, name) for name in ("batch_wait", "max_batch", "max_rate")}


def _style(settings: Settings) -> OverlayStyle:
    return OverlayStyle(
        opacity=settings.overlay_opacity,
        boxes=settings.overlay_boxes,
        labels=settings.overlay_labels,
        contours=settings.overlay_contours,
    )
