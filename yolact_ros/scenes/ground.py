# SPDX-License-Identifier: Apache-2.0
"""Table and floor: the background of a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from yolact_ros.scenes import surfaces
from yolact_ros.scenes.camera import CameraIntrinsics, CameraPose, plane_homography
from yolact_ros.scenes.layout import PosedBody
from yolact_ros.scenes.rendering import Canvas
from yolact_ros.scenes.shading import Light
from yolact_ros.scenes.shadows import shadow_maps

_TEXTURE_SIDE = 1024
_FLOOR_SIDE = 512
_FLOOR_METRES = 1.6


@dataclass(frozen=True, eq=False)
class Ground:
    """The table, and the floor around it if the table ends in view.

    Attributes:
        texture: (S, S, 3) uint8 RGB of the table.
        extent: Side of the square that the texture covers, in metres.
        half: (2,) half the table's sides in metres; None if the table is endless.
        floor: (S, S, 3) uint8 RGB of what lies beyond.
        floor_height: z of the floor in metres.
    """

    texture: np.ndarray
    extent: float
    half: np.ndarray | None
    floor: np.ndarray
    floor_height: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> Ground:
        """A random table with flat clutter."""
        extent = rng.uniform(1.3, 1.8)
        texture = surfaces.surface(rng, _TEXTURE_SIDE)
        surfaces.add_clutter(rng, texture, extent)
        ends = rng.uniform() < 0.5
        return cls(
            texture=texture,
            extent=extent,
            half=0.5 * extent * rng.uniform(0.6, 1.0, 2) if ends else None,
            floor=surfaces.surface(rng, _FLOOR_SIDE) if ends else texture,
            floor_height=-rng.uniform(0.4, 0.75),
        )

    def endless(self) -> Ground:
        """The same table, without ends."""
        return replace(self, half=None, floor=self.texture)


def draw_ground(
    ground: Ground, k: CameraIntrinsics, camera: CameraPose, bodies: Sequence[PosedBody],
    light: Light,
) -> Canvas:  # fmt: skip
    """Draw table and floor, lit and shadowed.

    Args:
        ground: The table and floor to draw.
        k: Camera intrinsics.
        camera: Camera pose.
        bodies: Bodies that cast shadows.
        light: Light of the scene.

    Returns:
        A new canvas that holds nothing else.
    """
    to_pixels = plane_homography(k, camera, 0.0)
    texels = ground.texture.shape[0] / ground.extent
    center = ground.texture.shape[0] / 2
    from_texture = np.array(
        [[1 / texels, 0, -center / texels], [0, 1 / texels, -center / texels], [0, 0, 1]]
    )
    size = (k.width, k.height)
    base = cv2.warpPerspective(ground.texture, to_pixels @ from_texture, size)
    depth = _plane_depth(k, camera, 0.0)
    _draw_beyond(ground, k, camera, base, depth)
    lit = _ground_light(k, to_pixels, bodies, light)
    return Canvas(
        color=cv2.multiply(base, lit, dst=lit, dtype=cv2.CV_32F),
        depth=depth,
        owner=np.zeros((k.height, k.width), np.uint8),
    )


def _plane_depth(k: CameraIntrinsics, camera: CameraPose, height: float) -> np.ndarray:
    """Depth (H, W) float32 of the horizontal plane at a height; far away above the horizon."""
    down = -camera.rotation[:, 2]
    columns = (down[0] * (np.arange(k.width) - k.cx) / k.fx + down[2]).astype(np.float32)
    lines = (down[1] * (np.arange(k.height) - k.cy) / k.fy).astype(np.float32)
    slope = np.add.outer(lines, columns)
    if slope[[0, 0, -1, -1], [0, -1, 0, -1]].min() < 0.01:
        np.maximum(slope, np.float32(0.01), out=slope)
    return np.divide(np.float32(camera.eye[2] - height), slope, out=slope)


def _draw_beyond(
    ground: Ground, k: CameraIntrinsics, camera: CameraPose, base: np.ndarray, depth: np.ndarray
) -> None:
    """Draws what lies beyond the table's texture, in place: the floor, or more table."""
    to_pixels = plane_homography(k, camera, 0.0)
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
        cv2.copyTo(_plane_depth(k, camera, level), outside, depth)
    cv2.copyTo(floor, outside[window], base[window])


def _ground_light(
    k: CameraIntrinsics, to_pixels: np.ndarray, bodies: Sequence[PosedBody], light: Light
) -> np.ndarray:
    """Light (H, W, 3) float32 on the table, rendered small and enlarged."""
    width, height = min(k.width, 160), min(k.height, 120)
    shrink = np.diag([width / k.width, height / k.height, 1])
    to_small = shrink @ to_pixels
    cast, contact = shadow_maps(bodies, to_small, (height, width), light)
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
