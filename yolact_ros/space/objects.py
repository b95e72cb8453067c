# SPDX-License-Identifier: Apache-2.0
"""Instances and depth in, objects in space out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from yolact_ros.errors import InputError
from yolact_ros.space.boxes import quaternions, upright_axes
from yolact_ros.space.camera import Camera
from yolact_ros.space.covariance import fit_boxes, pose_covariances, yaw_variances
from yolact_ros.space.depth import at_image_size
from yolact_ros.space.overlaps import part_overlaps
from yolact_ros.space.samples import take_samples
from yolact_ros.space.support import find_support
from yolact_ros.space.surface import find_surface
from yolact_ros.structures import Instances, Objects

SAMPLES = 900
"""How many pixels of a mask are looked at, at most and about, unless more are asked for."""

MIN_POINTS = 8
"""Objects of fewer points are left out."""


def objects(
    instances: Instances,
    depth: npt.NDArray[np.float32],
    camera: Camera,
    up: Sequence[float] | npt.NDArray[np.floating] | None = None,
    *,
    samples: int = SAMPLES,
) -> Objects:
    """Measure where instances are and how large their visible surfaces are.

    >>> from yolact_ros.structures import PackedMask
    >>> mask = np.zeros((48, 64), bool)
    >>> mask[10:30, 20:50] = True
    >>> instances = Instances(
    ...     image_size=(48, 64),
    ...     boxes=np.array([[20, 10, 50, 30]], np.float32),
    ...     scores=np.ones(1, np.float32),
    ...     class_ids=np.zeros(1, np.int64),
    ...     class_names=("sign",),
    ...     packed_masks=(PackedMask.from_array(mask),),
    ... )
    >>> camera = Camera(width=64, height=48, fx=60.0, fy=60.0, cx=31.5, cy=23.5)
    >>> depth = np.where(mask, np.float32(1.2), np.float32(3.0))
    >>> found = objects(instances, depth, camera)
    >>> found.centres.round(2).tolist(), found.sizes.round(1).tolist()
    ([[0.06, -0.08, 1.2]], [[0.6, 0.4, 0.0]])

    Args:
        instances: N instances of an image.
        depth: (h, w) float32 metres along the optical axis of the image's camera, at the image's
            size or an integer multiple or fraction of it. 0, NaN, negative numbers and more than
            200 m are missing.
        camera: The camera of the image.
        up: (3,) the direction against gravity in the camera's frame, of any length. With it, boxes
            are upright; without, they are along the camera's axes.
        samples: How many pixels of a mask are looked at, at most and about, 1 or more. More take
            longer and are a little more exact (docs/space.md).

    Returns:
        The objects of the instances that have depth, in their order, in the camera's frame.

    Raises:
        InputError: The depth, the camera or `up` do not fit the image or have no meaning, or
            `samples` is less than 1.
    """
    if samples < 1:
        raise InputError(f"samples: expected 1 or more, got {samples}")
    camera.expect_image_size(instances.image_size)
    depth = at_image_size(depth, camera.image_size)
    direction = None if up is None else _unit(up)
    numbers = np.array([i for i, mask in enumerate(instances.packed_masks) if not mask.empty], int)
    masks = [instances.packed_masks[i] for i in numbers]
    if not masks:
        return Objects.none()
    crops = [mask.to_array().view(np.uint8) for mask in masks]
    support = find_support(masks, crops, depth, camera)
    own = part_overlaps(masks, crops)
    taken = take_samples(masks, own, depth, camera, support, samples)
    surface = find_surface(taken, support)

    points = (surface.kept & taken.inside).sum(axis=1)
    found = points >= MIN_POINTS
    if not found.any():
        return Objects.none()
    taken, surface = taken.of(found), surface.of(found)
    axes, elongated = np.tile(np.eye(3), (len(taken), 1, 1)), None
    orientations = np.tile([0.0, 0.0, 0.0, 1.0], (len(taken), 1))
    coordinates = taken.points
    if direction is not None:
        axes, elongated = upright_axes(taken.points, surface.kept, direction)
        orientations = quaternions(axes)
        coordinates = axes.astype(np.float32) @ taken.points
    boxes = fit_boxes(coordinates, taken, surface, math.sqrt(camera.fx * camera.fy))
    yaw = None if elongated is None else yaw_variances(boxes, elongated)
    return Objects(
        instances=numbers[found] + 1,
        centres=np.einsum("nai,na->ni", axes, boxes.middles),
        sizes=boxes.sizes,
        orientations=orientations,
        covariances=pose_covariances(axes, boxes.variances, yaw),
        coverages=taken.coverages.astype(np.float32),
        points=points[found],
    )


def _unit(up: Sequence[float] | npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    try:
        direction = np.asarray(up, np.float64)
    except (TypeError, ValueError, OverflowError):
        direction = np.zeros(0)
    length = float(np.linalg.norm(direction))
    if direction.shape != (3,) or not 1e-6 < length < 1e6:
        raise InputError(f"up: expected a direction of 3 finite numbers, got {up!r}")
    return direction / length
