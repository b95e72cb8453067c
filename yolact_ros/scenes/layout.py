# SPDX-License-Identifier: Apache-2.0
"""Where things stand in a scene and how they move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolact_ros.scenes.paths import Path
from yolact_ros.scenes.solids import Solid

_SWEEP = np.linspace(-1, 1, 5)


def rotation_about(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rotation matrix (3, 3) about a unit axis by an angle in radians (Rodrigues' formula)."""
    x, y, z = axis
    s, c = np.sin(angle), np.cos(angle)
    k = 1 - c
    return np.array(
        [
            [c + k * x * x, k * x * y - s * z, k * x * z + s * y],
            [k * x * y + s * z, c + k * y * y, k * y * z - s * x],
            [k * x * z - s * y, k * y * z + s * x, c + k * z * z],
        ]
    )


def _turned(angle: float) -> np.ndarray:
    return rotation_about(np.array([0.0, 0.0, 1.0]), angle)


def _tipped(angle: float) -> np.ndarray:
    return rotation_about(np.array([0.0, 1.0, 0.0]), angle)


@dataclass(frozen=True, eq=False)
class PosedBody:
    """A solid at one moment: `rotation` (3, 3) from its axes to the world's, `position` (3,)."""

    solid: Solid
    rotation: np.ndarray
    position: np.ndarray

    def to_world(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) of the solid's frame in the world."""
        return points @ self.rotation.T + self.position


@dataclass(frozen=True, eq=False)
class Body:
    """A solid in a scene.

    Attributes:
        solid: Shape and surface.
        rotation: (3, 3) solid axes to world axes, at rest.
        position: (3,) the solid's origin in the world, at rest.
        footprint: (N, 3) circles (x, y, radius) that it covers on the table at rest.
        direction: (2,) unit vector along which it slides or rolls.
        amplitude: Amplitude of that motion in metres.
        spin: Amplitude of its rotation about the vertical in radians.
        rolling_radius: Radius if it rolls, else 0.
        rate: Angular frequency of the motion in rad/s.
        phase: Phase of the motion in radians.
        path: A way that it goes instead of sliding to and fro by `amplitude`; None: it does not.
            If the body rolls, it does along `direction`.
    """

    solid: Solid
    rotation: np.ndarray
    position: np.ndarray
    footprint: np.ndarray
    direction: np.ndarray
    amplitude: float
    spin: float
    rolling_radius: float
    rate: float
    phase: float
    path: Path | None = None

    def swept(self) -> np.ndarray:
        """The circles (N, 3) that the whole motion covers, but for a path."""
        if not self.amplitude:
            return self.footprint
        along = self.amplitude * _SWEEP[:, None] * self.direction
        shifts = np.column_stack([along, np.zeros(len(_SWEEP))])
        return (self.footprint[None] + shifts[:, None]).reshape(-1, 3)

    def at(self, time: float) -> PosedBody:
        """The body at a time in seconds."""
        swing = float(np.sin(self.rate * time + self.phase))
        shift = np.append(self.amplitude * swing * self.direction, 0.0)
        if self.path is not None:
            shift = self.path.at(time)
        rotation = self.rotation
        if self.spin:
            rotation = _turned(self.spin * swing) @ rotation
        if self.rolling_radius:
            axle = np.array([-self.direction[1], self.direction[0], 0.0])
            rolled = float(shift[:2] @ self.direction)
            rotation = rotation_about(axle, rolled / self.rolling_radius) @ rotation
        return PosedBody(self.solid, rotation, self.position + shift)


def collides(body: Body, others: Sequence[Body], gap: float = 0.004) -> bool:
    """Whether the body, anywhere in its motion, comes closer than `gap` metres to another."""
    mine = body.swept()[:, None]
    taken = np.concatenate([np.empty((0, 3)), *(other.swept() for other in others)])
    apart = np.hypot(*(mine[..., :2] - taken[:, :2]).transpose(2, 0, 1))
    return bool((apart < mine[..., 2] + taken[:, 2] + gap).any())


Posture = tuple[np.ndarray, np.ndarray, np.ndarray, float]
"""Rotation, position and footprint about (0, 0), and rolling radius, of a solid at rest."""


def _lying(solid: Solid, rng: np.random.Generator) -> Posture:
    """Lay the solid on its side."""
    dip = float(np.arctan2(solid.radius - solid.tip_radius, solid.height))
    about = rng.uniform(0.6, 1.4) * np.pi  # a lying mug's handle points up or sideways
    rotation = _turned(rng.uniform(0, 2 * np.pi)) @ _tipped(np.pi / 2 + dip) @ _turned(about)
    axis = rotation[:, 2]
    position = -0.5 * solid.height * axis
    position[2] = solid.radius * np.cos(dip)
    steps = np.linspace(0, 1, 5)[:, None] * solid.height
    points = position[:2] + steps * axis[:2]
    radii = np.full((len(points), 1), solid.reach)
    rolling = solid.radius if dip == 0 and solid.reach == solid.radius else 0.0
    return rotation, position, np.hstack([points, radii]), rolling


