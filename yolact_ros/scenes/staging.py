# SPDX-License-Identifier: Apache-2.0
"""Which bodies a scene has, and where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from yolact_ros.errors import InputError
from yolact_ros.scenes.camera import CameraIntrinsics, CameraPose, View, plane_homography
from yolact_ros.scenes.ground import Ground
from yolact_ros.scenes.layout import Body, collides, hover, place, stand
from yolact_ros.scenes.objects import CLUTTER_KINDS, make_solid

_OCCLUDER = "bottle"
_OCCLUDED_PITCH = (33, 40)  # degrees: from higher up, a bottle hides nothing 15 cm behind it
_HIDDEN = (0.2, 0.7)  # share of the thing that is wanted
_GRID = 400  # pixels, which see as much as a focal length of 400 does
_OFF_CENTER = 0.06  # metres
_NEAREST = 0.1  # metres before the camera
_ASIDE = 0.12  # metres
_ATTEMPTS = 300


def spread_bodies(
    rng: np.random.Generator,
    class_names: Sequence[str],
    intrinsics: CameraIntrinsics,
    camera: CameraPose,
    ground: Ground,
    nearest: float,
) -> tuple[Body, ...]:
    """Spread bodies over the visible part of the table, none touching another.

    Args:
        rng: Random generator for the bodies.
        class_names: Kinds of bodies beside clutter.
        intrinsics, camera: What the camera sees at the start.
        ground: The table that they stand on.
        nearest: Depth in metres that no part of them comes closer than at the start.
    """
    to_table = np.linalg.inv(plane_homography(intrinsics, camera, 0.0))
    count, clutter = int(rng.integers(4, 10)), int(rng.integers(0, 4))
    kinds = [str(rng.choice(class_names)) for _ in range(count)]
    kinds += [str(rng.choice(CLUTTER_KINDS)) for _ in range(clutter)]
    bodies: list[Body] = []
    for kind in kinds:
        solid = make_solid(kind, rng)
        for _ in range(25):
            pixel = rng.uniform((0.02, 0.1), (0.98, 1.0)) * (intrinsics.width, intrinsics.height)
            x, y, w = to_table @ (*pixel, 1)
            body = place(solid, (x / w, y / w), rng, moving=bool(rng.uniform() < 0.6))
            if _outline(body, camera)[:, 2].min() < nearest:
                continue
            swept = body.swept()
            if ground.half is not None:
                reach = np.abs(swept[:, :2]) + swept[:, 2:]
                if (reach > ground.half - 0.01).any():
                    continue
            if not collides(body, bodies):
                bodies.append(body)
                break
    return tuple(bodies)


def stage_one(
    rng: np.random.Generator,
    kind: str,
    view: View,
    *,
    elevation: float,
    occluder_gap: float | None,
) -> tuple[View, tuple[Body, ...]]:
    """Put one thing before the camera, and a bottle in front of it on request.

    Args:
        rng: Random generator for both.
        kind: What to show.
        view: A view whose distance becomes that from the thing's middle.
        elevation: Height of its lowest point above the table in metres; 0: it rests on the table.
        occluder_gap: Distance in metres from its middle to the bottle's axis; None: no bottle.

    Returns:
        The view of the thing, and the bodies: the thing, then the bottle.

    Raises:
        InputError: No bottle at this distance hides a part of it without touching it.
    """
    if occluder_gap is not None:
        pitch = np.deg2rad(rng.uniform(*_OCCLUDED_PITCH))
        view = replace(view, rest=np.array([view.rest[0], pitch, view.rest[2]]))
    azimuth, pitch, distance = view.rest
    for _ in range(_ATTEMPTS):
        solid = make_solid(kind, rng)
        if elevation:
            thing = hover(solid, elevation, rng)
        else:
            thing = place(solid, (0, 0), rng, moving=False)
        height = _middle(thing)[2]
        # The optical axis passes the thing's middle, or a little beside it.
        ahead = -height / np.tan(pitch)
        x, y = rng.uniform(-_OFF_CENTER, _OFF_CENTER, 2)
        shift = [x + ahead * np.cos(azimuth), y + ahead * np.sin(azimuth), 0.0]
        thing = replace(thing, position=thing.position + shift, footprint=thing.footprint + shift)
        aimed = replace(view, rest=np.array([azimuth, pitch, distance + height / np.sin(pitch)]))
        if occluder_gap is None:
            return aimed, (thing,)
        camera = aimed.pose(0.0)
        occluder = _in_front(rng, thing, camera, occluder_gap, standing=not elevation)
        if _apart(occluder, thing) and _HIDDEN[0] < _hidden(thing, occluder, camera) < _HIDDEN[1]:
            return aimed, (thing, occluder)
    raise InputError(
        f"occluder_gap: expected a distance at which a {_OCCLUDER} hides a part of the {kind} "
        f"without touching it, such as 0.15, got {occluder_gap}"
    )


def _in_front(
    rng: np.random.Generator, thing: Body, camera: CameraPose, gap: float, *, standing: bool
) -> Body:
    """An upright bottle between thing and camera, more or less to one side.

    The gap is along the line of sight, or along the table for one that stands on it.
    """
    solid = make_solid(_OCCLUDER, rng)
    middle = _middle(thing)
    towards = camera.eye - middle
    if standing:
        towards[2] = 0.0
    aside = np.array([-towards[1], towards[0], 0.0])
    at = middle + gap * towards / np.linalg.norm(towards)
    at += rng.uniform(-_ASIDE, _ASIDE) * aside / np.linalg.norm(aside)
    at[2] = 0.0 if standing else at[2] - 0.5 * solid.height
    return stand(solid, at)


def _middle(body: Body) -> np.ndarray:
    """Centre (3,) of its bounding box in the world at rest."""
    return body.rotation @ (0.5 * (body.solid.low + body.solid.high)) + body.position


def _outline(body: Body, camera: CameraPose) -> np.ndarray:
    """Its outline (N, 3) in the camera frame at the start."""
    return camera.to_camera(body.at(0.0).to_world(body.solid.outline))


def _apart(bottle: Body, thing: Body) -> bool:
    """Whether an upright bottle leaves the corners of a thing alone."""
    away = thing.at(0.0).to_world(thing.solid.outline) - bottle.position
    return bool(np.hypot(away[:, 0], away[:, 1]).min() > bottle.solid.radius + 0.004)


def _hidden(thing: Body, occluder: Body, camera: CameraPose) -> float:
    """Share of the thing's silhouette that lies within the occluder's; holes are filled."""
    outline = _outline(thing, camera)
    if min(outline[:, 2].min(), _outline(occluder, camera)[:, 2].min()) < _NEAREST:
        return 1.0  # the camera is almost within it
    middle = outline[:, :2].mean(axis=0) / outline[:, 2].mean()
    masks = []
    for body in (thing, occluder):
        masks.append(np.zeros((_GRID, _GRID), np.uint8))
        for piece in body.solid.pieces:
            points = camera.to_camera(body.at(0.0).to_world(piece.outline()))
            pixels = (points[:, :2] / points[:, 2:] - middle) * _GRID + _GRID / 2
            cv2.fillConvexPoly(masks[-1], cv2.convexHull(pixels.astype(np.int32)), 1)
    return float(np.count_nonzero(masks[0] & masks[1]) / np.count_nonzero(masks[0]))
