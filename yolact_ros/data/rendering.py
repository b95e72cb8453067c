# SPDX-License-Identifier: Apache-2.0
"""Ray casting and shading of single bodies, and their shadows on the table."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from yolact_ros.data.camera import CameraIntrinsics, CameraPose
from yolact_ros.data.layout import Body
from yolact_ros.data.shapes import Face, Hits, Rays, Torus

_NEAR = 0.05


@dataclass(frozen=True, eq=False)
class Light:
    """Light of a scene.

    Attributes:
        direction: (3,) unit vector towards the lamp, in the world.
        color: (3,) RGB strength of the lamp.
        ambient: (3,) RGB strength of the light from everywhere.
        softness: width of the shadows' edges, as a share of the image's height.
        pool: (x, y, radius) of the lamp's pool of light on the table, metres.
    """

    direction: np.ndarray
    color: np.ndarray
    ambient: np.ndarray
    softness: float
    pool: tuple[float, float, float]


@dataclass(eq=False)
class Canvas:
    """What is drawn on: `color` (H, W, 3), `depth` (H, W), both float32, `owner` (H, W) uint8."""

    color: np.ndarray
    depth: np.ndarray
    owner: np.ndarray


@dataclass(frozen=True)
class Footprint:
    """Where a body may be seen.

    Attributes:
        silhouette: pixels of its whole silhouette, hidden parts and parts outside included.
        window: rows and columns of the image that hold all that is visible.
    """

    silhouette: int
    window: tuple[slice, slice]


NOWHERE = Footprint(0, (slice(0, 0), slice(0, 0)))


def _bounds(pixels: np.ndarray, intrinsics: CameraIntrinsics) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1), end exclusive, around the pixels and at most one image beyond the image."""
    low, high = np.floor(pixels.min(axis=0)) - 1, np.ceil(pixels.max(axis=0)) + 2
    w, h = intrinsics.width, intrinsics.height
    x0, x1 = np.clip([low[0], high[0]], -w, 2 * w).astype(int)
    y0, y1 = np.clip([low[1], high[1]], -h, 2 * h).astype(int)
    return int(x0), int(y0), int(x1), int(y1)


def draw_body(
    canvas: Canvas, body: Body, owner: int, *, time: float, intrinsics: CameraIntrinsics,
    camera: CameraPose, light: Light,
) -> Footprint:  # fmt: skip
    """Casts rays at a body, and shades it where it is nearest.

    Args:
        canvas: drawn on, in place.
        body: what is drawn.
        owner: number that is written into `canvas.owner`.
        time: seconds.
        intrinsics: of the camera.
        camera: its pose.
        light: of the scene.

    Returns:
        Where it may be seen; nowhere if it comes closer than 5 cm to the camera's plane.
    """
    rotation, position = body.pose(time)
    to_camera = camera.rotation @ rotation  # solid to camera axes
    offset = camera.rotation @ (position - camera.eye)
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
    footprint = Footprint(len(hit), window)
    if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
        r, c = rows[hit], cols[hit]
        hit = hit[(r >= 0) & (r < height) & (c >= 0) & (c < width)]
    target = rows[hit] * width + cols[hit]
    front = hits.depth[hit] < canvas.depth.reshape(-1)[target]
    if not front.all():
        hit, target = hit[front], target[front]
    if not len(hit):
        return footprint
    t = hits.depth[hit]
    d = (dx[hit], dy[hit], dz[hit])
    point = (t * d[0] + np.float32(ox), t * d[1] + np.float32(oy), t * d[2] + np.float32(oz))
    color = _shade(body, point, d, hits.piece[hit], rotation, position, light)
    canvas.depth.reshape(-1)[target] = t
    canvas.owner.reshape(-1)[target] = owner
    canvas.color.reshape(-1, 3)[target] = color
    return footprint


Vector = tuple[np.ndarray, ...]


def _surface(body: Body, point: Vector, piece_number: np.ndarray) -> tuple[Vector, Vector]:
    """Normals (not of unit length, of either sign) and (column, row) in the texture of hits."""
    x, y, z = point
    pieces = body.solid.pieces
    columns = np.float32(body.solid.texture.shape[1])
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
        start = rows[piece_number, 0]
        return normal, (across * (columns - 1), start + (rows[piece_number, 1] - start) * (1 - up))
    angle = cv2.phase(x, y).ravel()
    column = angle * np.float32(columns / (2 * np.pi))
    if isinstance(pieces[0], Torus):
        squeeze = 1 - np.float32(pieces[0].major) / np.sqrt(x * x + y * y)
        row = pieces[0].rows
        half = np.float32(0.5 / pieces[0].minor)
        return (x * squeeze, y * squeeze, z), (
            column, row[0] + (row[1] - row[0]) * (z * half + np.float32(0.5)),
        )  # fmt: skip
    table = np.array(
        [(0,) * 6 if isinstance(p, Torus | Face) else p.coefficients() for p in pieces], np.float32
    )
    s, e, f, row0, row_z, row_rho = (c.take(piece_number) for c in table.T.copy())
    nx, ny, nz = s * x, s * y, e + f * z
    row = row0 + row_z * z + row_rho * np.sqrt(x * x + y * y)
    last = pieces[-1]
    if isinstance(last, Torus):  # a handle
        on = np.flatnonzero(piece_number == len(pieces) - 1)
        hx, hz = x[on] - np.float32(last.center_x), z[on] - np.float32(last.center_z)
        squeeze = 1 - np.float32(last.major) / np.sqrt(hx * hx + hz * hz)
        nx[on], ny[on], nz[on] = hx * squeeze, y[on], hz * squeeze
        row[on] = last.rows[0]
    return (nx, ny, nz), (column, row)


