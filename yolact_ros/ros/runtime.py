# SPDX-License-Identifier: Apache-2.0
"""Takes images to results through the node's threads, while it is configured.

Importing this takes seconds, because of torch.
"""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from rclpy.clock import Clock

from yolact_ros.errors import InputError
from yolact_ros.inference import Segmenter, SegmenterOptions
from yolact_ros.recordings.images.raw import ImageArray
from yolact_ros.recordings.matching import nanoseconds
from yolact_ros.ros.batch import BatchSegmenter, GpuLost
from yolact_ros.ros.camera_stream import CameraStream
from yolact_ros.ros.counters import Counters
from yolact_ros.ros.diagnostics import NetworkState
from yolact_ros.ros.frame import Frame, error_line, read_frame, received_frame, since
from yolact_ros.ros.health import Activity
from yolact_ros.ros.loading import largest_batch, segmenter_options
from yolact_ros.ros.logs import ThrottledLog, place_of
from yolact_ros.ros.newest import NewestFrames
from yolact_ros.ros.outputs import SPACE_TOPICS, TRACKED_TOPICS, ClassList, Outputs, Result
from yolact_ros.ros.parameters.table import Settings
from yolact_ros.ros.region import WHOLE, Region, View
from yolact_ros.ros.space.measuring import Measuring
from yolact_ros.ros.worker import BatchWorker, HandOver
from yolact_ros.structures import Instances
from yolact_ros.tracking import Tracker, TrackerSettings, thumbnail
from yolact_ros.visualization import OverlayStyle

_SIZES_KEPT = 64
"""Sizes of batches and images that are known to be compiled."""


@dataclasses.dataclass(frozen=True)
class _Segmented:
    frames: list[tuple[Frame, Result]]
    finished: float  # time.perf_counter()


