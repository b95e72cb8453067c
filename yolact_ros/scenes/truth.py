# SPDX-License-Identifier: Apache-2.0
"""What is true of a frame: the objects in it, where they are, and how they move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from yolact_ros.scenes.camera import CameraIntrinsics, CameraPose
from yolact_ros.scenes.layout import Body
from yolact_ros.scenes.rendering import Projection
from yolact_ros.scenes.visible import VisibleSurface, visible_surface

MIN_AREA_SHARE = 64 / (640 * 480)
MIN_VISIBLE_FRACTION = 0.1
_STEP = 1e-3  # seconds; velocities are differences over two of them


@dataclass(frozen=True, eq=False)
class KinematicState:
    """Pose and velocity of an object in a frame of reference, float64.

    Attributes:
        position: (3,) centre of its whole bounding box in metres, hidden parts included.
        rotation: (3, 3) from the object's own axes to those of the frame, right-handed.
        velocity: (3,) rate of change of `position` in m/s. In a camera's frame, that of a thing
            at rest is not 0 while the camera moves.
    """

    position: np.ndarray
    rotation: np.ndarray
    velocity: np.ndarray


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One labelled object of a frame.

    Attributes:
        identity: Number of its body in `Scene.bodies`, counted from 1: the same in all frames of a
            scene, whatever else appears or disappears. Other scenes use the same numbers.
        class_id: Index into the scene's `class_names`.
        class_name: Name of the class.
        box: (4,) float32 x1, y1, x2, y2 pixels, tight around the visible mask; x2, y2 exclusive.
        area: Number of visible pixels.
        visible_fraction: Visible share of the silhouette, 0 to 1; the silhouette includes hidden
            parts and parts outside the image.
        center: (3,) float32 centre of its bounding box in the camera frame, in metres.
        size: (3,) float32 size of that box along the object's own axes, in metres.
        in_camera: Pose and velocity in the camera frame.
        in_world: Pose and velocity in the world.
    """

    identity: int
    class_id: int
    class_name: str
    box: np.ndarray
    area: int
    visible_fraction: float
    center: np.ndarray
    size: np.ndarray
    in_camera: KinematicState
    in_world: KinematicState


@dataclass(frozen=True, eq=False)
class SceneFrame:
    """One frame with its ground truth.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        depth: (H, W) float32 metres along the optical axis as measured; 0 where nothing returns.
        true_depth: (H, W) float32 metres along the optical axis, without any flaw; positive.
        instance_map: (H, W) uint16; 0: background, k: `objects[k - 1]`. These numbers shift when
            an object disappears; `SceneObject.identity` does not.
        objects: Labelled objects. Objects with fewer than 64 visible pixels (at 640x480, in
            proportion to the area) or less than a tenth visible are drawn but not listed.
        intrinsics: Camera intrinsics, the same for both images.
        camera: Camera pose in the world.
    """

    image: np.ndarray
    depth: np.ndarray
    true_depth: np.ndarray
    instance_map: np.ndarray
    objects: tuple[SceneObject, ...]
    intrinsics: CameraIntrinsics
    camera: CameraPose

    @cached_property
    def visible_surfaces(self) -> tuple[VisibleSurface, ...]:
        """The visible surface of each of `objects`, by the true mask and the true depth."""
        points = self.intrinsics.back_project(self.true_depth)
        up = self.camera.rotation[:, 2]
        numbers = range(1, len(self.objects) + 1)
        return tuple(visible_surface(points[self.instance_map == k], up) for k in numbers)


def times_around(time: float) -> tuple[float, float, float]:
    """Return the times that `kinematic_states` needs: a moment before, `time`, a moment after."""
    return time - _STEP, time, time + _STEP


def kinematic_states(
    body: Body, times: Sequence[float], cameras: Sequence[CameraPose]
) -> tuple[KinematicState, KinematicState]:
    """Describe a body in the camera frame and in the world.

    Args:
        body: The body.
        times: Those of `times_around`, in seconds.
        cameras: Poses of the camera at these times.
    """
    posed = [body.at(time) for time in times]
    middle = 0.5 * (body.solid.low + body.solid.high)
    world = [one.to_world(middle) for one in posed]
    seen = [camera.to_camera(point) for camera, point in zip(cameras, world, strict=True)]
    rotation = posed[1].rotation
    duration = times[2] - times[0]
    return (
        KinematicState(seen[1], cameras[1].rotation @ rotation, (seen[2] - seen[0]) / duration),
        KinematicState(world[1], rotation, (world[2] - world[0]) / duration),
    )


def find_objects(
    owner: np.ndarray,
    bodies: Sequence[Body],
    projections: Sequence[Projection],
    class_names: tuple[str, ...],
    *,
    times: Sequence[float],
    cameras: Sequence[CameraPose],
) -> tuple[np.ndarray, tuple[SceneObject, ...]]:
    """Number and describe the objects that are visible enough.

    Args:
        owner: (H, W) uint8 number of the body that each pixel shows, counted from 1; 0: none.
        bodies: All bodies of the scene.
        projections: Theirs, in the same order.
        class_names: Kinds that are labelled.
        times, cameras: As for `kinematic_states`.

    Returns:
        (H, W) uint16 numbers of the objects, 0 where none is, and the objects.
    """
    least = MIN_AREA_SHARE * owner.size
    numbers = np.zeros(256, np.uint16)
    objects: list[SceneObject] = []
    for index, (body, projection) in enumerate(zip(bodies, projections, strict=True), 1):
        kind = body.solid.kind
        if kind not in class_names or not projection.silhouette:
            continue
        rows, columns = projection.window
        visible = (owner[rows, columns] == index).view(np.uint8)
        area = int(np.count_nonzero(visible))
        fraction = area / projection.silhouette
        if area < max(least, 1) or fraction < MIN_VISIBLE_FRACTION:
            continue
        x, y, w, h = cv2.boundingRect(visible)
        x, y = x + columns.start, y + rows.start
        in_camera, in_world = kinematic_states(body, times, cameras)
        objects.append(
            SceneObject(
                identity=index,
                class_id=class_names.index(kind),
                class_name=kind,
                box=np.array([x, y, x + w, y + h], np.float32),
                area=area,
                visible_fraction=fraction,
                center=in_camera.position.astype(np.float32),
                size=(body.solid.high - body.solid.low).astype(np.float32),
                in_camera=in_camera,
                in_world=in_world,
            )
        )
        numbers[index] = len(objects)
    return cv2.LUT(owner, numbers), tuple(objects)
