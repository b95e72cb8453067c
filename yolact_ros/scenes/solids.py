# SPDX-License-Identifier: Apache-2.0
"""Solids: shape, texture and gloss of one object.

Frames: a solid's z axis is its axis of revolution; its base is at z = 0, except for balls, boxes
and rings, whose origin is their centre.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from yolact_ros.scenes.shapes import Band, Disk, Face, Piece, Torus


@dataclass(frozen=True, eq=False)
class Solid:
    """The shape and surface of one object.

    Attributes:
        kind: Class name, or the name of a piece of clutter.
        pieces: Its surfaces, see `shapes`.
        texture: (rows, 256, 3) uint8 RGB; columns go once around.
        low, high: (3,) least and greatest corner of its bounding box in its own frame, in metres.
        radius: Widest distance from its axis without handles.
        tip_radius: Radius at its upper end (a lying cone leans on it).
        specular: Strength of the highlight, 0 to 1.
        shininess: The highlight's exponent is 2 to this power.
        flared: A base wider than the body keeps it from lying on its side.
        convex: Whether its shadow without handles is that of its convex hull.
    """

    kind: str
    pieces: tuple[Piece, ...]
    texture: np.ndarray
    low: np.ndarray
    high: np.ndarray
    radius: float
    tip_radius: float
    specular: float
    shininess: int
    flared: bool = False
    convex: bool = True

    @property
    def height(self) -> float:
        """Size along its axis."""
        return float(self.high[2] - self.low[2])

    @cached_property
    def outline(self) -> np.ndarray:
        """Points (N, 3) whose convex hull contains it."""
        return np.concatenate([piece.outline() for piece in self.pieces])

    @cached_property
    def coefficients(self) -> np.ndarray:
        """(6, pieces) float32, as in `shapes`; 0 for faces and tori."""
        rows = [p.coefficients() if isinstance(p, Band | Disk) else (0,) * 6 for p in self.pieces]
        return np.array(rows, np.float32).T.copy()

    @cached_property
    def body_outlines(self) -> tuple[np.ndarray, ...]:
        """Points (N, 3) whose convex hulls make up all of it but tori; empty for a torus."""
        outlines = [p.outline() for p in self.pieces if not isinstance(p, Torus)]
        return (np.concatenate(outlines),) if outlines and self.convex else tuple(outlines)

    @property
    def reach(self) -> float:
        """Widest distance from its axis with handles, which point along x."""
        return max(self.radius, float(self.high[0]))


@dataclass
class TextureStack:
    """Builds the texture of a solid from blocks of rows."""

    blocks: list[np.ndarray] = field(default_factory=list)

    def add(self, block: np.ndarray) -> tuple[float, float]:
        """Append (N, 256, 3) rows; return the first and last row that a piece may show."""
        start = sum(len(b) for b in self.blocks)
        self.blocks.append(block)
        return start + 1.0, start + len(block) - 2.0

    def image(self) -> np.ndarray:
        """Return all rows, (rows, 256, 3) uint8 RGB."""
        return np.concatenate(self.blocks)


def of_revolution(
    kind: str, pieces: list[Piece], texture: TextureStack, radius: float, height: float,
    rng: np.random.Generator, *, specular: float, tip_radius: float | None = None,
    base: float = 0.0, reach: float = 0.0, flared: bool = False, convex: bool = True,
) -> Solid:  # fmt: skip
    """Make a solid of revolution.

    Args:
        kind, pieces, radius, specular, flared, convex: See `Solid`.
        texture: Rows that the pieces refer to.
        height: Size along the axis in metres.
        rng: Random generator for the gloss.
        tip_radius: Radius at the upper end; None: `radius`.
        base: z of its lower end in metres.
        reach: Distance from the axis to the end of a handle along x; 0 without one.
    """
    return Solid(
        kind=kind,
        pieces=tuple(pieces),
        texture=texture.image(),
        low=np.array([-radius, -radius, base]),
        high=np.array([max(radius, reach), radius, base + height]),
        radius=radius,
        tip_radius=radius if tip_radius is None else tip_radius,
        specular=specular,
        shininess=int(rng.integers(3, 7)),
        flared=flared,
        convex=convex,
    )


def cuboid(kind: str, half: np.ndarray, blocks: list[np.ndarray], specular: float) -> Solid:
    """Make a box with its centre in the origin.

    Args:
        kind, specular: See `Solid`.
        half: (3,) half of each side in metres.
        blocks: Texture rows of the faces across x, y and z.
    """
    texture = TextureStack()
    sides = (float(half[0]), float(half[1]), float(half[2]))
    pieces = tuple(Face(sides, axis, texture.add(blocks[axis])) for axis in range(3))
    return Solid(
        kind=kind,
        pieces=pieces,
        texture=texture.image(),
        low=-half,
        high=half,
        radius=float(np.hypot(half[0], half[1])),
        tip_radius=0.0,
        specular=specular,
        shininess=4,
    )