class Runtime:
    """Receives images, segments them in batches and publishes the results.

    An image passes through `receive` in the executor's thread, `segment` in the worker's and
    `publish` in the publisher's, which works on one batch while the worker segments the next. What
    needs depth is `measuring`'s, after that and in another thread.

    Stages timed per frame: "transport" (sent by the camera to received by DDS here), "executor"
    (received by DDS to callback), "arrival" (stamp to callback), "wait" (callback to batch taken),
    "convert" (message to array), "track" (which thing is which), those of `Outputs.publish`,
    "processing" (batch taken to all messages sent), "total" (callback to all messages sent) and
    "age" (stamp to all messages sent).
    Per batch: those of the segmenter, "batch" (taken to segmented) and "hand-over" (segmented to
    taken up by the publisher's thread).

    Attributes:
        settings: The parameters.
        measuring: Takes results on into space.
        newest: The newest message of each camera, whether anybody wants results or not.

    Args:
        segmenter: The loaded network.
        outputs: The publishers of each camera, by its name.
        class_list: The publisher of the class list.
        measuring: See above.
        cameras: The cameras whose images are segmented.
        settings: The parameters.
        counters: Counts and times of the whole node.
        clock: The node's, for the age of images.
        log: The node's.
        on_cpu: Loads the network for the CPU, for when the GPU's memory is too small; None: never.
        on_gpu_lost: Called in the worker's thread when only a new process can go on.
    """

    def __init__(
        self,
        *,
        segmenter: Segmenter,
        outputs: Mapping[str, Outputs],
        class_list: ClassList,
        measuring: Measuring,
        cameras: Sequence[CameraStream],
        settings: Settings,
        counters: Counters,
        clock: Clock,
        log: ThrottledLog,
        on_cpu: Callable[[], Segmenter] | None,
        on_gpu_lost: Callable[[str], None],
    ) -> None:
        self.settings = settings
        self.measuring = measuring
        self._segment_batch = BatchSegmenter(segmenter, counters, log, on_cpu=on_cpu)
        self._log = log
        self._on_gpu_lost = on_gpu_lost
        self._warm_batch = largest_batch(settings, len(cameras))
        self._size: tuple[Any, ...] = (0,)
        self._seen: deque[tuple[Any, ...]] = deque(maxlen=_SIZES_KEPT)
        self._outputs = outputs
        self._regions = {name: Region.of(settings, name) for name in outputs}
        self._trackers = {name: Tracker(_tracker_settings(settings)) for name in outputs}
        self._class_list = class_list
        self._counters = counters
        self._clock = clock
        by_name = {camera.name: camera for camera in cameras}
        self.newest = NewestFrames()
        self._worker: BatchWorker[Frame] = BatchWorker(
            tuple(by_name),
            self.segment,
            on_dropped=Frame.end,
            on_error=self._fail_batch,
            **_scheduling(settings),
        )
        self._publisher: HandOver[_Segmented] = HandOver(
            self.publish, on_error=self._fail_publishing
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
        self.newest.put(camera.name, message)
        wanted = self._outputs[camera.name].wanted()
        if not wanted:
            camera.counters.count("unwanted")
            return
        frame = received_frame(camera, message, info, self._clock)
        if wanted & SPACE_TOPICS:
            self.measuring.expect(frame)
        self._worker.offer(camera.name, frame)

    def segment(self, frames: Sequence[Frame]) -> bool:
        """Segment a batch and hand the results over; return whether the network ran."""
        begun = time.perf_counter()
        batch: list[tuple[Frame, View]] = []
        for frame in frames:
            if not self._outputs[frame.camera.name].wanted():
                frame.end("unwanted")
                continue
            region = self.region(frame.camera)
            view = read_frame(frame, begun, self.settings, self._clock, region)
            if view is not None:
                batch.append((frame, view))
        if not batch:
            return False
        # In one order: on a GPU, each order of sizes would be captured as a graph of its own.
        batch.sort(key=lambda item: (item[1].seen.pixels.shape, item[1].seen.channel_order))
        found = self._run_network(batch)
        self._counters.record("batch", since(begun))
        style, quality = _style(self.settings), self.settings.overlay_jpeg_quality
        results = [
            (
                frame,
                Result(
                    frame.message.header,
                    instances.without_empty_masks(),
                    view.image,
                    style,
                    quality,
                ),
            )
            for (frame, view), instances in zip(batch, found, strict=True)
            if instances is not None
        ]
        if results and not self._publisher.give(_Segmented(results, time.perf_counter())):
            for frame, _ in results:
                frame.end("stopped")
        return True

    def options_for(self, classes: Sequence[str], score_threshold: float) -> SegmenterOptions:
        """Return the options of a request: the parameters, where it says nothing of its own.

        Args:
            classes: Names; empty: those of the parameter.
            score_threshold: 0 to 1; 0: that of the parameter.

        Raises:
            InputError: A value is out of its range, or the network does not know a class.
        """
        options = segmenter_options(self.settings)
        own: dict[str, Any] = {"score_threshold": score_threshold} if score_threshold else {}
        if classes:
            own["classes"] = tuple(classes)
        options = dataclasses.replace(options, **own)
        options.class_ids(self._segment_batch.segmenter.class_names)
        return options

    def segment_alone(
        self, frame: Frame, view: View, options: SegmenterOptions
    ) -> Future[Instances]:
        """Segment an image at the worker's next turn, and publish nothing.

        Returns:
            What is found, without empty masks; or an `InputError` that says why it failed.
        """

        def segment() -> Instances:
            try:
                [found] = self._run_network([(frame, view)], options)
            except GpuLost as error:
                self._on_gpu_lost(str(error))
                raise
            if found is None:
                raise InputError(f"image not segmented: {frame.reason}")
            return found.without_empty_masks()

        return self._worker.call(segment)

    def _run_network(
        self, batch: Sequence[tuple[Frame, View]], options: SegmenterOptions | None = None
    ) -> list[Instances | None]:
        self._size = self._compiled_size([view.seen for _, view in batch])
        found = self._segment_batch([(frame, view.seen) for frame, view in batch], options)
        if self._size not in self._seen:
            self._seen.append(self._size)
        return [
            None if instances is None else view.in_image(instances)
            for (_, view), instances in zip(batch, found, strict=True)
        ]

    def publish(self, segmented: _Segmented) -> None:
        """Publish the results of a batch, as far as somebody subscribes to them."""
        self._counters.record("hand-over", since(segmented.finished))
        for frame, result in segmented.frames:
            try:
                self._publish(frame, result, self._outputs[frame.camera.name])
            except Exception as error:
                self._fail(frame, "unpublished", error)

    def _publish(self, frame: Frame, result: Result, outputs: Outputs) -> None:
        wanted = outputs.wanted()
        if self.settings.track and wanted & TRACKED_TOPICS:
            result = self._track(frame, result)
        if not wanted:
            frame.end("unwanted")
        elif (times := outputs.publish(result, wanted)) is not None:
            self._record(frame, times)
            if wanted & SPACE_TOPICS:
                self.measuring.offer(frame, result, wanted)
        else:
            frame.end("stopped")

    def _track(self, frame: Frame, result: Result) -> Result:
        """Find out which thing is which; a result is never lost for want of that."""
        begin = time.perf_counter()
        # a camera that stamps nothing has images in the order in which they come
        stamp = nanoseconds(result.header.stamp) * 1e-9 or frame.arrived
        try:
            tracked = self._trackers[frame.camera.name].update(
                result.instances,
                stamp,
                self.measuring.rough_centres(frame, result.instances),
                thumbnail(result.image.pixels),
            )
        except Exception as error:
            text = f"things not tracked: {error_line(error)}"
            frame.camera.log.error(("track", place_of(error)), text)
            return result
        frame.times["track"] = since(begin)
        return dataclasses.replace(result, tracked=tracked)

    def _record(self, frame: Frame, publishing: Mapping[str, float]) -> None:
        times = {**frame.times, **publishing}
        times["processing"] = since(frame.begun)
        times["total"] = since(frame.arrived)
        age = frame.age(self._clock)
        if age.seconds is not None and not age.trouble:
            times["age"] = age.seconds * 1000
        for stage, milliseconds in times.items():
            frame.camera.counters.record(stage, milliseconds)
        frame.end("processed")

    def _fail_batch(self, frames: Sequence[Frame], error: Exception) -> None:
        for frame in frames:
            self._fail(frame, "failed", error)
        if isinstance(error, GpuLost):
            self._on_gpu_lost(str(error))

    def _fail_publishing(self, segmented: _Segmented, error: Exception) -> None:
        for frame, _ in segmented.frames:
            self._fail(frame, "unpublished", error)

    def _fail(self, frame: Frame, counter: str, error: Exception) -> None:
        frame.end(counter, reason=error_line(error))
        verb = "published" if counter == "unpublished" else "segmented"
        frame.camera.log.error((counter, place_of(error)), f"frame not {verb}: {error_line(error)}")

    # What the node does with it

    @property
    def network(self) -> NetworkState:
        """The network, as the diagnostics show it."""
        segmenter = self._segment_batch.segmenter
        return NetworkState(
            segmenter.preset.name,
            str(segmenter.device),
            segmenter.precision,
            segmenter.precision_reason,
        )

    @property
    def working(self) -> Activity | None:
        """What the thread does that is busy with one batch for longer; None: both wait."""
        compiling = self.settings.compile and self._size not in self._seen
        verb = "compiling the network for" if compiling else "segmenting"
        activities = [
            Activity(text, seconds, compiling=is_compiling)
            for text, seconds, is_compiling in (
                (f"{verb} a batch of {self._size[0]}", self._worker.busy_seconds, compiling),
                ("publishing results", self._publisher.busy_seconds, False),
            )
            if seconds is not None
        ]
        return max(activities, key=lambda each: each.seconds, default=None)

    def _compiled_size(self, images: Sequence[ImageArray]) -> tuple[Any, ...]:
        """What the network would be compiled for: the batch and, if not fixed, the images."""
        shapes = [image.pixels.shape for image in images] if self.settings.resize == "fit" else []
        return (len(images), *shapes)

    def region(self, camera: CameraStream) -> Region:
        """What the network sees of the camera's images."""
        return self._regions.get(camera.name, WHOLE)

    def wanted(self, camera: CameraStream) -> bool:
        """Whether somebody subscribes to a result of the camera."""
        return bool(self._outputs[camera.name].wanted())

    def start(self) -> None:
        """Announce the classes and begin to take images."""
        self.newest.clear()
        for outputs in self._outputs.values():
            outputs.open()
        self._announce()
        self.measuring.start()
        self._publisher.start()
        self._worker.start()

    def apply(self, changed: Mapping[str, Any]) -> None:
        """Use checked values of parameters, by name, from the next image on.

        Raises:
            InputError: `classes` has a name that the network does not know, a picture cannot be
                read, or `max_batch` allows batches that the compiled network has not been compiled
                for; nothing has changed.
        """
        settings = self.settings.changed(changed)
        if settings.compile and largest_batch(settings, len(self._outputs)) > self._warm_batch:
            raise InputError(
                f"max_batch: expected at most {self._warm_batch}, for which the network was "
                f"compiled, got {settings.max_batch}; set it while the node is unconfigured"
            )
        if any(name.endswith(("roi", "ignore_mask")) for name in changed):
            self._regions = {name: Region.of(settings, name) for name in self._outputs}
        self._segment_batch.segmenter.options = segmenter_options(settings)
        self.settings = settings
        self.measuring.apply(settings)
        for tracker in self._trackers.values():
            tracker.settings = _tracker_settings(settings)
        self._worker.configure(**_scheduling(settings))
        if "score_threshold" in changed:
            self._announce()

    def stop(self, timeout: float) -> bool:
        """Take no more frames; return whether those in progress were published in time (s).

        The others are dropped: nothing is published after this returns.
        """
        deadline = time.monotonic() + timeout
        ended = self._worker.stop(timeout)
        for part in (self._publisher, self.measuring):
            ended = part.stop(max(0.0, deadline - time.monotonic())) and ended
        for outputs in self._outputs.values():
            outputs.shut()
        self.newest.clear()
        return ended

    def refuse(self) -> None:
        """Segment nothing on demand any more; what waits for its turn fails."""
        self._worker.close()

    def close(self) -> None:
        """Remove the publishers."""
        self.measuring.close()
        self._class_list.close()
        for outputs in self._outputs.values():
            outputs.close()

    def _announce(self) -> None:
        names = self._segment_batch.segmenter.class_names
        self._class_list.announce(names, self.settings.score_threshold)


def _scheduling(settings: Settings) -> dict[str, Any]:
    """The parameters that decide which frames make a batch, and when."""
    return {name: getattr(settings, name) for name in ("batch_wait", "max_batch", "max_rate")}


def _tracker_settings(settings: Settings) -> TrackerSettings:
    return TrackerSettings(
        buffer=settings.track_buffer,
        high_score=settings.track_high_score,
        start_score=settings.track_start_score,
        duplicate_iou=settings.track_duplicate_iou,
    )


def _style(settings: Settings) -> OverlayStyle:
    return OverlayStyle(
        opacity=settings.overlay_opacity,
        boxes=settings.overlay_boxes,
        labels=settings.overlay_labels,
        contours=settings.overlay_contours,
    )
