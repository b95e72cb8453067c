# SPDX-License-Identifier: Apache-2.0
"""The topics that the node publishes for each image, and the class list."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from rclpy.clock import Clock
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, Detection3DArray, LabelInfo
from visualization_msgs.msg import MarkerArray

from yolact_ros.msg import InstanceArray, ObjectArray
from yolact_ros.recordings.images.raw import ImageArray
from yolact_ros.ros.conversion import instances as messages
from yolact_ros.ros.conversion import objects as space_messages
from yolact_ros.ros.conversion.points import point_cloud
from yolact_ros.ros.parameters.qos import volatile_qos
from yolact_ros.ros.publishers import Publishers
from yolact_ros.space import Camera, organised_points, sparse_points
from yolact_ros.structures import Instances, Objects
from yolact_ros.tracking import Moving, Tracked
from yolact_ros.visualization import OverlayStyle


@dataclass(frozen=True)
class Result:
    """What was found in one image.

    Attributes:
        header: The image's header.
        instances: The instances, without empty masks.
        image: The image itself.
        style: How the overlay is drawn.
        jpeg_quality: Of the compressed overlay, 1 to 100.
        tracked: Which things they are; None: nobody wants to know.
    """

    header: Header
    instances: Instances
    image: ImageArray
    style: OverlayStyle
    jpeg_quality: int
    tracked: Tracked | None = None

    @property
    def track_ids(self) -> npt.NDArray[np.int64] | None:
        """(N,) the track of each instance, 0 for none; None: nobody wants to know."""
        return None if self.tracked is None else self.tracked.track_ids

    @cached_property
    def voted(self) -> Instances:
        """The instances, with the classes that were voted for."""
        return self.instances if self.tracked is None else self.tracked.voted(self.instances)

    @cached_property
    def overlay(self) -> Image:
        """The message of `~/overlay`, drawn when it is needed first."""
        return messages.overlay(self.image, self.voted, self.style, self.header, self.track_ids)


@dataclass(frozen=True, eq=False)
class SpaceResult:
    """What was found in one image and the depth image of the same moment.

    Attributes:
        header: Stamp of the image, frame of the objects.
        image_header: The image's header.
        instances: The instances, without empty masks, with the classes that were voted for.
        objects: The objects, as far as somebody wants them.
        track_ids: (N,) the track of each instance, 0 for none; None: nobody wants to know.
        moving: How the objects move; None: it is not known.
        depth: (H, W) float32 metres.
        camera: The camera.
        image: The image, if somebody wants points.
        organised: Whether points are those of all pixels.
    """

    header: Header
    image_header: Header
    instances: Instances
    objects: Objects
    track_ids: npt.NDArray[np.int64] | None
    moving: Moving | None
    depth: npt.NDArray[np.float32]
    camera: Camera
    image: ImageArray | None
    organised: bool


@dataclass(frozen=True)
class _Output:
    topic: str
    type: type
    depth: int
    make: Callable[[Any], Any]
    stage: str = "message"
    reliable: bool = True
    drawn: bool = False
    tracked: bool = True


def _points(result: SpaceResult) -> PointCloud2:
    make = organised_points if result.organised else sparse_points
    pixels, order = result.image or (None, "rgb")
    points = make(result.instances, result.depth, result.camera, pixels, order)
    return point_cloud(points, result.organised, result.image_header)


_OUTPUTS = (
    _Output(
        "instances",
        InstanceArray,
        5,
        lambda result: messages.instance_array(result.instances, result.header, result.track_ids),
    ),
    _Output(
        "detections",
        Detection2DArray,
        5,
        lambda result: messages.detection_array(result.instances, result.header, result.track_ids),
    ),
    _Output(
        "instance_map",
        Image,
        5,
        lambda result: messages.instance_map(result.instances, result.header),
        tracked=False,
    ),
    _Output(
        "class_map",
        Image,
        5,
        lambda result: messages.class_map(result.instances, result.header),
        tracked=False,
    ),
    _Output(
        "confidence_map",
        Image,
        5,
        lambda result: messages.confidence_map(result.instances, result.header),
        tracked=False,
    ),
    # Behind all others: nobody who acts on them waits for pictures.
    _Output("overlay", Image, 1, lambda result: result.overlay, stage="overlay", drawn=True),
    _Output(
        "overlay/compressed",
        CompressedImage,
        1,
        lambda result: messages.compressed_overlay(result.overlay, result.jpeg_quality),
        stage="overlay encode",
        drawn=True,
    ),
)

_SPACE_OUTPUTS = (
    _Output(
        "objects",
        ObjectArray,
        5,
        lambda result: space_messages.object_array(
            result.instances, result.objects, result.header, result.track_ids, result.moving
        ),
        stage="objects message",
    ),
    _Output(
        "detections_3d",
        Detection3DArray,
        5,
        lambda result: space_messages.detection_3d_array(
            result.instances, result.objects, result.header, result.track_ids
        ),
        stage="objects message",
    ),
    _Output(
        "markers",
        MarkerArray,
        5,
        lambda result: space_messages.marker_array(
            result.instances, result.objects, result.header, result.track_ids
        ),
        stage="objects message",
    ),
    _Output("points", PointCloud2, 1, _points, stage="points", reliable=False, tracked=False),
)

SPACE_TOPICS = frozenset(output.topic for output in _SPACE_OUTPUTS)
"""The outputs that need depth: the first three objects, the last one points."""

TRACKED_TOPICS = frozenset(
    output.topic for output in (*_OUTPUTS, *_SPACE_OUTPUTS) if output.tracked
)
"""The outputs that show which thing is which."""


class Outputs:
    """The publishers of one camera's results.

    Args:
        sending: Makes the publishers; the topics are private to its node.
        prefix: Prefix of the topics' names, such as "front/".

    Raises:
        ParameterError: An override of their QoS cannot be used.
    """

    def __init__(self, sending: Publishers, prefix: str = "") -> None:
        self._sending = sending
        self._open = False
        self._lock = threading.Lock()
        self._publishers: dict[str, Publisher] = {}
        try:
            for output in (*_OUTPUTS, *_SPACE_OUTPUTS):
                qos = volatile_qos(depth=output.depth, reliable=output.reliable)
                self._publishers[output.topic] = sending.create(
                    output.type, f"~/{prefix}{output.topic}", qos
                )
        except BaseException:
            self.close()
            raise

    def open(self) -> None:
        """Publish results from now on."""
        with self._lock:
            self._open = True

    def shut(self) -> None:
        """Stop publishing, even if a thread is still finishing a frame."""
        with self._lock:
            self._open = False

    def wanted(self) -> frozenset[str]:
        """Return the names of the outputs that have subscribers."""
        return frozenset(
            topic
            for topic, publisher in tuple(self._publishers.items())
            if publisher.get_subscription_count() > 0
        )

    def publish(
        self, result: Result | SpaceResult, wanted: frozenset[str], sending: str = "publish"
    ) -> dict[str, float] | None:
        """Build and publish the wanted outputs of one image that are made of such a result.

        Args:
            result: What was found in the image, or in space.
            wanted: Names of outputs; those that are made of the other kind of result are left out.
            sending: Name of the stage in which messages are serialised and handed to DDS.

        Returns:
            Milliseconds per stage: `sending`; "message" (building all messages except overlays),
            "overlay" (drawing it, once for both overlays) and "overlay encode" (making a JPEG of
            it), or "objects message" and "points" (computing them and building their message). A
            stage without work is left out. None: shut before all were published.
        """
        times: defaultdict[str, float] = defaultdict(float)
        for output in _OUTPUTS if isinstance(result, Result) else _SPACE_OUTPUTS:
            if output.topic in wanted:
                begin = time.perf_counter()
                if output.drawn and isinstance(result, Result):
                    _ = result.overlay
                    begin = _lap(times, "overlay", begin)
                message = output.make(result)
                begin = _lap(times, output.stage, begin)
                with self._lock:
                    if not self._open:
                        return None
                    self._publishers[output.topic].publish(message)
                _lap(times, sending, begin)
        return dict(times)

    def close(self) -> None:
        """Remove the publishers."""
        self.shut()
        for publisher in self._publishers.values():
            self._sending.destroy(publisher)
        self._publishers = {}


def _lap(times: defaultdict[str, float], stage: str, begin: float) -> float:
    """Add the time since `begin` to a stage, and return what the clock shows."""
    now = time.perf_counter()
    times[stage] += (now - begin) * 1000
    return now


class ClassList:
    """The publisher of the latched class list, which all cameras share.

    Args:
        sending: Makes the publisher; the topic is private to its node.
        clock: The node's.

    Raises:
        ParameterError: An override of its QoS cannot be used.
    """

    def __init__(self, sending: Publishers, clock: Clock) -> None:
        self._sending = sending
        self._clock = clock
        self._publisher = sending.create(
            LabelInfo,
            "~/label_info",
            QoSProfile(
                depth=1,
                reliability=ReliabilityPolicy.RELIABLE,
                durability=DurabilityPolicy.TRANSIENT_LOCAL,
            ),
        )

    def announce(self, class_names: tuple[str, ...], score_threshold: float) -> None:
        """Publish the class list for present and future subscribers."""
        header = Header(stamp=self._clock.now().to_msg())
        self._publisher.publish(messages.label_info(class_names, score_threshold, header))

    def close(self) -> None:
        """Remove the publisher."""
        self._sending.destroy(self._publisher)