def _posture(solid: Solid, rng: np.random.Generator) -> Posture:
    """Choose a way for the solid to rest on the table."""
    circle = np.array([[0.0, 0.0, solid.reach]])
    yaw = _turned(rng.uniform(0, 2 * np.pi))
    chance = rng.uniform()
    if solid.kind == "ball":
        rotation = yaw @ _tipped(rng.uniform(0, np.pi)) @ _turned(rng.uniform(0, 2 * np.pi))
        return rotation, np.array([0, 0, solid.radius]), circle, solid.radius
    if solid.kind in ("box", "slab"):
        return yaw, np.array([0, 0, solid.high[2]]), circle, 0.0
    if solid.kind == "ring":
        if chance < 0.75:
            return yaw, np.array([0, 0, solid.high[2]]), circle, 0.0
        steps = np.linspace(-1, 1, 5)[:, None] * (solid.radius - solid.high[2])
        rotation = yaw @ _tipped(np.pi / 2)
        along = np.cross(rotation[:, 2], [0.0, 0.0, 1.0])[:2]
        circles = np.hstack([steps * along, np.full((5, 1), solid.high[2])])
        return rotation, np.array([0, 0, solid.radius]), circles, solid.radius
    lying_share = {
        "can": 0.3, "bottle": 0.35, "mug": 0.2, "cone": 0.2, "stick": 1.0, "dumbbell": 0.9,
    }  # fmt: skip
    if not solid.flared and chance < lying_share.get(solid.kind, 0.0):
        return _lying(solid, rng)
    if chance > 0.9 and solid.kind in ("mug", "bowl"):
        rotation = yaw @ _tipped(np.pi)
        return rotation, np.array([0, 0, solid.height]), circle, 0.0
    return yaw, np.zeros(3), circle, 0.0


def place(
    solid: Solid, place_at: tuple[float, float], rng: np.random.Generator, *, moving: bool
) -> Body:
    """Put a solid on the table.

    Args:
        solid: The solid.
        place_at: (x, y) of its centre in metres.
        rng: Random generator for posture and motion.
        moving: Whether it slides, turns or rolls.
    """
    rotation, position, footprint, rolling = _posture(solid, rng)
    shift = np.array(place_at)
    angle = rng.uniform(0, 2 * np.pi)
    direction = np.array([np.cos(angle), np.sin(angle)])
    axis = rotation[:, 2]
    if rolling and solid.kind != "ball":
        direction = np.array([-axis[1], axis[0]]) / np.hypot(axis[0], axis[1])
    amplitude = spin = 0.0
    standing = len(footprint) == 1 and not rolling
    choice, size = rng.uniform(), rng.uniform()
    rate, phase = rng.uniform(0.5, 1.1), rng.uniform(0, 2 * np.pi)
    if moving:
        if standing and choice < 0.6:
            spin = 0.6 + 1.2 * size
        if not spin or choice < 0.25:
            amplitude = (0.03 + 0.07 * size) if rolling else (0.015 + 0.035 * size)
    return Body(
        solid=solid,
        rotation=rotation,
        position=position + np.append(shift, 0.0),
        footprint=footprint + np.append(shift, 0.0),
        direction=direction,
        amplitude=amplitude,
        spin=spin,
        rolling_radius=rolling,
        rate=rate,
        phase=phase,
    )


def stand(solid: Solid, base: np.ndarray, yaw: float = 0.0) -> Body:
    """Stand a solid upright, at rest, with its lower end at a point (3,) of the world.

    Args:
        solid: The solid.
        base: The point in metres.
        yaw: By how much it is turned about the vertical, in radians.
    """
    circle = np.array([[base[0], base[1], solid.reach]])
    return _still(solid, _turned(yaw), base - np.array([0.0, 0.0, solid.low[2]]), circle)


def hover(solid: Solid, height: float, rng: np.random.Generator) -> Body:
    """Hold a solid, turned at random and at rest, with its middle above the world's origin.

    Args:
        solid: The solid.
        height: z of its lowest point in metres.
        rng: Random generator for its rotation.
    """
    first, last = rng.uniform(0, 2 * np.pi, 2)
    rotation = _turned(first) @ _tipped(float(np.arccos(rng.uniform(-1, 1)))) @ _turned(last)
    position = -rotation @ (0.5 * (solid.low + solid.high))
    position[2] = height - (solid.outline @ rotation.T)[:, 2].min()
    circle = np.array([[0.0, 0.0, 0.5 * np.linalg.norm(solid.high - solid.low)]])
    return _still(solid, rotation, position, circle)


def _still(solid: Solid, rotation: np.ndarray, position: np.ndarray, footprint: np.ndarray) -> Body:
    return Body(
        solid=solid,
        rotation=rotation,
        position=position,
        footprint=footprint,
        direction=np.array([1.0, 0.0]),
        amplitude=0.0,
        spin=0.0,
        rolling_radius=0.0,
        rate=1.0,
        phase=0.0,
    )
