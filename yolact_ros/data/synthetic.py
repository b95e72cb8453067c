# SPDX-License-Identifier: Apache-2.0
"""Synthetic RGB-D scenes of moving things on a table, with exact truth.

Example:
    >>> frame = Scene.random(7, width=320, height=240).frame(0.5)
    >>> frame.image.shape, frame.depth.shape
    ((240, 320, 3), (240, 320))
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from yolact_ros.data import surfaces
from yolact_ros.data.camera import CameraIntrinsics, CameraPose, plane_homography
from yolact_ros.data.layout import Body, collides, place
from yolact_ros.data.objects import CLUTTER_KINDS, make_solid
from yolact_ros.data.rendering import Canvas, Footprint, Light, draw_body, shadow_maps
from yolact_ros.data.sensor import Sensor
from yolact_ros.presets import DEMO_CLASSES

__all__ = ["CameraIntrinsics", "Scene", "SceneFrame", "SceneObject"]

MIN_SIDE = 16
MIN_AREA_SHARE = 64 / (640 * 480)
MIN_VISIBLE_FRACTION = 0.1
_TEXTURE_SIDE = 1024
_FLOOR_SIDE = 512
_FLOOR_METRES = 1.6


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One labelled object of a frame.

    Attributes:
        class_id: index into `DEMO_CLASSES`.
        class_name: its name.
        box: (4,) float32 x1, y1, x2, y2 pixels, tight about the visible mask; x2, y2 exclusive.
        area: visible pixels.
        visible_fraction: visible pixels over those of the silhouette without occlusion, parts
            outside the image included.
        center: (3,) float32 middle of its bounding box in the camera frame, metres.
        size: (3,) float32 extents of that box along the object's own axes, metres.
    """

    class_id: int
    class_name: str
    box: np.ndarray
    area: int
    visible_fraction: float
    center: np.ndarray
    size: np.ndarray


@dataclass(frozen=True, eq=False)
class SceneFrame:
    """One frame with its truth.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        depth: (H, W) float32 metres along the optical axis, 0: no return.
        instance_map: (H, W) uint16; 0: background, k: `objects[k - 1]`.
        objects: labelled objects. Those with fewer than 64 visible pixels (at 640x480, in
            proportion to the area) or with less than a tenth visible are drawn, but not listed.
        intrinsics: of the camera, for both images.
    """

    image: np.ndarray
    depth: np.ndarray
    instance_map: np.ndarray
    objects: tuple[SceneObject, ...]
    intrinsics: CameraIntrinsics


@dataclass(frozen=True, eq=False)
class _View:
    """A gently swaying camera."""

    azimuth: float
    pitch: float
    distance: float
    roll: float
    sway: np.ndarray  # (3, 3) amplitude, rate, phase of azimuth, pitch, distance

    def pose(self, time: float) -> CameraPose:
        amplitude, rate, phase = self.sway
        azimuth, pitch, distance = (self.azimuth, self.pitch, self.distance) + amplitude * np.sin(
            rate * time + phase
        )
        away = (-np.cos(azimuth) * np.cos(pitch), -np.sin(azimuth) * np.cos(pitch), np.sin(pitch))
        return CameraPose.looking_at(distance * np.array(away), np.zeros(3), self.roll)


@dataclass(frozen=True, eq=False)
class _Ground:
    """The table, and the floor around it if the table ends in view."""

    texture: np.ndarray
    extent: float
    half: np.ndarray | None  # (2,) half the table's sides, or None: it does not end
    floor: np.ndarray
    floor_height: float


def _random_view(rng: np.random.Generator) -> _View:
    return _View(
        azimuth=rng.uniform(0, 2 * np.pi),
        pitch=np.deg2rad(rng.uniform(33, 62)),
        distance=rng.uniform(0.62, 0.92),
        roll=np.deg2rad(rng.normal(0, 3)),
        sway=np.array([rng.uniform(0, (0.05, 0.03, 0.03)), rng.uniform(0.3, 0.8, 3),
                       rng.uniform(0, 6.28, 3)]),
    )  # fmt: skip


def _random_light(rng: np.random.Generator) -> Light:
    azimuth, elevation = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(38, 80))
    warmth = rng.uniform(-0.12, 0.12)
    tint = np.array([1 + warmth, 1, 1 - warmth])
    share = rng.uniform(0.3, 0.65)  # of the light that comes from everywhere
    strength = rng.uniform(0.8, 1.22)
    return Light(
        direction=np.array([np.cos(azimuth) * np.cos(elevation),
                            np.sin(azimuth) * np.cos(elevation), np.sin(elevation)]),
        color=1.15 * strength * (1 - share) * tint,
        ambient=strength * share * (2 - tint),
        softness=rng.uniform(0.006, 0.03),
        pool=(*rng.uniform(-0.4, 0.4, 2), rng.uniform(0.7, 2.5)),
    )  # fmt: skip


