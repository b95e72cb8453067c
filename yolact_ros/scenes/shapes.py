# SPDX-License-Identifier: Apache-2.0
"""Analytic solids and their ray intersections.

Every solid lives in its own frame and is made of pieces. A ray is `origin + t * direction`, where
the direction has a unit component along the optical axis, so that `t` is the depth. `trace` keeps,
for each ray, the nearest `t` and the number of the piece that was hit.

Each piece also says how a hit becomes a normal and a texture coordinate. With the hit's (x, y, z)
and its distance `rho` from the z axis: normal = (s x, s y, e + f z) and
row = row0 + row_z * z + row_rho * rho; the column is the angle about the z axis. Pieces that don't
fit that form (box faces, tori) are `Face` and `Torus`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ANGLES = np.linspace(0, 2 * np.pi, 20, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1) / np.cos(np.pi / 20)


Rows = tuple[float, float]
"""Rows of the texture at the two ends of a piece."""


@dataclass(eq=False)
class Rays:
    """Rays in a solid's frame: one origin; N directions by component, float32 each."""

    origin: tuple[float, float, float]
    dx: np.ndarray
    dy: np.ndarray
    dz: np.ndarray

    def __post_init__(self) -> None:
        ox, oy, _ = self.origin
        self.radial_a = self.dx * self.dx + self.dy * self.dy
        self.radial_b = ox * self.dx + oy * self.dy
        self.radial_c = ox * ox + oy * oy


@dataclass(eq=False)
class Hits:
    """Nearest intersections so far: `depth` (N,) float32, inf: none; `piece` (N,) uint8."""

    depth: np.ndarray
    piece: np.ndarray

    def keep(self, t: np.ndarray, valid: np.ndarray, number: int) -> None:
        """Adopt `t` where it is `valid`, positive and nearer."""
        valid &= t < self.depth
        valid &= t > 0
        np.copyto(self.depth, t, where=valid)
        np.copyto(self.piece, number, where=valid)


@dataclass(frozen=True)
class Band:
    """Part z0 <= z <= z1 of the quadric of revolution x^2 + y^2 = a + b z + c z^2.

    `inner` says that the surface is seen from within, through an opening at its upper end (the
    cavity of a mug): rays hit it on leaving.
    `rows` is the texture row at z0 and at z1.
    """

    a: float
    b: float
    c: float
    z0: float
    z1: float
    rows: Rows
    inner: bool = False

    @classmethod
    def frustum(
        cls, z0: float, r0: float, z1: float, r1: float, rows: Rows, inner: bool = False
    ) -> Band:
        """Make the straight wall from radius r0 at z0 to radius r1 at z1."""
        k = (r1 - r0) / (z1 - z0)
        apex = r0 - k * z0
        return cls(apex * apex, 2 * apex * k, k * k, z0, z1, rows, inner)

    @classmethod
    def dome(
        cls, z0: float, r0: float, z1: float, r1: float, rows: Rows, inner: bool = False
    ) -> Band:
        """Make an ellipsoidal wall from r0 at z0 to r1 at z1, vertical at the wider end."""
        zw, rw, zn, rn = (z0, r0, z1, r1) if r0 > r1 else (z1, r1, z0, r0)
        k = (rw * rw - rn * rn) / (zn - zw) ** 2
        return cls(rw * rw - k * zw * zw, 2 * k * zw, -k, z0, z1, rows, inner)

    def radius(self, z: float) -> float:
        """Return the radius at height z."""
        return float(np.sqrt(max(self.a + self.b * z + self.c * z * z, 0.0)))

    def trace(self, rays: Rays, hits: Hits, number: int) -> None:
        """Update `hits` where this piece is nearer."""
        oz = rays.origin[2]
        if self.inner and oz < self.z1:
            return  # the camera is below the opening, which is at the upper end
        a = rays.radial_a
        if self.c:
            a = a - np.float32(self.c) * (rays.dz * rays.dz)
        b = rays.radial_b
        tilt = self.b / 2 + self.c * oz
        if tilt:
            b = b - np.float32(tilt) * rays.dz
        c = np.float32(rays.radial_c - self.a - self.b * oz - self.c * oz * oz)
        root: np.ndarray = np.asarray(b * b)
        root -= a * c
        np.sqrt(root, out=root)  # NaN where the ray misses; every comparison below is then false
        if self.inner:
            root -= b
            root /= a
            t = root
        else:
            # C / (root - B) is (-B - root) / A without the cancellation, and is the entering root.
            root -= b
            t = np.divide(c, root, out=root)
        z = t * rays.dz
        valid = z >= np.float32(self.z0 - oz)
        valid &= z <= np.float32(self.z1 - oz)
        hits.keep(t, valid, number)

    def coefficients(self) -> tuple[float, float, float, float, float, float]:
        """Return (s, e, f, row0, row_z, row_rho) as in the module's docstring."""
        slope = (self.rows[1] - self.rows[0]) / (self.z1 - self.z0)
        return 1.0, -self.b / 2, -self.c, self.rows[0] - slope * self.z0, slope, 0.0

    def outline(self) -> np.ndarray:
        """Return points (N, 3) whose convex hull contains the piece."""
        straight = self.c >= 0
        middle, half = 0.5 * (self.z0 + self.z1), 0.5 * (self.z1 - self.z0)
        heights = middle + half * np.cos(np.linspace(0, np.pi, 2 if straight else 9))
        rings = [
            np.column_stack([self.radius(z) * _CIRCLE, np.full(len(_CIRCLE), z)]) for z in heights
        ]
        points = np.concatenate(rings)
        if not straight:  # the chords between the rings cut 2 % off
            points[:, :2] *= 1.04
            points[:, 2] = middle + 1.03 * (points[:, 2] - middle)
        return points


