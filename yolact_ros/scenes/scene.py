# SPDX-License-Identifier: Apache-2.0
"""Synthetic RGB-D scenes of objects moving on a table, with exact ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolact_ros.choices import EXTRA_KINDS
from yolact_ros.errors import InputError
from yolact_ros.presets import DEMO_CLASSES
from yolact_ros.scenes.camera import CameraIntrinsics, CameraPose, plane_homography
from yolact_ros.scenes.depth_model import DepthModel
from yolact_ros.scenes.ground import Ground, draw_ground
from yolact_ros.scenes.layout import Body, collides, place
from yolact_ros.scenes.objects import CLUTTER_KINDS, make_solid
from yolact_ros.scenes.rendering import draw_body
from yolact_ros.scenes.sensor import Sensor, SensorPixels
from yolact_ros.scenes.shading import Light
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


@dataclass(frozen=True, eq=False)
class _View:
    """A gently swaying camera."""

    rest: np.ndarray  # (3,) azimuth, pitch, distance
    roll: float
    sway: np.ndarray  # (3, 3) their amplitude, rate, phase

    def pose(self, time: float) -> CameraPose:
        amplitude, rate, phase = self.sway
        azimuth, pitch, distance = self.rest + amplitude * np.sin(rate * time + phase)
        away = (-np.cos(azimuth) * np.cos(pitch), -np.sin(azimuth) * np.cos(pitch), np.sin(pitch))
        return CameraPose.looking_at(distance * np.array(away), np.zeros(3), self.roll)


def _random_view(rng: np.random.Generator) -> _View:
    return _View(
        rest=np.array([rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(33, 62)),
                       rng.uniform(0.62, 0.92)]),
        roll=np.deg2rad(rng.normal(0, 3)),
        sway=np.array([rng.uniform(0, (0.05, 0.03, 0.03)), rng.uniform(0.3, 0.8, 3),
                       rng.uniform(0, 6.28, 3)]),
    )  # fmt: skip


def _random_bodies(
    rng: np.random.Generator,
    class_names: Sequence[str],
    intrinsics: CameraIntrinsics,
    camera: CameraPose,
    ground: Ground,
) -> tuple[Body, ...]:
    """Spread bodies over the visible part of the table, none touching another."""
    to_table = np.linalg.inv(plane_homography(intrinsics, camera, 0.0))
    count, clutter = int(rng.integers(4, 10)), int(rng.integers(0, 4))
    kinds = [str(rng.choice(class_names)) for _ in range(count)]
    kinds += [str(rng.choice(CLUTTER_KINDS)) for _ in range(clutter)]
    bodies: list[Body] = []
    for kind in kinds:
        solid = make_solid(kind, rng)
        for _ in range(25):
            pixel = rng.uniform((0.02, 0.1), (0.98, 1.0)) * (intrinsics.width, intrinsics.height)
            x, y, w = to_table @ (*pixel, 1)
            body = place(solid, (x / w, y / w), rng, moving=bool(rng.uniform() < 0.6))
            swept = body.swept()
            if ground.half is not None:
                reach = np.abs(swept[:, :2]) + swept[:, 2:]
                if (reach > ground.half - 0.01).any():
                    continue
            if not collides(body, bodies):
                bodies.append(body)
                break
    return tuple(bodies)


@dataclass(frozen=True, eq=False)
class Scene:
    """A synthetic scene; make one with `Scene.random`.

    Example:
        >>> from yolact_ros.scenes import Scene
        >>> frame = Scene.random(7, width=320, height=240).frame(0.5)
        >>> frame.image.shape, frame.depth.shape
        ((240, 320, 3), (240, 320))
        >>> [item.class_name for item in frame.objects][:2]
        ['bottle', 'ring']
    """

    seed: int
    class_names: tuple[str, ...]
    intrinsics: CameraIntrinsics
    bodies: tuple[Body, ...]
    light: Light
    depth_model: DepthModel | None
    _view: _View
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
        depth_model: DepthModel | None = None,
    ) -> Scene:
        """Make the scene of a seed.

        Args:
            seed: 0 or more; the same seed, size and classes give the same scene.
            width, height: Size of the images in pixels, at least 16 each.
            class_names: Kinds of objects to show and label: some of `SCENE_CLASSES`, in any order.
                Unlabelled clutter is always added.
            depth_model: The depth camera; None: that of the training scenes, which has noise and
                holes but no mixed pixels. It changes nothing but `SceneFrame.depth`.

        Raises:
            InputError: The seed is negative, a side too small, or a class unknown or repeated.
        """
        if seed < 0:
            raise InputError(f"seed: expected an integer >= 0, got {seed}")
        if min(width, height) < MIN_SIDE:
            raise InputError(f"size: expected sides of at least {MIN_SIDE}, got {width}x{height}")
        kinds = set(class_names)
        if not kinds or kinds.difference(SCENE_CLASSES) or len(kinds) < len(class_names):
            raise InputError(
                f"classes: expected some of {', '.join(SCENE_CLASSES)}, none twice, "
                f"got {', '.join(class_names) or 'none'}"
            )
        rng = np.random.default_rng(seed)
        view, light, sensor = _random_view(rng), Light.random(rng), Sensor.random(rng)
        # No upright picture looks above the horizon.
        focal = rng.uniform(0.86, 1.0) * max(min(width, height * 4 / 3), height)
        middle = ((width - 1) / 2, (height - 1) / 2)
        intrinsics = CameraIntrinsics(width, height, focal, focal, *middle)
        ground = Ground.random(rng)
        bodies = _random_bodies(rng, class_names, intrinsics, view.pose(0.0), ground)
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
