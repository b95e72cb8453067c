# SPDX-License-Identifier: Apache-2.0
"""Light, and the colours of ray hits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from yolact_ros.scenes.layout import PosedBody
from yolact_ros.scenes.shapes import Face, Torus
from yolact_ros.scenes.solids import Solid

Vector = tuple[np.ndarray, ...]


@dataclass(frozen=True, eq=False)
class Light:
    """The light of a scene.

    Attributes:
        direction: (3,) unit vector towards the lamp, in the world.
        color: (3,) RGB strength of the lamp.
        ambient: (3,) RGB strength of the light from everywhere.
        softness: Width of shadow edges as a share of the image's height.
        pool: (x, y, radius) of the lamp's pool of light on the table in metres.
    """

    direction: np.ndarray
    color: np.ndarray
    ambient: np.ndarray
    softness: float
    pool: tuple[float, float, float]

    @cached_property
    def tints(self) -> np.ndarray:
        """(3, 2) float32: columns `color` and `ambient`."""
        return np.stack([self.color, self.ambient], axis=1).astype(np.float32)

    @classmethod
    def random(cls, rng: np.random.Generator) -> Light:
        """Place a lamp of random strength and colour above the table."""
        azimuth, elevation = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(38, 80))
        warmth = rng.uniform(-0.12, 0.12)
        tint = np.array([1 + warmth, 1, 1 - warmth])
        share = rng.uniform(0.3, 0.65)  # of the light that comes from everywhere
        strength = rng.uniform(0.8, 1.22)
        return cls(
            direction=np.array([np.cos(azimuth) * np.cos(elevation),
                                np.sin(azimuth) * np.cos(elevation), np.sin(elevation)]),
            color=1.15 * strength * (1 - share) * tint,
            ambient=strength * share * (2 - tint),
            softness=rng.uniform(0.006, 0.03),
            pool=(rng.uniform(-0.4, 0.4), rng.uniform(-0.4, 0.4), rng.uniform(0.7, 2.5)),
        )  # fmt: skip


def _surface(solid: Solid, point: Vector, piece_number: np.ndarray) -> tuple[Vector, Vector]:
    """Normals (not of unit length, of either sign) and (column, row) in the texture of hits."""
    x, y, z = point
    pieces = solid.pieces
    columns = np.float32(solid.texture.shape[1])
    if isinstance(pieces[0], Face):
        normal = tuple((piece_number == i).astype(np.float32) for i in range(3))
        unit = [
            v * np.float32(0.5 / h) + np.float32(0.5)
            for v, h in zip(point, pieces[0].half, strict=True)
        ]
        rows = np.array([p.rows for p in pieces if isinstance(p, Face)], np.float32)
        # Seen from outside with z up, texture columns run to the right on all four sides.
        across = np.where(piece_number == 0, np.where(x > 0, unit[1], 1 - unit[1]), unit[0])
        across = np.where((piece_number == 1) & (y > 0), 1 - across, across)
        up = np.where(piece_number == 2, unit[1], unit[2])
        first, last = rows[:, 0].take(piece_number), rows[:, 1].take(piece_number)
        return normal, (across * (columns - 1), first + (last - first) * (1 - up))
    angle = cv2.phase(x, y).ravel()
    column = angle * np.float32(columns / (2 * np.pi))
    if isinstance(pieces[0], Torus):
        squeeze = 1 - np.float32(pieces[0].major) / np.sqrt(x * x + y * y)
        row = pieces[0].rows
        half = np.float32(0.5 / pieces[0].minor)
        return (x * squeeze, y * squeeze, z), (
            column, row[0] + (row[1] - row[0]) * (z * half + np.float32(0.5)),
        )  # fmt: skip
    s, e, f, row0, row_z, row_rho = (c.take(piece_number) for c in solid.coefficients)
    nx, ny, nz = s * x, s * y, e + f * z
    row = row0 + row_z * z + row_rho * np.sqrt(x * x + y * y)
    handle = pieces[-1]
    if isinstance(handle, Torus):
        on = np.flatnonzero(piece_number == len(pieces) - 1)
        hx, hz = x[on] - np.float32(handle.center_x), z[on] - np.float32(handle.center_z)
        squeeze = 1 - np.float32(handle.major) / np.sqrt(hx * hx + hz * hz)
        nx[on], ny[on], nz[on] = hx * squeeze, y[on], hz * squeeze
        row[on] = handle.rows[0]
    return (nx, ny, nz), (column, row)


def shade(
    body: PosedBody, point: Vector, d: Vector, piece_number: np.ndarray, light: Light
) -> np.ndarray:
    """Colour hits with ambient light, Lambert's law and a Blinn-Phong highlight.

    Args:
        body: The body that was hit.
        point: Components x, y, z of the hits in the solid's frame, (N,) float32 each.
        d: Components of the ray directions in the same frame, likewise.
        piece_number: (N,) uint8 index of the piece that was hit.
        light: Light of the scene.

    Returns:
        (N, 3) float32 RGB, where 255 is white.
    """
    solid, rotation = body.solid, body.rotation
    normal, (column, row) = _surface(solid, point, piece_number)
    facing = normal[0] * d[0] + normal[1] * d[1] + normal[2] * d[2]
    length = normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2]
    scale = np.copysign(1 / np.sqrt(length + np.float32(1e-20)), -facing)
    nx, ny, nz = (v * scale for v in normal)

    lamp = (rotation.T @ light.direction).astype(np.float32)
    up = rotation[2].astype(np.float32)
    lambert = np.maximum(nx * lamp[0] + ny * lamp[1] + nz * lamp[2], 0)
    sky = nx * up[0] + ny * up[1] + nz * up[2]
    height = point[0] * up[0] + point[1] * up[1] + point[2] * up[2]
    height += np.float32(body.position[2])
    # Near the table less light arrives from around (contact occlusion).
    around = (np.float32(0.75) + np.float32(0.25) * sky) * np.minimum(
        np.float32(0.62) + height * np.float32(9), 1
    )
    per_length = -1 / np.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
    half = tuple(d[i] * per_length + lamp[i] for i in range(3))
    gloss = np.maximum(nx * half[0] + ny * half[1] + nz * half[2], 0)
    gloss = gloss * gloss / (half[0] * half[0] + half[1] * half[1] + half[2] * half[2])
    for _ in range(solid.shininess - 1):
        gloss = gloss * gloss

    count = len(column)
    padded = -(-count // 256) * 256  # cv2.remap takes no side beyond 32767
    maps = np.zeros((2, padded), np.float32)
    maps[0, :count], maps[1, :count] = column, row
    albedo = cv2.remap(
        solid.texture, maps[0].reshape(-1, 256), maps[1].reshape(-1, 256),
        cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP,
    )  # fmt: skip
    # cv2.transform, because NumPy is slow where the innermost axis has length 3, and matrix
    # products would wake the threads of its BLAS.
    columns = [lambert.reshape(-1, 1), around.reshape(-1, 1)]  # OpenCV 5 knows arrays of one axis
    gain = cv2.transform(cv2.merge(columns), light.tints)
    gloss *= np.float32(255 * solid.specular)
    color = cv2.multiply(albedo.reshape(-1, 1, 3)[:count], gain, dtype=cv2.CV_32F)
    return cv2.add(color, cv2.transform(gloss.reshape(-1, 1, 1), light.tints[:, :1])).reshape(-1, 3)