def _random_ground(rng: np.random.Generator) -> _Ground:
    extent = rng.uniform(1.3, 1.8)
    texture = surfaces.surface(rng, _TEXTURE_SIDE)
    surfaces.add_clutter(rng, texture, extent)
    ends = rng.uniform() < 0.5
    return _Ground(
        texture=texture,
        extent=extent,
        half=0.5 * extent * rng.uniform(0.6, 1.0, 2) if ends else None,
        floor=surfaces.surface(rng, _FLOOR_SIDE) if ends else texture,
        floor_height=-rng.uniform(0.4, 0.75),
    )


def _random_bodies(
    rng: np.random.Generator, intrinsics: CameraIntrinsics, camera: CameraPose, ground: _Ground
) -> tuple[Body, ...]:
    """Things spread over what the camera sees of the table, none touching another."""
    to_table = np.linalg.inv(plane_homography(intrinsics, camera, 0.0))
    count, clutter = int(rng.integers(4, 10)), int(rng.integers(0, 4))
    kinds = [str(rng.choice(DEMO_CLASSES)) for _ in range(count)]
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
    """A synthetic scene; make one with `Scene.random`."""

    seed: int
    intrinsics: CameraIntrinsics
    bodies: tuple[Body, ...]
    light: Light
    _view: _View
    _ground: _Ground
    _sensor: Sensor
    _gain_map: np.ndarray

    @classmethod
    def random(cls, seed: int, *, width: int = 640, height: int = 480) -> Scene:
        """The scene of a seed.

        Args:
            seed: not negative; the same seed and size give the same scene.
            width: of the images, at least 16 pixels.
            height: of the images, at least 16 pixels.

        Raises:
            ValueError: if the seed is negative or a side too small.
        """
        if seed < 0:
            raise ValueError(f"seed: expected an integer >= 0, got {seed}")
        if min(width, height) < MIN_SIDE:
            raise ValueError(f"size: expected sides of at least {MIN_SIDE}, got {width}x{height}")
        rng = np.random.default_rng(seed)
        view, light, sensor = _random_view(rng), _random_light(rng), Sensor.random(rng)
        # No upright picture looks above the horizon.
        focal = rng.uniform(0.86, 1.0) * max(min(width, height * 4 / 3), height)
        middle = np.array([width - 1, height - 1]) / 2
        intrinsics = CameraIntrinsics(
            width, height, focal, focal, float(middle[0]), float(middle[1])
        )
        ground = _random_ground(rng)
        bodies = _random_bodies(rng, intrinsics, view.pose(0.0), ground)
        gain_map = sensor.gain_map(height, width)
        return cls(seed, intrinsics, bodies, light, view, ground, sensor, gain_map)

    def camera_pose(self, time: float) -> CameraPose:
        """Pose of the camera in the world at a time in seconds."""
        return self._view.pose(time)

    def frame(self, time: float) -> SceneFrame:
        """The frame at a time in seconds; equal times give equal frames."""
        camera = self.camera_pose(time)
        canvas = self._draw_ground(camera, time)
        footprints = [
            draw_body(
                canvas, body, number, time=time, intrinsics=self.intrinsics, camera=camera,
                light=self.light,
            )
            for number, body in enumerate(self.bodies, start=1)
        ]  # fmt: skip
        instance_map, objects = self._truth(canvas.owner, footprints, camera, time)
        noise = np.random.default_rng([self.seed, round(abs(time) * 1e6), int(time < 0)])
        return SceneFrame(
            image=self._sensor.expose(canvas.color, self._gain_map, noise),
            depth=self._sensor.measure(canvas.depth, noise),
            instance_map=instance_map,
            objects=objects,
            intrinsics=self.intrinsics,
        )

    def _truth(
        self, owner: np.ndarray, footprints: list[Footprint], camera: CameraPose, time: float
    ) -> tuple[np.ndarray, tuple[SceneObject, ...]]:
        """Numbers the objects that are visible enough, and describes them."""
        least = MIN_AREA_SHARE * owner.size
        numbers = np.zeros(256, np.uint16)
        objects: list[SceneObject] = []
        for index, (body, footprint) in enumerate(zip(self.bodies, footprints, strict=True), 1):
            kind = body.solid.kind
            if kind not in DEMO_CLASSES or not footprint.silhouette:
                continue
            rows, columns = footprint.window
            visible = (owner[rows, columns] == index).view(np.uint8)
            area = int(np.count_nonzero(visible))
            fraction = area / footprint.silhouette
            if area < max(least, 1) or fraction < MIN_VISIBLE_FRACTION:
                continue
            x, y, w, h = cv2.boundingRect(visible)
            x, y = x + columns.start, y + rows.start
            rotation, position = body.pose(time)
            middle = rotation @ (0.5 * (body.solid.low + body.solid.high)) + position
            objects.append(
                SceneObject(
                    class_id=DEMO_CLASSES.index(kind),
                    class_name=kind,
                    box=np.array([x, y, x + w, y + h], np.float32),
                    area=area,
                    visible_fraction=fraction,
                    center=camera.to_camera(middle).astype(np.float32),
                    size=(body.solid.high - body.solid.low).astype(np.float32),
                )
            )
            numbers[index] = len(objects)
        return cv2.LUT(owner, numbers), tuple(objects)

    def _plane_depth(self, camera: CameraPose, height: float) -> np.ndarray:
        """Depth (H, W) float32 of the horizontal plane at a height; far away above the horizon."""
        k = self.intrinsics
        down = -camera.rotation[:, 2]
        columns = (down[0] * (np.arange(k.width) - k.cx) / k.fx + down[2]).astype(np.float32)
        lines = (down[1] * (np.arange(k.height) - k.cy) / k.fy).astype(np.float32)
        slope = np.maximum(np.add.outer(lines, columns), np.float32(0.01))
        return np.divide(np.float32(camera.eye[2] - height), slope, out=slope)

    def _draw_ground(self, camera: CameraPose, time: float) -> Canvas:
        """Table and floor, lit and shadowed."""
        k, ground = self.intrinsics, self._ground
        to_pixels = plane_homography(k, camera, 0.0)
        texels = ground.texture.shape[0] / ground.extent
        center = ground.texture.shape[0] / 2
        from_texture = np.array(
            [[1 / texels, 0, -center / texels], [0, 1 / texels, -center / texels], [0, 0, 1]]
        )
        size = (k.width, k.height)
        base = cv2.warpPerspective(ground.texture, to_pixels @ from_texture, size)
        depth = self._plane_depth(camera, 0.0)
        self._draw_beyond(base, depth, camera, to_pixels)
        light = self._ground_light(camera, time, to_pixels)
        return Canvas(
            color=cv2.multiply(base, light, dst=light, dtype=cv2.CV_32F),
            depth=depth,
            owner=np.zeros((k.height, k.width), np.uint8),
        )

    def _draw_beyond(
        self, base: np.ndarray, depth: np.ndarray, camera: CameraPose, to_pixels: np.ndarray
    ) -> None:
        """Draws what lies beyond the table's texture, in place: the floor, or more table."""
        k, ground = self.intrinsics, self._ground
        steps = np.linspace(-1, 1, 33)
        side = np.ones_like(steps)
        edge = np.concatenate(
            [np.stack(pair, axis=1)
             for pair in ((steps, -side), (side, steps), (-steps, side), (-side, -steps))]
        )  # fmt: skip
        # The texture's outermost texels blend with nothing, so the endless table ends before them.
        half = ground.half if ground.half is not None else np.full(2, 0.48 * ground.extent)
        image = np.column_stack([edge * half, np.ones(len(edge))]) @ to_pixels.T
        image = image[image[:, 2] > 0.02]
        outside = np.full((k.height, k.width), 255, np.uint8)
        if len(image) > 2:
            pixels = np.clip(16 * image[:, :2] / image[:, 2:], -5e5, 5e5)
            cv2.fillConvexPoly(outside, cv2.convexHull(pixels.astype(np.int32)), 0, shift=4)
        x, y, w, h = cv2.boundingRect(outside)
        if not w:
            return
        window = np.s_[y : y + h, x : x + w]
        metres = ground.extent if ground.half is None else _FLOOR_METRES
        level = 0.0 if ground.half is None else ground.floor_height
        texel = metres / ground.floor.shape[0]
        center = metres / 2
        from_texture = np.array([[texel, 0, -center], [0, texel, -center], [0, 0, 1]])
        shift = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]])
        floor = cv2.warpPerspective(
            ground.floor,
            shift @ plane_homography(k, camera, level) @ from_texture,
            (w, h),
            borderMode=cv2.BORDER_REFLECT,
        )
        if ground.half is not None:
            floor = cv2.convertScaleAbs(floor, alpha=0.6)
            cv2.copyTo(self._plane_depth(camera, level), outside, depth)
        cv2.copyTo(floor, outside[window], base[window])

    def _ground_light(self, camera: CameraPose, time: float, to_pixels: np.ndarray) -> np.ndarray:
        """Light (H, W, 3) float32 on the table, rendered small and enlarged."""
        k, light = self.intrinsics, self.light
        width, height = min(k.width, 160), min(k.height, 120)
        shrink = np.diag([width / k.width, height / k.height, 1])
        to_small = shrink @ to_pixels
        cast, contact = shadow_maps(self.bodies, time, to_small, (height, width), light)
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        back = cv2.invert(to_small)[1].astype(np.float32)
        w = np.maximum(back[2, 0] * x + back[2, 1] * y + back[2, 2], np.float32(1e-3) * back[2, 2])
        px = (back[0, 0] * x + back[0, 1] * y + back[0, 2]) / w
        py = (back[1, 0] * x + back[1, 1] * y + back[1, 2]) / w
        far = ((px - light.pool[0]) ** 2 + (py - light.pool[1]) ** 2) / light.pool[2] ** 2
        lamp = (1 - cast) * np.float32(light.direction[2]) / (1 + far)
        small = np.multiply.outer(lamp, light.color.astype(np.float32))
        small += np.multiply.outer(1 - 0.5 * contact, light.ambient.astype(np.float32))
        return cv2.resize(small, (k.width, k.height), interpolation=cv2.INTER_LINEAR)
