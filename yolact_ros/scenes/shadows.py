# SPDX-License-Identifier: Apache-2.0
"""Shadows on the table."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from yolact_ros.scenes.layout import PosedBody
from yolact_ros.scenes.shading import Light
from yolact_ros.scenes.shapes import Torus

_NEAR = 0.05


def shadow_maps(
    bodies: Sequence[PosedBody], to_pixels: np.ndarray, size: tuple[int, int], light: Light
) -> tuple[np.ndarray, np.ndarray]:
    """Project the shadows of bodies onto the table.

    Args:
        bodies: Bodies that cast shadows.
        to_pixels: (3, 3) homography from the table to pixels of the maps.
        size: (height, width) of the maps.
        light: Light of the scene.

    Returns:
        Shadows of the lamp and of the ambient light, (height, width) float32 each, 0 to 1.
    """
    cast, contact = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    slope = light.direction[:2] / light.direction[2]

    def project(points: np.ndarray, along: np.ndarray) -> np.ndarray | None:
        ground = points[:, :2] - points[:, 2:] * along
        image = np.column_stack([ground, np.ones(len(ground))]) @ to_pixels.T
        if image[:, 2].min() < _NEAR:
            return None
        pixels = 16 * image[:, :2] / image[:, 2:]
        return np.clip(pixels, -1e6, 1e6).astype(np.int32)

    for body in bodies:
        for piece in body.solid.pieces:
            if isinstance(piece, Torus):
                path = body.to_world(piece.path())
                line, below = project(path, slope), project(path, 0 * slope)
                if line is None or below is None:
                    continue
                scale = np.linalg.norm(to_pixels[:2, :2]) / (to_pixels[2] @ [*body.position[:2], 1])
                thickness = max(round(1.5 * piece.minor * scale), 1)
                cv2.polylines(cast, [line], not piece.clear, 255, thickness, cv2.LINE_AA, 4)
                if not piece.clear:
                    cv2.polylines(contact, [below], True, 255, thickness, cv2.LINE_AA, 4)
        outlines = [body.to_world(points) for points in body.solid.body_outlines]
        lowest = min((points[:, 2].min() for points in outlines), default=0.0)
        for points in outlines:
            hull = project(points, slope)
            if hull is not None:
                cv2.fillConvexPoly(cast, cv2.convexHull(hull), 255, cv2.LINE_AA, 4)
            low = points[points[:, 2] < lowest + 0.035]
            foot = project(low, 0 * slope) if len(low) else None
            if foot is not None:
                cv2.fillConvexPoly(contact, cv2.convexHull(foot), 255, cv2.LINE_AA, 4)
    soft = max(light.softness * size[0], 0.4)
    cast = cv2.GaussianBlur(cast, (0, 0), soft)
    contact = cv2.GaussianBlur(contact, (0, 0), max(0.02 * size[0], 0.4))
    return cast.astype(np.float32) / 255, contact.astype(np.float32) / 255
