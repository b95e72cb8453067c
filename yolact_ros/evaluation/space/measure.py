# SPDX-License-Identifier: Apache-2.0
"""Holds objects in space against the truth of a rendered frame."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from yolact_ros.scenes import DEPTH_MODELS, SceneFrame
from yolact_ros.scenes.visible import SurfaceBox
from yolact_ros.space import SAMPLES, Camera, Transform, objects
from yolact_ros.space.covariance import UNKNOWN_ANGLE
from yolact_ros.structures import Instances, Objects, PackedMask

MIN_IOU = 0.5
"""Mask IoU from which on an instance shows a thing."""

MIN_AREA_SHARE = 400 / (640 * 480)
"""Share of the image that a thing must have to be measured."""

MIN_ELONGATION = 1.5
"""Ratio of a true box's horizontal edges from which on its direction has a meaning."""


@dataclass(frozen=True, eq=False)
class BoxError:
    """What is wrong with a box. Lengths are metres.

    Attributes:
        centre: Distance of its centre from the true one.
        sizes: (3,) absolute errors of its edges.
        true_sizes: (3,) the true edges.
        square: Squared Mahalanobis distance of the centre from the true one by the box's own
            covariance (NEES): 3 on average where the covariance is true.
        deviation: The greatest standard deviation of the centre by that covariance.
    """

    centre: float
    sizes: npt.NDArray[np.float64]
    true_sizes: npt.NDArray[np.float64]
    square: float
    deviation: float


@dataclass(frozen=True, eq=False)
class Yaw:
    """The direction of an upright box. Angles are radians.

    Attributes:
        elongation: Ratio of the true box's horizontal edges, 1 or more.
        known: Whether the box's covariance says that its direction is known.
        error: Angle to the true direction, 0 to pi / 2.
        variance: Variance by the covariance.
    """

    elongation: float
    known: bool
    error: float
    variance: float


@dataclass(frozen=True, eq=False)
class Errors:
    """What is wrong with the object that was measured of a thing.

    Attributes:
        coverage: Share of the mask with usable depth, 0 to 1.
        aligned: The box along the camera's axes.
        upright: The box about the up direction; None where it or the true one has no direction, so
            that they are along different axes.
        yaw: The direction of the upright box.
        naive: Distance in metres from the true centre of the aligned box to the mask's centroid at
            the median depth in the mask.
    """

    coverage: float
    aligned: BoxError
    upright: BoxError | None
    yaw: Yaw
    naive: float


@dataclass(frozen=True, eq=False)
class Measurement:
    """One thing of a frame, as measured through one mask and one depth camera.

    Attributes:
        scenes: Name of the set of scenes.
        seed: Seed of the scene.
        kind: Class of the thing.
        distance: Median true depth of what is seen of it, in metres.
        visible: Share of it that is seen, 0 to 1.
        masks: Name of the masks.
        sensor: Name of the depth camera.
        samples: How many pixels of the mask were looked at, at most.
        iou: Mask IoU with the true mask; 0 where no instance shows the thing.
        errors: Those of its object; None where there is none.
    """

    scenes: str
    seed: int
    kind: str
    distance: float
    visible: float
    masks: str
    sensor: str
    samples: int
    iou: float
    errors: Errors | None


@dataclass(frozen=True, eq=False)
class Masks:
    """Masks of a frame, and which of them show its objects.

    Attributes:
        instances: The masks.
        shown: Index of the instance and mask IoU, by index of the object.
    """

    instances: Instances
    shown: Mapping[int, tuple[int, float]]

    @classmethod
    def given(cls, frame: SceneFrame, masks: Mapping[int, npt.NDArray[np.bool_]]) -> Masks:
        """Masks (H, W) of known objects, by their index."""
        things = [frame.objects[index] for index in masks]
        ious = []
        for index, mask in masks.items():
            true = frame.instance_map == index + 1
            ious.append(np.count_nonzero(true & mask) / np.count_nonzero(true | mask))
        instances = Instances(
            image_size=(frame.intrinsics.height, frame.intrinsics.width),
            boxes=np.array([thing.box for thing in things], np.float32).reshape(-1, 4),
            scores=np.ones(len(things), np.float32),
            class_ids=np.array([thing.class_id for thing in things], np.int64),
            class_names=tuple(thing.class_name for thing in things),
            packed_masks=tuple(map(PackedMask.from_array, masks.values())),
        )
        return cls(instances, dict(zip(masks, enumerate(ious), strict=True)))

    @classmethod
    def true(cls, frame: SceneFrame) -> Masks:
        """The true masks of all objects."""
        return cls.given(
            frame, {index: frame.instance_map == index + 1 for index in range(len(frame.objects))}
        )

    @classmethod
    def found(cls, frame: SceneFrame, instances: Instances) -> Masks:
        """What a network found.

        In descending order of scores, each instance takes the object that it overlaps most,
        whatever its class, if the mask IoU is at least `MIN_IOU`.
        """
        shown: dict[int, tuple[int, float]] = {}
        areas = np.array([thing.area for thing in frame.objects])
        for number, mask in enumerate(instances.packed_masks):
            if mask.empty or not len(areas):
                continue
            covered = frame.instance_map[mask.rectangle][mask.to_array()]
            common = np.bincount(covered, minlength=len(areas) + 1)[1:]
            ious = common / (areas + len(covered) - common)
            ious[list(shown)] = 0
            best = int(ious.argmax())
            if ious[best] >= MIN_IOU:
                shown[best] = number, float(ious[best])
        return cls(instances, shown)


