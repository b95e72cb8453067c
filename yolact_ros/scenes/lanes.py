# SPDX-License-Identifier: Apache-2.0
"""Stages bodies that pass before and behind one another, each in a lane of its own.

From the camera outwards there are rows across the view: boxes at rest, two lanes, and the same
again. In a lane a body goes to and fro, is carried, or crosses the view and leaves it. As no
two rows overlap, nothing ever touches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from yolact_ros.scenes.camera import CameraIntrinsics, View
from yolact_ros.scenes.layout import Body, stand
from yolact_ros.scenes.objects import make_solid
from yolact_ros.scenes.paths import Path, seconds_between
from yolact_ros.scenes.solids import Solid

LANE_PITCH = (33.0, 40.0)
"""Degrees below the horizon that the camera looks: from higher up, little is hidden."""

SPEEDS = (0.1, 0.4)
"""Least and greatest speed in m/s that a movement reaches."""

MIN_OUTSIDE = 4.0
"""Seconds that what has left the view stays outside at least."""

_GROUPS = 2
_OCCLUDER = "box"
# As wide and as tall, at least, as what passes directly behind them:
_OCCLUDER_SIDES = (0.12, 0.0, 0.125)  # metres
_OCCLUDERS_APART = (0.04, 0.14)  # of each from the middle, in halves of the view
_HIDDEN_SIDES = (0.125, 0.115, 0.09)  # metres, at most
_ATTEMPTS = 100
_GAP = 0.01  # metres between rows
_NEAREST = -0.36  # where the first row begins, in distances of the camera from the middle
_PAUSES = (0.2, 1.0)  # seconds
_LIFT = (0.03, 0.1)  # metres


def stage_lanes(
    rng: np.random.Generator,
    class_names: Sequence[str],
    view: View,
    intrinsics: CameraIntrinsics,
) -> tuple[View, tuple[Body, ...]]:
    """Fill the rows; at least two of the bodies that move are of a kind.

    Args:
        rng: Random generator for all of it.
        class_names: Kinds of bodies that move. What is at rest are boxes.
        view: Gets another pitch.
        intrinsics: Of the camera; they decide where its view ends.

    Returns:
        The view, and the bodies from near to far.
    """
    azimuth, _, distance = view.rest
    pitch = float(np.deg2rad(rng.uniform(*LANE_PITCH)))
    ahead = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    right = np.array([ahead[1], -ahead[0], 0.0])
    facing = azimuth + np.pi / 2
    ways = ["to and fro", "to and fro", *rng.permutation(["is carried", "crosses"])]
    alike = int(rng.integers(_GROUPS))
    begin = _NEAREST * distance
    bodies: list[Body] = []
    for group in range(_GROUPS):
        hidden = _solid(rng, class_names, most=_HIDDEN_SIDES)
        other = _solid(rng, (hidden.kind,) if group == alike else class_names)
        for solid, way in ((None, ""), (hidden, ways[group]), (other, ways[_GROUPS + group])):
            edge = (distance + begin * np.cos(pitch)) * intrinsics.width / 2 / intrinsics.fx
            if solid is None:
                yaws = facing + rng.uniform(-0.2, 0.2, 2)
                row = [
                    stand(_solid(rng, (_OCCLUDER,), least=_OCCLUDER_SIDES), np.zeros(3), yaw)
                    for yaw in yaws
                ]
                for place, side in enumerate((-right, right)):
                    across = (row[place].solid.outline @ row[place].rotation.T) @ side
                    aside = edge * rng.uniform(*_OCCLUDERS_APART) - across.min()
                    row[place] = replace(row[place], position=row[place].position + aside * side)
            else:
                body = stand(solid, np.zeros(3), rng.uniform(0, 2 * np.pi))
                path = _path(rng, way, edge, solid, right)
                rolling = solid.radius if solid.kind == "ball" else 0.0
                row = [replace(body, path=path, direction=right[:2], rolling_radius=rolling)]
            end = begin
            for body in row:
                reached = (body.solid.outline @ body.rotation.T + body.position) @ ahead
                shift = (begin - reached.min()) * ahead
                bodies.append(replace(body, position=body.position + shift))
                end = max(end, begin + float(np.ptp(reached)))
            begin = end + _GAP
    return replace(view, rest=np.array([azimuth, pitch, distance])), tuple(bodies)


def _solid(
    rng: np.random.Generator,
    kinds: Sequence[str],
    least: Sequence[float] = (0.0, 0.0, 0.0),
    most: Sequence[float] = (np.inf, np.inf, np.inf),
) -> Solid:
    """A solid of one of the kinds, within limits of its sides in metres if one can be found."""
    for _ in range(_ATTEMPTS):
        solid = make_solid(str(rng.choice(kinds)), rng)
        sides = solid.high - solid.low
        if (sides >= least).all() and (sides <= most).all():
            break
    return solid


def _path(rng: np.random.Generator, way: str, edge: float, solid: Solid, right: np.ndarray) -> Path:
    """A body's way along its lane, relative to the middle of the view."""
    inside, outside = edge - solid.reach - 0.02, edge + solid.reach + 0.1
    if way == "crosses":
        halts = [-outside, rng.uniform(-inside, inside), outside, rng.uniform(-inside, inside)]
    else:
        # beside the boxes at rest, so that nothing halts where it is hidden
        halts = [side * inside * rng.uniform(0.85, 1) for side in (-1, 1, -1, 1)]
    lift = np.array([0.0, 0.0, rng.uniform(*_LIFT)])
    stops: list[tuple[np.ndarray, float]] = []
    last = halts[-1] * right
    for halt in halts:
        target, speed = halt * right, rng.uniform(*SPEEDS)
        legs = [last + lift, target + lift, target] if way == "is carried" else [target]
        for point in legs:
            stops.append((point, seconds_between(last, point, speed)))
            last = point
        pause = MIN_OUTSIDE if abs(halt) > edge else 0.0
        stops.append((target, pause + rng.uniform(*_PAUSES)))
    return Path.through(stops, rng.uniform())