@dataclass(frozen=True)
class Disk:
    """The flat annulus r0 <= rho <= r1 at height z.

    `rows` is the texture row at r0 and at r1. It is seen from above, or (`down`) from below.
    """

    z: float
    r0: float
    r1: float
    rows: Rows
    down: bool = False

    def trace(self, rays: Rays, hits: Hits, number: int) -> None:
        """Update `hits` where this piece is nearer."""
        if (rays.origin[2] < self.z) != self.down:
            return
        t = np.float32(self.z - rays.origin[2]) / rays.dz
        rho2 = rays.radial_a * t
        rho2 += np.float32(2) * rays.radial_b
        rho2 *= t
        rho2 += np.float32(rays.radial_c)
        valid = rho2 <= np.float32(self.r1**2)
        if self.r0:
            valid &= rho2 >= np.float32(self.r0**2)
        hits.keep(t, valid, number)

    def coefficients(self) -> tuple[float, float, float, float, float, float]:
        """Return (s, e, f, row0, row_z, row_rho) as in the module's docstring."""
        slope = (self.rows[1] - self.rows[0]) / (self.r1 - self.r0)
        return 0.0, 1.0, 0.0, self.rows[0] - slope * self.r0, 0.0, slope

    def outline(self) -> np.ndarray:
        """Return points (N, 3) whose convex hull contains the piece."""
        return np.column_stack([self.r1 * _CIRCLE, np.full(len(_CIRCLE), self.z)])


@dataclass(frozen=True)
class Face:
    """The two faces of a box, centred in the origin, that are perpendicular to `axis` (0, 1, 2)."""

    half: tuple[float, float, float]
    axis: int
    rows: Rows

    def trace(self, rays: Rays, hits: Hits, number: int) -> None:
        """Update `hits` where this piece is nearer."""
        at = rays.origin[self.axis]
        if abs(at) <= self.half[self.axis]:
            return  # neither face is turned to the camera
        d = (rays.dx, rays.dy, rays.dz)
        t = np.float32(np.copysign(self.half[self.axis], at) - at) / d[self.axis]
        valid = t > 0
        for i in {0, 1, 2} - {self.axis}:
            valid &= np.abs(t * d[i] + np.float32(rays.origin[i])) <= np.float32(self.half[i])
        hits.keep(t, valid, number)

    def outline(self) -> np.ndarray:
        """Return points (N, 3) whose convex hull contains the piece."""
        signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
        return signs * self.half


