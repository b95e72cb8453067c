# SPDX-License-Identifier: Apache-2.0
"""Films scenes for trackers: what is true, what the network finds, and what is measured of both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from yolact_ros.scenes import DEPTH_MODELS, Scene, SceneFrame, SceneObject
from yolact_ros.space import Camera, objects
from yolact_ros.structures import Instances, Objects, PackedMask
from yolact_ros.tracking.picture import thumbnail

from ..segment_dataset import InstanceSegmenter

RATE = 15
"""Frames per second."""

MIN_DETECTED = 0.3
"""Share of a thing that must be seen for its true mask to be a detection."""

TRUE, NETWORK = "true", "network"
"""Names of the detections: the true visible masks, and what the network finds."""


@dataclass(frozen=True, eq=False)
class Thing:
    """What is true of a thing in a frame.

    Attributes:
        identity: The same in all frames of a scene, until it leaves the view.
        class_id: Index into the network's class names.
        box: (4,) float32 x1, y1, x2, y2 pixels around what is seen of it.
        visible: Share of it that is seen, 0.1 to 1.
        velocity: (3,) float64 m/s in the camera frame.
        resting: Whether it is at rest on the table. In the camera frame it may still move.
        hidden: Seconds for which it was hidden until this frame; 0 if it was seen in the last one.
    """

    identity: int
    class_id: int
    box: npt.NDArray[np.float32]
    visible: float
    velocity: npt.NDArray[np.float64]
    resting: bool
    hidden: float


@dataclass(frozen=True, eq=False)
class Detected:
    """What a tracker gets of a frame: instances, and the objects in space measured from them."""

    instances: Instances
    objects: Objects


@dataclass(frozen=True, eq=False)
class Shot:
    """One frame: its truth, and what a tracker gets.

    Attributes:
        stamp: When it was taken, in seconds.
        things: What is true.
        detected: What is detected, by the name of the detections.
        thumbnail: Of the image.
    """

    stamp: float
    things: tuple[Thing, ...]
    detected: dict[str, Detected]
    thumbnail: npt.NDArray[np.float32]


def film(
    scene: Scene, segmenter: InstanceSegmenter, *, frames: int, start: float = 0.0
) -> Iterator[Shot]:
    """Film a scene from its time 0 on.

    Args:
        scene: The scene, whose `depth_model` is not used: depth is that of the model "real".
        segmenter: The network.
        frames: Number of frames.
        start: Stamp of the first frame in seconds.
    """
    scene = replace(scene, depth_model=DEPTH_MODELS["real"])
    visits = _Visits(scene)
    k = scene.intrinsics
    camera = Camera(k.width, k.height, k.fx, k.fy, k.cx, k.cy)
    for number in range(frames):
        time = number / RATE
        frame = scene.frame(time)
        [found] = segmenter([frame.image], channel_order="rgb")
        detected = {
            name: Detected(instances, objects(instances, frame.depth, camera))
            for name, instances in ((TRUE, true_instances(frame)), (NETWORK, found))
        }
        yield Shot(
            stamp=start + number / RATE,
            things=tuple(visits.thing(item, time) for item in frame.objects),
            detected=detected,
            thumbnail=thumbnail(frame.image),
        )
        visits.leave(frame, time)


def true_instances(frame: SceneFrame) -> Instances:
    """The visible masks of all objects of which enough is seen, as a perfect network finds them."""
    seen = [
        (number, item)
        for number, item in enumerate(frame.objects, start=1)
        if item.visible_fraction >= MIN_DETECTED
    ]
    return Instances(
        image_size=(frame.intrinsics.height, frame.intrinsics.width),
        boxes=np.array([item.box for _, item in seen], np.float32).reshape(-1, 4),
        scores=np.ones(len(seen), np.float32),
        class_ids=np.array([item.class_id for _, item in seen], np.int64),
        class_names=tuple(item.class_name for _, item in seen),
        packed_masks=tuple(
            PackedMask.from_array(frame.instance_map == number) for number, _ in seen
        ),
    )


class _Visits:
    """Counts how often each body has come into view: what comes back is a new thing."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._visits = dict.fromkeys(range(1, len(scene.bodies) + 1), 0)
        self._last_seen: dict[int, float] = {}

    def thing(self, item: SceneObject, time: float) -> Thing:
        """Describe an object of the frame at a time."""
        gap = time - self._last_seen.get(item.identity, time)
        self._last_seen[item.identity] = time
        return Thing(
            identity=item.identity + len(self._visits) * self._visits[item.identity],
            class_id=item.class_id,
            box=item.box,
            visible=item.visible_fraction,
            velocity=item.in_camera.velocity,
            resting=bool(np.linalg.norm(item.in_world.velocity) < 1e-3),
            hidden=gap if gap > 1.5 / RATE else 0.0,
        )

    def leave(self, frame: SceneFrame, time: float) -> None:
        """Take note of what is out of view in a frame."""
        for identity in self._last_seen.keys() - {item.identity for item in frame.objects}:
            x, y, z = self._scene.states(identity, time)[0].position
            k = frame.intrinsics
            column, row = k.fx * x / z + k.cx, k.fy * y / z + k.cy
            if not (0 <= column < k.width and 0 <= row < k.height):
                del self._last_seen[identity]
                self._visits[identity] += 1
