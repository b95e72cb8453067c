# SPDX-License-Identifier: Apache-2.0
"""Takes results and depth to objects and points in space, in a thread of its own."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rclpy.clock import Clock
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from yolact_ros.errors import InputError
from yolact_ros.msg import ObjectArray
from yolact_ros.recordings.images.camera_info import Calibration
from yolact_ros.recordings.images.depth import UnusableError, depth_of_image, is_compressed
from yolact_ros.recordings.matching import DepthMatcher, Match, nanoseconds
from yolact_ros.ros.camera_stream import CameraStream
from yolact_ros.ros.conversion.objects import object_array
from yolact_ros.ros.frame import Frame, error_line, since
from yolact_ros.ros.logs import place_of
from yolact_ros.ros.outputs import SPACE_TOPICS, Outputs, Result, SpaceResult
from yolact_ros.ros.parameters.table import Settings
from yolact_ros.ros.space.transforms import TransformError, Transforms
from yolact_ros.ros.space.worker import MeasuringWorker, Pending
from yolact_ros.ros.stamps import stamp_age
from yolact_ros.space import objects, rough_centres
from yolact_ros.structures import Instances, Objects
from yolact_ros.tracking import SpaceTracker

_ASKED_SECONDS = 10.0
"""For so long depth is subscribed to after somebody asked for objects."""
_LOOK_EVERY = 0.003
"""Seconds between two looks for the depth of an image that was asked for."""


class Measuring:
    """Matches depth with images, and measures and publishes what was found in them.

    An image passes through `expect` in the executor's thread, when it comes, and through `offer` in
    the publisher's, when its results have gone out; then it waits in this part's own thread until
    its depth has come, for at most `space.max_wait`. So nothing else waits for depth.

    Stages timed: "depth" (the image's callback to that of its depth, negative if that came first),
    "objects" (message to metres, measuring), "objects message", "points", "objects publish" and
    "objects age" (stamp of the image to all of these messages sent).

    Args:
        cameras: The cameras.
        outputs: The publishers of each camera, by its name.
        settings: The parameters.
        clock: The node's, for the age of images.
        transforms: Finds `space.target_frame`; None: everything stays in the camera's frame.
    """

    def __init__(
        self,
        *,
        cameras: Sequence[CameraStream],
        outputs: Mapping[str, Outputs],
        settings: Settings,
        clock: Clock,
        transforms: Transforms | None = None,
    ) -> None:
        self._settings = settings
        self._outputs = outputs
        self._clock = clock
        self._transforms = transforms
        self._matchers: dict[str, DepthMatcher[Any]] = {
            camera.name: DepthMatcher(_max_skew(settings), _max_bytes(settings))
            for camera in cameras
        }
        self._asked_until = dict.fromkeys(self._matchers, -math.inf)
        self._calibrations = {camera.name: Calibration() for camera in cameras}
        self._read: dict[str, tuple[Any, npt.NDArray[np.float32]]] = {}  # the last depth image
        self._trackers = {camera.name: SpaceTracker(settings.track_buffer) for camera in cameras}
        self._worker = MeasuringWorker(
            self.measure,
            is_settled=self._is_settled,
            on_dropped=self._drop,
            on_error=self._fail,
        )

    def apply(self, settings: Settings) -> None:
        """Use other parameters from the next image on."""
        self._settings = settings
        for matcher in self._matchers.values():
            matcher.max_skew = _max_skew(settings)
            matcher.max_bytes = _max_bytes(settings)
        for tracker in self._trackers.values():
            tracker.buffer = settings.track_buffer

    def start(self) -> None:
        """Begin to measure."""
        self._worker.start()

    def stop(self, timeout: float) -> bool:
        """End the thread, and drop what waits; return whether it ended in time (s)."""
        return self._worker.stop(timeout)

    def close(self) -> None:
        """End the subscriptions to transforms."""
        if self._transforms is not None:
            self._transforms.close()

    # What comes in, in the executor's thread

    def wanted(self, camera: CameraStream) -> bool:
        """Whether somebody subscribes to objects or points of the camera."""
        return bool(self._outputs[camera.name].wanted() & SPACE_TOPICS)

    def asked(self, camera: CameraStream) -> bool:
        """Whether somebody asked for objects of the camera a short time ago."""
        return time.monotonic() < self._asked_until[camera.name]

    def ask(self, camera: CameraStream) -> None:
        """Want depth of a camera for some seconds, so that who asks often waits once."""
        self._asked_until[camera.name] = time.monotonic() + _ASKED_SECONDS

    def receive_depth(self, camera: CameraStream, message: Any, arrived: float) -> None:
        """Take a depth image that came at a time of `time.perf_counter()`."""
        camera.counters.count("depth_received")
        stamp = nanoseconds(message.header.stamp)
        matcher = self._matchers[camera.name]
        disordered, late = matcher.put(stamp, message, arrived, len(message.data))
        if disordered:
            camera.counters.count("depth_disordered")
        if late is not None:
            wait = self._settings.space_max_wait
            reason = f"{late * 1000:.0f} ms after its image (space.max_wait is {wait:g} s)"
            camera.counters.count("depth_late", reason=reason)
        self._worker.look_again()

    def receive_camera_info(self, camera: CameraStream, message: CameraInfo) -> None:
        """Take a calibration."""
        self._calibrations[camera.name].message = message

    def forget(self, camera: CameraStream) -> None:
        """Forget the camera's depth images and calibration."""
        self._matchers[camera.name].clear()
        self._read.pop(camera.name, None)
        self._calibrations[camera.name].message = None

    def expect(self, frame: Frame) -> None:
        """Look out for the depth image of an image that came."""
        matcher = self._matchers[frame.camera.name]
        frame.depth = matcher.request(nanoseconds(frame.message.header.stamp), frame.arrived)

    # What is asked for

    def find_depth(self, frame: Frame, patience: float) -> CameraInfo | None:
        """Look for the depth image of a frame; return the calibration if both are there.

        Args:
            frame: Gets its depth.
            patience: How long to wait for it, s.
        """
        self.expect(frame)
        assert frame.depth is not None
        deadline = time.perf_counter() + patience
        matcher = self._matchers[frame.camera.name]
        while not matcher.is_settled(frame.depth) and time.perf_counter() < deadline:
            time.sleep(_LOOK_EVERY)
        found = frame.depth.match is not None
        return self._calibrations[frame.camera.name].message if found else None

    def measure_alone(self, frame: Frame, instances: Instances, info: CameraInfo) -> ObjectArray:
        """Measure the instances of a frame whose depth was found, and publish nothing.

        Raises:
            InputError: Its depth, calibration or transform cannot be used.
        """
        header = frame.message.header
        assert frame.depth is not None and frame.depth.match is not None
        deadline = time.perf_counter() + self._settings.space_max_wait
        pending = Pending(frame.camera, header, instances, None, None, frame.depth, deadline)
        result = self._measured(pending, frame.depth.match, info, frozenset({"objects"}))
        return object_array(instances, result.objects, result.header)

    # What a tracker wants to know before that

    def rough_centres(self, frame: Frame, instances: Instances) -> npt.NDArray[np.float64] | None:
        """Return about where instances are in the camera's frame, (N, 3) metres.

        None: nobody wants objects, or their depth has not come yet.
        """
        match = frame.depth.match if frame.depth is not None else None
        info = self._calibrations[frame.camera.name].message
        if match is None or info is None or is_compressed(match.message):
            return None
        try:
            depth = self._depth(frame.camera, match.message, frame.message.header, instances)
            calibration = self._calibrations[frame.camera.name]
            camera = calibration.camera(info, self._settings.space_rectified)
            return rough_centres(instances, depth, camera)
        except InputError:
            return None  # which is counted and told when they are measured

    # What goes out

    def offer(self, frame: Frame, result: Result, wanted: frozenset[str]) -> None:
        """Measure a result when its depth is there; called when it has been published."""
        if frame.depth is None:
            return  # nobody wanted objects when the image came
        pending = Pending(
            camera=frame.camera,
            header=result.header,
            instances=result.voted,
            tracked=result.tracked,
            image=result.image if "points" in wanted else None,
            depth=frame.depth,
            deadline=time.perf_counter() + self._settings.space_max_wait,
        )
        self._worker.offer(pending)

    def measure(self, pending: Pending) -> None:
        """Measure one result and publish what somebody subscribes to."""
        camera = pending.camera
        outputs = self._outputs[camera.name]
        wanted = outputs.wanted() & SPACE_TOPICS
        match = pending.depth.match
        if not wanted:
            camera.counters.count("not_wanted")
            return
        if match is None:
            self._drop(pending, "unmatched")
            return
        info = self._calibrations[camera.name].message
        if info is None:
            camera.counters.count("no_camera_info")
            return
        begin = time.perf_counter()
        try:
            result = self._measured(pending, match, info, wanted)
        except UnusableError as error:
            camera.counters.count(error.counter, reason=str(error))
            camera.log.warning((error.counter, error.kind), f"no objects: {error}")
            return
        times = {"depth": (match.arrived - pending.depth.arrived) * 1000, "objects": since(begin)}
        sending = outputs.publish(result, wanted, sending="objects publish")
        if sending is None:
            camera.counters.count("space_stopped")
            return
        self._record(pending, times | sending)

    def _measured(
        self, pending: Pending, match: Match[Any], info: CameraInfo, wanted: frozenset[str]
    ) -> SpaceResult:
        instances, header = pending.instances, pending.header
        depth = self._depth(pending.camera, match.message, header, instances)
        calibration = self._calibrations[pending.camera.name]
        try:
            camera = calibration.camera(info, self._settings.space_rectified)
            camera.expect_image_size(instances.image_size)
        except InputError as error:
            # What came may differ from frame to frame, what was expected does not.
            raise UnusableError("uncalibrated", *_text_and_kind(error)) from None
        measured, moving, frame_id = Objects.none(), None, header.frame_id
        if wanted - {"points"}:
            up = self._settings.space_up if any(self._settings.space_up) else None
            if self._transforms is None:
                measured = objects(instances, depth, camera, up)
            else:
                try:
                    patience = max(0.0, pending.deadline - time.perf_counter())
                    transform = self._transforms.lookup(frame_id, header.stamp, patience)
                except TransformError as error:
                    raise UnusableError("untransformed", str(error)) from None
                measured = transform.apply(objects(instances, depth, camera, transform.up))
                frame_id = self._transforms.target_frame
            if pending.tracked is not None:
                moving = self._trackers[pending.camera.name].update(pending.tracked, measured)
                measured = dataclasses.replace(measured, sizes=moving.sizes)
        return SpaceResult(
            header=Header(stamp=header.stamp, frame_id=frame_id),
            image_header=header,
            instances=instances,
            objects=measured,
            track_ids=None if pending.tracked is None else pending.tracked.track_ids,
            moving=moving,
            depth=depth,
            camera=camera,
            image=pending.image,
            organised=self._settings.space_organized,
        )

    def _depth(
        self, camera: CameraStream, message: Any, header: Header, instances: Instances
    ) -> npt.NDArray[np.float32]:
        """Return the depth of each pixel of the image, in metres."""
        known = self._read.get(camera.name)
        if known is None or known[0] is not message or known[1].shape != instances.image_size:
            depth = depth_of_image(
                message, header.frame_id, instances.image_size, self._settings.max_image_pixels
            )
            known = (message, depth)
            self._read[camera.name] = known  # one object, as two threads measure
        return known[1]

    def _drop(self, pending: Pending, counter: str) -> None:
        reason = ""
        if counter == "unmatched":
            self._matchers[pending.camera.name].give_up(pending.depth)
            reason = self._why_unmatched(pending)
        pending.camera.counters.count(counter, reason=reason)

    def _record(self, pending: Pending, times: Mapping[str, float]) -> None:
        counters, stamp = pending.camera.counters, pending.header.stamp
        for stage, milliseconds in times.items():
            counters.record(stage, milliseconds)
        age = stamp_age(stamp.sec, stamp.nanosec, self._clock.now().nanoseconds)
        if age.seconds is not None and not age.trouble:
            counters.record("objects age", age.seconds * 1000)
        counters.count("measured")

    def _is_settled(self, pending: Pending) -> bool:
        return self._matchers[pending.camera.name].is_settled(pending.depth)

    def _why_unmatched(self, pending: Pending) -> str:
        request = pending.depth
        if request.stamp <= 0:
            return "the stamps of the images are zero"
        if request.nearest is None:
            return "none came"
        side = "later" if request.nearest > 0 else "earlier"
        apart = abs(request.nearest) / 1e6
        return (
            f"the nearest is stamped {apart:.0f} ms {side} "
            f"(space.max_skew is {self._settings.space_max_skew:g} s)"
        )

    def _fail(self, pending: Pending, error: Exception) -> None:
        pending.camera.counters.count("unmeasured", reason=error_line(error))
        pending.camera.log.error(
            ("unmeasured", place_of(error)), f"no objects: {error_line(error)}"
        )


def _text_and_kind(error: InputError) -> tuple[str, str]:
    return str(error), str(error).partition(", got ")[0]


def _max_bytes(settings: Settings) -> int:
    return 8 * settings.max_image_pixels  # two of the largest in metres


def _max_skew(settings: Settings) -> int:
    return round(settings.space_max_skew * 1e9)
