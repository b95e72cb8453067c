# SPDX-License-Identifier: Apache-2.0
"""Synthetic RGB-D scenes of objects moving on a table, with exact ground truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from yolact_ros.choices import EXTRA_KINDS
from yolact_ros.errors import InputError
from yolact_ros.presets import DEMO_CLASSES
from yolact_ros.scenes.camera import CameraIntrinsics, CameraPose, View
from yolact_ros.scenes.depth_model import DepthModel
from yolact_ros.scenes.ground import Ground, draw_ground
from yolact_ros.scenes.lanes import stage_lanes
from yolact_ros.scenes.layout import Body
from yolact_ros.scenes.rendering import draw_body
from yolact_ros.scenes.sensor import Sensor, SensorPixels
from yolact_ros.scenes.shading import Light
from yolact_ros.scenes.staging import spread_bodies, stage_one
from yolact_ros.scenes.truth import (
    KinematicState,
    SceneFrame,
    SceneObject,
    find_objects,
    kinematic_states,
    times_around,
)

__all__ = ["CameraIntrinsics", "Scene", "SceneFrame", "SceneObject"]

SCENE_CLASSES = (*DEMO_CLASSES, *EXTRA_KINDS)
"""Kinds of objects that can be labelled."""

MIN_SIDE = 16

_USUAL_DISTANCE = (0.62, 0.92)
_LANES_DISTANCE = (0.76, 0.92)  # nearer by, there is no room beside the boxes
_NEAREST = 0.2  # metres before the camera: a body that reaches behind it cannot be drawn

Stage = Callable[
    [np.random.Generator, View, CameraIntrinsics, Ground], tuple[View, tuple[Body, ...]]
]
"""Makes the bodies of a scene, and may aim the camera at them."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A synthetic scene; make one with `Scene.random` or `Scene.single`.

    Example:
        >>> from yolact_ros.scenes import Scene
        >>> frame = Scene.random(7, width=320, height=240).frame(0.5)
        >>> frame.image.shape, frame.depth.shape
        ((240, 320, 3), (240, 320))
        >>> [item.class_name for item in frame.objects][:2]
        ['bottle', 'ring']

        One thing, 30 cm above the table and half hidden, before a flawed depth camera:

        >>> from yolact_ros.scenes import DEPTH_MODELS
        >>> scene = Scene.single(
        ...     10_000, "mug", elevation=0.3, occluder_gap=0.15, depth_model=DEPTH_MODELS["real"]
        ... )
        >>> frame = scene.frame(0.0)
        >>> [(item.identity, item.class_name) for item in frame.objects]
        [(1, 'mug'), (2, 'bottle')]
        >>> frame.visible_surfaces[0].aligned.size.shape
        (3,)
    """

    seed: int
    class_names: tuple[str, ...]
    intrinsics: CameraIntrinsics
    bodies: tuple[Body, ...]
    light: Light
    depth_model: DepthModel | None
    _view: View
    _ground: Ground
    _sensor: SensorPixels

    @classmethod
    def random(
        cls,
        seed: int,
        *,
        width: int = 640,
        height: int = 480,
        class_names: Sequence[str] = DEMO_CLASSES,
        distance: tuple[float, float] | None = None,
        depth_model: DepthModel | None = None,
    ) -> Scene:
        """Make the scene of a seed: things on a table.

        Args:
            seed: 0 or more; the same seed and options give the same scene.
            width, height: Size of the images in pixels, at least 16 each.
            class_names: Kinds of objects to show and label: some of `SCENE_CLASSES`, in any order.
                Unlabelled clutter is always added.
            distance: Least and greatest distance of the camera from the middle of the table, in
                metres, each from 0.3 to 3; None: 0.62 to 0.92.
            depth_model: The depth camera; None: that of the training scenes, which has noise and
                holes but no mixed pixels. It changes nothing but `SceneFrame.depth`.

        Raises:
            InputError: The seed is negative, a side too small, a class unknown or repeated, or
                the distance out of range.
        """
        nearest = 0.0 if distance is None else _NEAREST

        def stage(
            rng: np.random.Generator, view: View, intrinsics: CameraIntrinsics, ground: Ground
        ) -> tuple[View, tuple[Body, ...]]:
            camera = view.pose(0.0)
            return view, spread_bodies(rng, class_names, intrinsics, camera, ground, nearest)

        return cls._staged(seed, (width, height), class_names, distance, depth_model, stage)

    @classmethod
    def single(
        cls,
        seed: int,
        kind: str,
        *,
        elevation: float = 0.0,
        occluder_gap: float | None = None,
        width: int = 640,
        height: int = 480,
        class_names: Sequence[str] = DEMO_CLASSES,
        distance: tuple[float, float] | None = None,
        depth_model: DepthModel | None = None,
    ) -> Scene:
        """Make a scene of one thing at rest, alone on the table or above it, or half hidden.

        The first of `bodies` is the thing, the second the bottle before it, if there is one.

        Args:
            seed: 0 or more; the same seed and options give the same scene.
            kind: What to show, one of `class_names`.
            elevation: Height in metres, from 0 to 1, of its lowest point above the table, where it
                is turned at random; 0: it rests on the table, in one of its usual postures.
            occluder_gap: Distance in metres, 0.05 to 1, from the thing's middle to the axis of a
                bottle that hides a part of it: along the line of sight, or along the table, on
                which the bottle stands if the thing does; None: nothing is in front of it.
            width, height, class_names, depth_model: As for `random`.
            distance: As for `random`, but from the middle of the thing, to within 12 cm.

        Raises:
            InputError: As for `random`; or the kind, the elevation or the gap is none of those
                above, or no bottle at this gap hides a part of the thing without touching it.
        """
        if kind not in class_names:
            raise InputError(f"kind: expected one of {', '.join(class_names)}, got {kind!r}")
        if not 0 <= elevation <= 1:
            raise InputError(f"elevation: expected 0 to 1 m, got {elevation}")
        if occluder_gap is not None and not 0.05 <= occluder_gap <= 1:
            raise InputError(f"occluder_gap: expected 0.05 to 1 m, or none, got {occluder_gap}")

        def stage(
            rng: np.random.Generator, view: View, intrinsics: CameraIntrinsics, ground: Ground
        ) -> tuple[View, tuple[Body, ...]]:
            del intrinsics, ground
            return stage_one(rng, kind, view, elevation=elevation, occluder_gap=occluder_gap)

        return cls._staged(seed, (width, height), class_names, distance, depth_model, stage)

    @classmethod
    def lanes(
        cls,
        seed: int,
        *,
        width: int = 640,
        height: int = 480,
        class_names: Sequence[str] = DEMO_CLASSES,
        distance: tuple[float, float] | None = None,
        depth_model: DepthModel | None = None,
    ) -> Scene:
        """Make a scene of things that pass before and behind one another without touching.

        Four go across the view at up to 0.1 to 0.4 m/s, with pauses; one of them is carried, one
        or two leave the view and come back after 4 s or more, and two at least are of a kind. Four
        boxes at rest hide what passes behind them.

        Args:
            seed, width, height, depth_model: As for `random`.
            distance: As for `random`; None: 0.76 to 0.92 m.
            class_names: Kinds of things that move, and kinds to label, as for `random`.

        Raises:
            InputError: As for `random`.
        """

        def stage(
            rng: np.random.Generator, view: View, intrinsics: CameraIntrinsics, ground: Ground
        ) -> tuple[View, tuple[Body, ...]]:
            del ground
            return stage_lanes(rng, class_names, view, intrinsics)

        size = (width, height)
        scene = cls._staged(
            seed, size, class_names, distance or _LANES_DISTANCE, depth_model, stage
        )
        return replace(scene, _ground=scene._ground.endless())

    @classmethod
    def _staged(
        cls,
        seed: int,
        size: tuple[int, int],
        class_names: Sequence[str],
        distance: tuple[float, float] | None,
        depth_model: DepthModel | None,
        stage: Stage,
    ) -> Scene:
        """Check what all scenes have in common, and draw it at random."""
        width, height = size
        if seed < 0:
            raise InputError(f"seed: expected an integer >= 0, got {seed}")
        if min(size) < MIN_SIDE:
            raise InputError(f"size: expected sides of at least {MIN_SIDE}, got {width}x{height}")
        kinds = set(class_names)
        if not kinds or kinds.difference(SCENE_CLASSES) or len(kinds) < len(class_names):
            raise InputError(
                f"classes: expected some of {', '.join(SCENE_CLASSES)}, none twice, "
                f"got {', '.join(class_names) or 'none'}"
            )
        near, far = distance or _USUAL_DISTANCE
        if not 0.3 <= near <= far <= 3:
            raise InputError(f"distance: expected 0.3 <= nearest <= farthest <= 3, got {distance}")
        rng = np.random.default_rng(seed)
        view, light, sensor = View.random(rng, (near, far)), Light.random(rng), Sensor.random(rng)
        # No upright picture looks above the horizon.
        focal = rng.uniform(0.86, 1.0) * max(min(width, height * 4 / 3), height)
        middle = ((width - 1) / 2, (height - 1) / 2)
        intrinsics = CameraIntrinsics(width, height, focal, focal, *middle)
        ground = Ground.random(rng)
        view, bodies = stage(rng, view, intrinsics, ground)
        pixels = sensor.pixels(height, width, rng)
        return cls(
            seed, tuple(class_names), intrinsics, bodies, light, depth_model, view, ground, pixels
        )

    def camera_pose(self, time: float) -> CameraPose:
        """Return the camera pose in the world at a time in seconds."""
        return self._view.pose(time)

    def states(self, identity: int, time: float) -> tuple[KinematicState, KinematicState]:
        """Return the pose and velocity of a body, seen or not, in the camera frame and the world.

        Args:
            identity: As in `SceneObject`: 1 for the first of `bodies`.
            time: In seconds.
        """
        times = times_around(time)
        cameras = [self.camera_pose(moment) for moment in times]
        return kinematic_states(self.bodies[identity - 1], times, cameras)

    def frame(self, time: float) -> SceneFrame:
        """Render the frame at a time in seconds; equal times give equal frames."""
        camera = self.camera_pose(time)
        bodies = [body.at(time) for body in self.bodies]
        canvas = draw_ground(self._ground, self.intrinsics, camera, bodies, self.light)
        projections = [
            draw_body(
                canvas, body, number, intrinsics=self.intrinsics, camera=camera, light=self.light
            )
            for number, body in enumerate(bodies, start=1)
        ]
        times = times_around(time)
        instance_map, objects = find_objects(
            canvas.owner,
            self.bodies,
            projections,
            self.class_names,
            times=times,
            cameras=[self.camera_pose(moment) for moment in times],
        )
        noise = np.random.default_rng([self.seed, round(abs(time) * 1e6), int(time < 0)])
        return SceneFrame(
            image=self._sensor.expose(canvas.color, noise),
            depth=(self.depth_model or self._sensor).measure(canvas.depth, noise),
            true_depth=canvas.depth,
            instance_map=instance_map,
            objects=objects,
            intrinsics=self.intrinsics,
            camera=camera,
        )


SCENE_MAKERS = {"random": Scene.random, "lanes": Scene.lanes}
"""What makes the scenes of each of `yolact_ros.choices.SCENE_KINDS`."""