@dataclass(frozen=True)
class Torus:
    """A torus about `axis` (1: y, 2: z), without what lies within a cone about the z axis.

    The cone's radius is `clear` at z = 0 and grows by `clear_slope` with z; if `clear` is 0, there
    is no cone.
    `center_x` shifts it along x; `major` and `minor` are its radii. Traced by stepping along the
    ray by the distance to the surface.
    """

    major: float
    minor: float
    axis: int
    rows: Rows
    center_x: float = 0.0
    center_z: float = 0.0
    clear: float = 0.0
    clear_slope: float = 0.0
    _steps: int = 56
    _tolerance: float = 2.5e-4

    def trace(self, rays: Rays, hits: Hits, number: int) -> None:
        """Update `hits` where this piece is nearer."""
        ox, oy, oz = rays.origin
        ox -= self.center_x
        oz -= self.center_z
        outer = self.major + self.minor
        norm2 = rays.radial_a + rays.dz * rays.dz
        along = rays.radial_b - np.float32(self.center_x) * rays.dx
        along += np.float32(oz) * rays.dz
        root = along * along - norm2 * np.float32(ox * ox + oy * oy + oz * oz - outer * outer)
        index = np.flatnonzero(root >= 0)
        if not len(index):
            return
        dx, dy, dz = rays.dx[index], rays.dy[index], rays.dz[index]
        norm2, along, root = norm2[index], along[index], np.sqrt(root[index])
        t = (-along - root) / norm2
        end = (root - along) / norm2
        per_metre = 1 / np.sqrt(norm2)
        depth = np.full(rays.dx.shape, np.inf, np.float32)
        for step in range(self._steps):
            distance = self._distance(ox + t * dx, oy + t * dy, oz + t * dz)
            last = step == self._steps - 1
            # What still creeps along at the end grazes the surface.
            near = distance < (4 * self._tolerance if last else self._tolerance)
            if step % 4 == 3 or last:
                depth[index[near]] = t[near]
                go = ~near & (t < end)
                if not go.any():
                    break
                index, t, end, distance = index[go], t[go], end[go], distance[go]
                dx, dy, dz, per_metre = dx[go], dy[go], dz[go], per_metre[go]
            t = t + distance * per_metre
        hits.keep(depth, np.isfinite(depth), number)

    def _distance(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        across, rest = (y, z) if self.axis == 2 else (z, y)
        ring = np.sqrt(x * x + across * across)
        ring -= np.float32(self.major)
        distance = np.sqrt(ring * ring + rest * rest)
        distance -= np.float32(self.minor)
        if self.clear:
            x = x + np.float32(self.center_x)
            # The gap along the radius is longer than the distance: shortened so as not to overstep.
            gap = self._clearance(z + np.float32(self.center_z)) - np.sqrt(x * x + y * y)
            gap *= np.float32(1 / np.hypot(1, self.clear_slope))
            np.maximum(distance, gap, out=distance)
        return distance

    def _clearance(self, z: np.ndarray) -> np.ndarray:
        return np.float32(self.clear) + np.float32(self.clear_slope) * z

    def path(self) -> np.ndarray:
        """Return the tube's centre line (N, 3) without the part that is cut off."""
        ring: np.ndarray = np.zeros((len(_ANGLES), 3))
        ring[:, 0] = self.major * np.cos(_ANGLES) + self.center_x
        ring[:, 3 - self.axis] = self.major * np.sin(_ANGLES)
        ring[:, 2] += self.center_z
        if self.clear:
            ring = np.roll(ring, len(ring) // 2, axis=0)  # one unbroken piece
            ring = ring[np.hypot(ring[:, 0], ring[:, 1]) >= self._clearance(ring[:, 2])]
        return ring

    def outline(self) -> np.ndarray:
        """Return points (N, 3) whose convex hull contains the piece."""
        outer = self.major + self.minor
        ring = np.zeros((2 * len(_CIRCLE), 3))
        ring[:, 0] = np.tile(outer * _CIRCLE[:, 0], 2)
        ring[:, 3 - self.axis] += np.tile(outer * _CIRCLE[:, 1], 2)
        ring[:, self.axis] += np.repeat([-self.minor, self.minor], len(_CIRCLE))
        ring += (self.center_x, 0, self.center_z)
        return ring[ring[:, 0] >= 0] if self.clear else ring


Piece = Band | Disk | Face | Torus