def _shade(
    body: Body, point: Vector, d: Vector, piece_number: np.ndarray, rotation: np.ndarray,
    position: np.ndarray, light: Light,
) -> np.ndarray:  # fmt: skip
    """Colours (N, 3) float32 of hits: ambient, Lambert, and Blinn-Phong highlight."""
    normal, (column, row) = _surface(body, point, piece_number)
    facing = normal[0] * d[0] + normal[1] * d[1] + normal[2] * d[2]
    length = normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2]
    scale = np.copysign(1 / np.sqrt(length + np.float32(1e-20)), -facing)
    nx, ny, nz = (v * scale for v in normal)

    lamp = (rotation.T @ light.direction).astype(np.float32)
    up = rotation[2].astype(np.float32)
    lambert = np.maximum(nx * lamp[0] + ny * lamp[1] + nz * lamp[2], 0)
    sky = nx * up[0] + ny * up[1] + nz * up[2]
    height = point[0] * up[0] + point[1] * up[1] + point[2] * up[2]
    height += np.float32(position[2])
    # Near the table less light arrives from around (contact occlusion).
    around = (np.float32(0.75) + np.float32(0.25) * sky) * np.minimum(
        np.float32(0.62) + height * np.float32(9), 1
    )
    per_length = -1 / np.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
    half = tuple(d[i] * per_length + lamp[i] for i in range(3))
    gloss = np.maximum(nx * half[0] + ny * half[1] + nz * half[2], 0)
    gloss = gloss * gloss / (half[0] * half[0] + half[1] * half[1] + half[2] * half[2])
    for _ in range(body.solid.shininess - 1):
        gloss = gloss * gloss

    count = len(column)
    padded = -(-count // 256) * 256  # cv2.remap takes no side beyond 32767
    maps = np.zeros((2, padded), np.float32)
    maps[0, :count], maps[1, :count] = column, row
    albedo = cv2.remap(
        body.solid.texture, maps[0].reshape(-1, 256), maps[1].reshape(-1, 256),
        cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP,
    )  # fmt: skip
    # cv2.transform, because NumPy is slow where the innermost axis has length 3, and matrix
    # products would wake the threads of its BLAS.
    tints = np.stack([light.color, light.ambient], axis=1).astype(np.float32)
    gain = cv2.transform(cv2.merge([lambert, around]), tints)
    gloss *= np.float32(255 * body.solid.specular)
    color = cv2.multiply(albedo.reshape(-1, 1, 3)[:count], gain, dtype=cv2.CV_32F)
    return cv2.add(color, cv2.transform(gloss.reshape(-1, 1, 1), tints[:, :1])).reshape(-1, 3)


def shadow_maps(
    bodies: tuple[Body, ...], time: float, to_pixels: np.ndarray, size: tuple[int, int],
    light: Light,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Shadows on the table.

    Args:
        bodies: what casts them.
        time: seconds.
        to_pixels: homography (3, 3) from the table to the maps' pixels.
        size: (height, width) of the maps.
        light: of the scene.

    Returns:
        Shadow of the lamp and shadow of the ambient light, float32 (height, width), 0 to 1.
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
        rotation, position = body.pose(time)
        for piece in body.solid.pieces:
            if isinstance(piece, Torus):
                path = piece.path() @ rotation.T + position
                line, below = project(path, slope), project(path, 0 * slope)
                if line is None or below is None:
                    continue
                scale = np.linalg.norm(to_pixels[:2, :2]) / (to_pixels[2] @ [*position[:2], 1])
                thickness = max(round(1.5 * piece.minor * scale), 1)
                cv2.polylines(cast, [line], not piece.clear, 255, thickness, cv2.LINE_AA, 4)
                if not piece.clear:
                    cv2.polylines(contact, [below], True, 255, thickness, cv2.LINE_AA, 4)
        if isinstance(body.solid.pieces[0], Torus):
            continue
        points = body.solid.body_outline @ rotation.T + position
        hull = project(points, slope)
        if hull is not None:
            cv2.fillConvexPoly(cast, cv2.convexHull(hull), 255, cv2.LINE_AA, 4)
        low = points[points[:, 2] < points[:, 2].min() + 0.035]
        foot = project(low, 0 * slope)
        if foot is not None:
            cv2.fillConvexPoly(contact, cv2.convexHull(foot), 255, cv2.LINE_AA, 4)
    soft = max(light.softness * size[0], 0.4)
    cast = cv2.GaussianBlur(cast, (0, 0), soft)
    contact = cv2.GaussianBlur(contact, (0, 0), max(0.02 * size[0], 0.4))
    return cast.astype(np.float32) / 255, contact.astype(np.float32) / 255
