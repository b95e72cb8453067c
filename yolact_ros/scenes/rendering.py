# SPDX-License-Identifier: Apache-2.0
"""Ray casting of single bodies."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

import cv2
import numpy as np

from yolact_ros.scenes.camera import CameraIntrinsics, CameraPose
from yolact_ros.scenes.layout import PosedBody
from yolact_ros.scenes.shading import Light, shade
from yolact_ros.scenes.shapes import Hits, Rays

_NEAR = 0.05
_PIXEL = np.dtype("V12")  # three float32, moved at once


@dataclass(eq=False)
class Canvas:
    """Drawing target: `color` (H, W, 3), `depth` (H, W), both float32, `owner` (H, W) uint8."""

    color: np.ndarray
    depth: np.ndarray
    owner: np.ndarray


@dataclass(frozen=True)
class Projection:
    """A body in the image plane, whether hidden or not.

    Attributes:
        silhouette: Pixels of the whole silhouette, hidden parts and parts outside the image
            included.
        window: Rows and columns of the image that contain every visible pixel.
    """

    silhouette: int
    window: tuple[slice, slice]


NOWHERE = Projection(0, (slice(0, 0), slice(0, 0)))


def _bounds(pixels: np.ndarray, intrinsics: CameraIntrinsics) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1), end exclusive, around the pixels and at most one image beyond the image."""
    (left, top), (right, bottom) = pixels.min(axis=0).tolist(), pixels.max(axis=0).tolist()
    w, h = intrinsics.width, intrinsics.height
    x0, x1 = (int(min(max(v, -w), 2 * w)) for v in (floor(left) - 1, ceil(right) + 2))
    y0, y1 = (int(min(max(v, -h), 2 * h)) for v in (floor(top) - 1, ceil(bottom) + 2))
    return x0, y0, x1, y1


def draw_body(
    canvas: Canvas, body: PosedBody, owner: int, *, intrinsics: CameraIntrinsics,
    camera: CameraPose, light: Light,
) -> Projection:  # fmt: skip
    """Cast rays at a body and shade it where it is nearest.

    Args:
        canvas: Drawn on in place.
        body: The body.
        owner: Number to write into `canvas.owner`.
        intrinsics: Camera intrinsics.
        camera: Camera pose.
        light: Light of the scene.

    Returns:
        Its projection; `NOWHERE` if it comes within 5 cm of the camera's plane.
    """
    to_camera = camera.rotation @ body.rotation  # solid to camera axes
    offset = camera.rotation @ (body.position - camera.eye)
    outline = body.solid.outline @ to_camera.T + offset
    if outline[:, 2].min() < _NEAR:
        return NOWHERE
    pixels = outline[:, :2] / outline[:, 2:]
    pixels = pixels * (intrinsics.fx, intrinsics.fy) + (intrinsics.cx, intrinsics.cy)
    x0, y0, x1, y1 = _bounds(pixels, intrinsics)
    if x1 <= x0 or y1 <= y0:
        return NOWHERE
    candidates = np.zeros((y1 - y0, x1 - x0), np.uint8)
    hull = cv2.convexHull(np.round(pixels * 16 - (16 * x0, 16 * y0)).astype(np.int32))
    cv2.fillConvexPoly(candidates, hull, 1, shift=4)
    rows, cols = np.nonzero(candidates)
    rows += y0
    cols += x0
    line = ((np.arange(y0, y1) - intrinsics.cy) / intrinsics.fy).astype(np.float32)[rows - y0]
    column = ((np.arange(x0, x1) - intrinsics.cx) / intrinsics.fx).astype(np.float32)[cols - x0]
    m = to_camera.astype(np.float32)  # direction in solid axes: m.T @ (column, line, 1)
    dx, dy, dz = (m[0, i] * column + m[1, i] * line + m[2, i] for i in range(3))
    ox, oy, oz = (float(v) for v in -offset @ to_camera)
    hits = Hits(np.full(dx.shape, np.inf, np.float32), np.zeros(dx.shape, np.uint8))
    rays = Rays((ox, oy, oz), dx, dy, dz)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for number, piece in enumerate(body.solid.pieces):
            piece.trace(rays, hits, number)
    hit = np.flatnonzero(hits.depth < np.inf)
    width, height = intrinsics.width, intrinsics.height
    window = np.s_[max(y0, 0) : min(max(y1, 0), height), max(x0, 0) : min(max(x1, 0), width)]
    projection = Projection(len(hit), window)
    if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
        r, c = rows[hit], cols[hit]
        hit = hit[(r >= 0) & (r < height) & (c >= 0) & (c < width)]
    target = rows[hit] * width + cols[hit]
    front = hits.depth[hit] < canvas.depth.reshape(-1)[target]
    if not front.all():
        hit, target = hit[front], target[front]
    if not len(hit):
        return projection
    t = hits.depth[hit]
    d = (dx[hit], dy[hit], dz[hit])
    point = (t * d[0] + np.float32(ox), t * d[1] + np.float32(oy), t * d[2] + np.float32(oz))
    color = shade(body, point, d, hits.piece[hit], light)
    canvas.depth.reshape(-1)[target] = t
    canvas.owner.reshape(-1)[target] = owner
    canvas.color.reshape(-1, 3).view(_PIXEL)[target] = color.view(_PIXEL)
    return projection