def measure_frame(
    frame: SceneFrame,
    masks: Mapping[str, Masks],
    sensor: str,
    *,
    scenes: str,
    seed: int,
    samples: Sequence[int] = (SAMPLES,),
) -> list[Measurement]:
    """Measure the things of a frame that are not too small.

    Args:
        frame: The frame and its truth.
        masks: Masks by their name.
        sensor: Name of the depth camera, one of `DEPTH_MODELS`.
        scenes, seed: See `Measurement`; the seed decides on the noise, too.
        samples: How many pixels of a mask are looked at, one measurement after the other.
    """
    k = frame.intrinsics
    camera = Camera(k.width, k.height, k.fx, k.fy, k.cx, k.cy)
    depth = DEPTH_MODELS[sensor].measure(frame.true_depth, np.random.default_rng([seed, 7]))
    measured = []
    for (name, one), count in itertools.product(masks.items(), samples):
        errors = _errors(frame, one, depth, camera, count)
        for index, thing in enumerate(frame.objects):
            if thing.area < MIN_AREA_SHARE * frame.instance_map.size:
                continue
            seen = frame.true_depth[frame.instance_map == index + 1]
            measured.append(
                Measurement(
                    scenes=scenes,
                    seed=seed,
                    kind=thing.class_name,
                    distance=float(np.median(seen)),
                    visible=thing.visible_fraction,
                    masks=name,
                    sensor=sensor,
                    samples=count,
                    iou=one.shown.get(index, (-1, 0.0))[1],
                    errors=errors.get(index),
                )
            )
    return measured


def _errors(
    frame: SceneFrame,
    masks: Masks,
    depth: npt.NDArray[np.float32],
    camera: Camera,
    samples: int,
) -> dict[int, Errors]:
    """The errors of each object that is shown and has depth, by its index."""
    up = frame.camera.rotation[:, 2]
    aligned = objects(masks.instances, depth, camera, samples=samples)
    upright = objects(masks.instances, depth, camera, up, samples=samples)
    rows = {number - 1: row for row, number in enumerate(aligned.instances.tolist())}
    errors = {}
    for index, (number, _) in masks.shown.items():
        if number not in rows:
            continue
        row, truth = rows[number], frame.visible_surfaces[index]
        yaw = _yaw(upright, row, truth.oriented, up)
        directed = yaw.known and yaw.elongation >= MIN_ELONGATION
        mask = masks.instances.packed_masks[number]
        errors[index] = Errors(
            coverage=float(aligned.coverages[row]),
            aligned=_box_error(aligned, row, truth.aligned),
            upright=_box_error(upright, row, truth.oriented) if directed else None,
            yaw=yaw,
            naive=_naive_error(mask, depth, camera, truth.aligned),
        )
    return errors


def _box_error(found: Objects, row: int, truth: SurfaceBox) -> BoxError:
    error = found.centres[row] - truth.center
    covariance = found.covariances[row, :3, :3]
    return BoxError(
        centre=float(np.linalg.norm(error)),
        sizes=np.abs(found.sizes[row] - truth.size),
        true_sizes=truth.size,
        square=float(error @ np.linalg.solve(covariance, error)),
        deviation=float(np.sqrt(np.linalg.eigvalsh(covariance)[-1])),
    )


def _yaw(found: Objects, row: int, truth: SurfaceBox, up: npt.NDArray[np.float64]) -> Yaw:
    first = Transform.from_quaternion(found.orientations[row].tolist(), (0, 0, 0)).rotation[:, 0]
    edges = np.sort(truth.size[:2])
    variance = float(up @ found.covariances[row, 3:, 3:] @ up)
    return Yaw(
        elongation=float(edges[1] / max(edges[0], 1e-9)),
        known=variance < 0.99 * UNKNOWN_ANGLE,
        error=float(np.arccos(min(1.0, abs(first @ truth.rotation[:, 0])))),
        variance=variance,
    )


def _naive_error(
    mask: PackedMask, depth: npt.NDArray[np.float32], camera: Camera, truth: SurfaceBox
) -> float:
    """What the mask's centroid at the median depth in it is off by; there must be some depth."""
    rows, columns = np.nonzero(mask.to_array())
    depths = depth[mask.rectangle][rows, columns]
    z = float(np.median(depths[depths > 0]))
    x = (columns.mean() + mask.x_offset - camera.cx) / camera.fx * z
    y = (rows.mean() + mask.y_offset - camera.cy) / camera.fy * z
    return float(np.linalg.norm(np.array([x, y, z]) - truth.center))
