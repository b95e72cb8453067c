# SPDX-License-Identifier: Apache-2.0
"""The service `~/segment`: one image on demand, with classes and a threshold of its own.

Each call runs in a thread of its own (executor.py); the network runs in the worker's thread.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from yolact_ros.errors import InputError
from yolact_ros.msg import ObjectArray
from yolact_ros.ros.camera_stream import CameraStream
from yolact_ros.ros.conversion.instances import instance_array
from yolact_ros.ros.counters import Counters
from yolact_ros.ros.frame import Frame, error_line, read_frame
from yolact_ros.ros.logs import ThrottledLog, place_of
from yolact_ros.ros.matched_subscription import name_with_suffix
from yolact_ros.ros.space.sources import DepthSources, Source
from yolact_ros.srv import Segment
from yolact_ros.structures import Instances

if TYPE_CHECKING:
    from yolact_ros.ros.runtime import Runtime

_IMAGE_PATIENCE = 3.0
"""Seconds that a call waits for an image of a camera."""
_DEPTH_PATIENCE = 1.0
"""Seconds that a call waits for an image with depth, where depth is published."""
_LONGEST = 120.0
"""Seconds that a call waits for the network."""
_MOST_AT_ONCE = 32
"""Calls, each of which may hold an image."""


@dataclasses.dataclass(frozen=True)
class Serving:
    """What answers a call.

    Attributes:
        runtime: Of the configured node.
        cameras: Its cameras.
        depth_sources: Its subscriptions to depth; None: it is inactive.
    """

    runtime: Runtime
    cameras: Sequence[CameraStream]
    depth_sources: DepthSources | None

    def camera(self, name: str) -> CameraStream:
        """Return the camera that a request names.

        Raises:
            InputError: There is none of that name.
        """
        found = [camera for camera in self.cameras if camera.name == name]
        if not found and not name and len(self.cameras) == 1:
            found = list(self.cameras)
        if not found:
            names = ", ".join(camera.name for camera in self.cameras)
            expected = f"one of {names}" if names else "nothing, since the one camera has no name"
            raise InputError(f"camera: expected {expected}, got '{name}'")
        return found[0]


class SegmentService:
    """Answers `~/segment`; every failure is an answer in words.

    Attributes:
        service: The service; its calls take long.

    Args:
        node: The node.
        serving: Returns what answers; None: the node is not configured.
        why_not: Says why there is nothing that answers.
    """

    def __init__(
        self, node: Node, serving: Callable[[], Serving | None], why_not: Callable[[], str]
    ) -> None:
        self._node = node
        self._serving = serving
        self._why_not = why_not
        self._log = ThrottledLog(node.get_logger(), prefix="~/segment: ")
        self._room = threading.BoundedSemaphore(_MOST_AT_ONCE)
        self._looking = threading.Lock()  # subscriptions of an inactive node
        self.service = node.create_service(
            Segment, "~/segment", self.answer, callback_group=ReentrantCallbackGroup()
        )

    def answer(self, request: Segment.Request, response: Segment.Response) -> Segment.Response:
        """Answer a call."""
        del response
        if not self._room.acquire(blocking=False):
            text = f"expected at most {_MOST_AT_ONCE} calls at once, got more; ask again"
            return Segment.Response(success=False, message=text)
        try:
            return self._answer(request)
        except InputError as error:
            return Segment.Response(success=False, message=str(error))
        except Exception as error:
            text = error_line(error)
            self._log.error(place_of(error), text)
            return Segment.Response(success=False, message=f"not segmented: {text}")
        finally:
            self._room.release()

    def _answer(self, request: Segment.Request) -> Segment.Response:
        serving = self._serving()
        if serving is None:
            raise InputError(self._why_not())
        runtime = serving.runtime
        options = runtime.options_for(request.classes, request.score_threshold)
        image = request.image
        if image.height or image.width or len(image.data):
            frame, info = self._sent(serving, request)
            settings = dataclasses.replace(runtime.settings, max_image_age=0.0)
        else:
            frame, info = self._newest(serving, serving.camera(request.camera))
            settings = runtime.settings
        region = runtime.region(frame.camera)
        view = read_frame(frame, time.perf_counter(), settings, self._node.get_clock(), region)
        if view is None:
            raise InputError(frame.reason)
        instances = _result_of(runtime.segment_alone(frame, view, options))
        header = frame.message.header
        objects, no_objects = ObjectArray(header=header), ""
        try:
            if isinstance(info, str):
                raise InputError(info)
            objects = runtime.measuring.measure_alone(frame, instances, info)
        except InputError as error:
            no_objects = str(error)
        return Segment.Response(
            success=True,
            message=_said(instances, objects, no_objects),
            instances=instance_array(instances, header),
            objects=objects,
        )

    def _frame(self, camera: CameraStream, message: Any) -> Frame:
        """Make a frame that counts nowhere: it is none of those that a camera sent to be shown."""
        uncounted = dataclasses.replace(camera, counters=Counters(), log=self._log)
        return Frame(uncounted, message, time.perf_counter())

    def _sent(self, serving: Serving, request: Segment.Request) -> tuple[Frame, CameraInfo | str]:
        """Return the image of a request, and its calibration or why it has no objects."""
        named = bool(request.camera) or len(serving.cameras) == 1
        name = serving.camera(request.camera).name if named else ""
        # Not the camera's own stream: what it learns of its samples is for what it sends.
        frame = self._frame(CameraStream(name, Counters(), self._log), request.image)
        if not named:
            return frame, "no camera was named whose depth it could have"
        info = serving.runtime.measuring.find_depth(frame, patience=0.0)
        return frame, info or "no depth image of its moment, or no camera_info, is there"

    def _newest(self, serving: Serving, camera: CameraStream) -> tuple[Frame, CameraInfo | str]:
        """Return the newest frame of a camera, and its calibration or why it has no objects."""
        if serving.depth_sources is not None:
            return self._look(serving, camera, serving.depth_sources, after=-1.0)
        with self._looking, self._sources(serving, camera) as sources:
            return self._look(serving, camera, sources, after=time.perf_counter())

    @contextmanager
    def _sources(self, serving: Serving, camera: CameraStream) -> Iterator[DepthSources]:
        """Subscribe to what a camera of an inactive node publishes."""
        settings = serving.runtime.settings
        compressed = settings.image_transport == "compressed"
        name = f"{camera.prefix}image"
        depth = DepthSources(
            self._node,
            cameras=[camera],
            transport=settings.depth_transport,
            receiver=serving.runtime.measuring,
        )
        image = Source(
            self._node,
            camera,
            message_type=CompressedImage if compressed else Image,
            name=name_with_suffix(self._node, name, "/compressed") if compressed else name,
            what="frames",
            on_message=lambda message: serving.runtime.newest.put(camera.name, message),
        )
        with closing(depth), closing(image):
            yield depth

    def _look(
        self, serving: Serving, camera: CameraStream, sources: DepthSources, after: float
    ) -> tuple[Frame, CameraInfo | str]:
        runtime, measuring = serving.runtime, serving.runtime.measuring
        measuring.ask(camera)
        sources.match()
        newest = runtime.newest.wait(camera.name, after=after, timeout=_IMAGE_PATIENCE)
        if newest is None:
            topic = self._node.resolve_topic_name(f"{camera.prefix}image")
            raise InputError(
                f"image: expected one on {topic} within {_IMAGE_PATIENCE:g} s, got none; "
                "/diagnostics says what is published there"
            )
        frame = self._frame(camera, newest.message)
        if not sources.publishers(camera):
            return frame, "no depth images are published"
        deadline = time.perf_counter() + _DEPTH_PATIENCE
        patience = runtime.settings.space_max_wait
        while (info := measuring.find_depth(frame, patience)) is None:
            left = deadline - time.perf_counter()
            newer = runtime.newest.wait(camera.name, after=newest.arrived, timeout=max(0.0, left))
            if left <= 0 or newer is None:
                return frame, "no depth image of its moment, or no camera_info, came in time"
            newest, frame = newer, self._frame(camera, newer.message)
        return frame, info


def _result_of(segmented: Future[Instances]) -> Instances:
    if not wait([segmented], _LONGEST).done:
        segmented.cancel()
        raise InputError(
            f"expected a result of the network within {_LONGEST:g} s, got none; /diagnostics says "
            "what it does"
        )
    return segmented.result()


def _said(instances: Instances, objects: ObjectArray, no_objects: str) -> str:
    """What was found, in words."""
    height, width = instances.image_size
    found = f"{len(instances)} instance{'s' * (len(instances) != 1)} in {width} x {height} pixels"
    if no_objects:
        return f"{found}; no objects: {no_objects}"
    count = len(objects.objects)
    return f"{found}, {count} object{'s' * (count != 1)} in space"
