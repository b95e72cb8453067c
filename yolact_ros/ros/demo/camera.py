# SPDX-License-Identifier: Apache-2.0
"""The node `demo_camera`: an RGB-D camera that films synthetic scenes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from yolact_ros.choices import RELIABILITIES, SCENE_KINDS
from yolact_ros.msg import InstanceArray, ObjectArray
from yolact_ros.ros.conversion.images import array_to_image
from yolact_ros.ros.demo.truth import camera_info, true_objects, truth_message
from yolact_ros.ros.logs import ThrottledLog
from yolact_ros.ros.loop import to_and_fro
from yolact_ros.ros.parameters import reading
from yolact_ros.ros.parameters.answers import TableParameters
from yolact_ros.ros.parameters.command_line import help_text
from yolact_ros.ros.parameters.qos import volatile_qos
from yolact_ros.ros.parameters.spec import parameter, table_of
from yolact_ros.ros.run import run_node
from yolact_ros.scenes.scene import SCENE_MAKERS, Scene, SceneFrame
from yolact_ros.scenes.seeds import SEEDS

FIRST_SEED = SEEDS["demo"].start
"""Scene seed for `seed` 0."""

FRAMES_PER_BOXES = 5
"""Frames of which one has `truth_objects`: they cost almost as much as rendering."""

SLOW_FRAMES = 5
"""Consecutive frames that may take longer than their period before a warning is logged."""

Maker = Callable[[SceneFrame, Header], Any]
"""Makes the message of one topic."""


@dataclass(frozen=True)
class DemoCameraSettings:
    """The parameters and their checked values."""

    width: int = parameter(640, "Image width in pixels.", minimum=32, maximum=4096)
    height: int = parameter(480, "Image height in pixels.", minimum=32, maximum=4096)
    rate: float = parameter(15.0, "Frame rate, in Hz.", minimum=0.1, maximum=240.0)
    seed: int = parameter(0, "Seed of the first scene.", minimum=0, maximum=1_000_000_000)
    scenes: str = parameter(
        "random",
        "What is filmed: things spread on a table (random), or things that pass before and behind "
        "one another (lanes).",
        choices=SCENE_KINDS,
    )
    scene_seconds: float = parameter(
        5.0,
        "Seconds until the scene of the next seed follows (0: never).",
        minimum=0.0,
        maximum=3600.0,
    )
    loop_frames: int = parameter(
        0,
        "Number of frames of the first scene that are rendered at the start and played to and "
        "fro, which costs almost nothing at any size (0: render every frame when it is due).",
        minimum=0,
        maximum=10_000,
    )
    frame_id: str = parameter("camera_optical_frame", "The `frame_id` of all messages.")
    reliability: str = parameter(
        "reliable", "Reliability of the publishers (QoS).", choices=RELIABILITIES
    )
    publish_truth: bool = parameter(
        False,
        "Publish `truth`: the true instances as yolact_ros/InstanceArray, with the visible "
        "fraction of each object as its score; and, of every fifth frame, `truth_objects`: the "
        "boxes of their visible surfaces as yolact_ros/ObjectArray.",
    )


PARAMETERS = table_of(DemoCameraSettings, only_at_start=True)


class DemoCamera(TableParameters, Node):
    """Publishes `image` (rgb8), `depth` (32FC1, m), `camera_info` and, on request, the truth.

    All messages of one frame have the same stamp. `truth` has the form of the results, with the
    visible fraction of each object as its score. Nothing is rendered without subscribers.

    Raises:
        ParameterError: A parameter cannot be used.
    """

    parameter_table = PARAMETERS

    def __init__(self) -> None:
        super().__init__("demo_camera")
        reading.declare(self, PARAMETERS)
        reading.warn_of_unknown(self, PARAMETERS)
        settings = DemoCameraSettings(**reading.read(self, PARAMETERS))
        self._settings = settings
        self._log = ThrottledLog(self.get_logger())
        self._period = 1 / settings.rate
        self._scene_number = 0
        self._scene = self._make_scene(0)
        self._loop: Iterator[SceneFrame] | None = None
        self._frame_number = 0
        self._published = 0
        self._slow_frames = 0
        self._closing = threading.Event()
        self.slow_services = ()
        qos = volatile_qos(depth=5, reliable=settings.reliability == "reliable")
        # topic, type, what makes the message, and of how many frames one has it
        makers: list[tuple[str, type, Maker, int]] = [
            ("image", Image, lambda frame, header: array_to_image(frame.image, "rgb8", header), 1),
            ("depth", Image, lambda frame, header: array_to_image(frame.depth, "32FC1", header), 1),
            (
                "camera_info",
                CameraInfo,
                lambda frame, header: camera_info(frame.intrinsics, header),
                1,
            ),
        ]
        if settings.publish_truth:
            makers.append(("truth", InstanceArray, truth_message, 1))
            makers.append(("truth_objects", ObjectArray, true_objects, FRAMES_PER_BOXES))
        self._outputs: list[tuple[Publisher, Maker, int]] = [
            (self.create_publisher(message_type, topic, qos), make, every)
            for topic, message_type, make, every in makers
        ]

    def begin(self, end: Callable[[int], None]) -> None:
        """Render the loop, if there is one, and begin to publish."""
        del end
        threading.Thread(target=self._begin, daemon=True).start()

    def _begin(self) -> None:
        settings, log = self._settings, self.get_logger()
        if settings.loop_frames:
            log.info(f"rendering a loop of {settings.loop_frames} frames")
            moments = (i * self._period for i in range(settings.loop_frames))
            frames = [self._scene.frame(at) for at in moments if not self._closing.is_set()]
            self._loop = to_and_fro(frames) if frames else None
        if self._closing.is_set():
            return
        self.create_timer(self._period, self._publish)
        log.info(f"filming {settings.width} x {settings.height} at {settings.rate:g} Hz")

    def close(self) -> None:
        """End the rendering."""
        self._closing.set()

    def _make_scene(self, number: int) -> Scene:
        seed = FIRST_SEED + self._settings.seed + number
        make = SCENE_MAKERS[self._settings.scenes]
        return make(seed, width=self._settings.width, height=self._settings.height)

    def _next_frame(self) -> SceneFrame:
        if self._loop is not None:
            return next(self._loop)
        seconds = self._frame_number * self._period
        self._frame_number += 1
        if self._settings.scene_seconds:
            scene_number, seconds = divmod(seconds, self._settings.scene_seconds)
            if int(scene_number) != self._scene_number:
                self._scene_number = int(scene_number)
                self._scene = self._make_scene(self._scene_number)
        return self._scene.frame(seconds)

    def _publish(self) -> None:
        wanted = [
            (publisher, make, every)
            for publisher, make, every in self._outputs
            if publisher.get_subscription_count() > 0
        ]
        if not wanted:
            return
        begin = time.monotonic()
        frame = self._next_frame()
        # The stamp is that of the finished picture: a real camera has no rendering time.
        header = Header(stamp=self.get_clock().now().to_msg(), frame_id=self._settings.frame_id)
        self._published += 1
        for publisher, make, every in wanted:
            if self._published % every == 0:
                publisher.publish(make(frame, header))
        elapsed = time.monotonic() - begin
        self._slow_frames = self._slow_frames + 1 if elapsed > self._period else 0
        if self._slow_frames >= SLOW_FRAMES:
            self._log.warning(
                "slow",
                f"rendering and publishing a frame takes {elapsed * 1000:.0f} ms, longer than the "
                f"{self._period * 1000:.0f} ms of the parameter rate: the rate is not kept",
            )


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the camera until it is told to end, then end the process."""
    description = "An RGB-D camera that films synthetic scenes: image, depth and camera_info."
    run_node(DemoCamera, args, help_text=help_text("demo_camera", description, PARAMETERS))
