# SPDX-License-Identifier: Apache-2.0
"""Condenses measurements to figures, and parts them into groups."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .measure import MIN_ELONGATION, Errors, Measurement
from .sets import EVERY_PIXEL, FAR, NEAR, NETWORK, SAMPLE_COUNTS, SAMPLED, TRUE

CHI_SQUARE_95 = 7.815
"""95 % of the squared distances of three dimensions are below it, where the covariance is true."""

MIN_VISIBLE = 0.5
"""Share of a thing that must be seen; less is in the figures of occlusion alone."""

NEAREST, FARTHEST = 0.45, 1.1
"""Distances in metres of what is on the table near the camera."""


@dataclass(frozen=True)
class Spread:
    """Median, 95th percentile and maximum of values; NaN of none."""

    count: int
    median: float
    p95: float
    largest: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Percentiles are interpolated linearly."""
        array = np.fromiter(values, float)
        if not len(array):
            return cls(0, math.nan, math.nan, math.nan)
        return cls(len(array), *map(float, np.percentile(array, (50, 95, 100))))


@dataclass(frozen=True)
class Consistency:
    """How true covariances are.

    Attributes:
        count: Number of boxes.
        nees: Mean of the squared distances (NEES), divided by 3: 1 where covariances are true, more
            where the boxes are worse than they say.
        inside: Share of the true centres in the ellipsoid that should hold 95 %.
    """

    count: int
    nees: float
    inside: float

    @classmethod
    def of(cls, squares: Iterable[float]) -> Consistency:
        """Of squared Mahalanobis distances in three dimensions; NaN of none."""
        array = np.fromiter(squares, float)
        if not len(array):
            return cls(0, math.nan, math.nan)
        return cls(len(array), float(array.mean()) / 3, float((array < CHI_SQUARE_95).mean()))


@dataclass(frozen=True)
class Figures:
    """Figures of some measurements. Lengths are millimetres, angles degrees, shares 0 to 1.

    Attributes:
        things: Number of things.
        recall: Share of them that an object was measured of.
        centre: Errors of the aligned boxes' centres.
        naive: Errors of the mask's centroid at the median depth.
        size: Error of each aligned box's worst axis, as a share of its longest edge.
        axis: Error of each axis of the aligned boxes, as a share of its own length.
        yaw: Errors of the directions of elongated things, where they are known.
        yaw_unknown: Share of elongated things whose direction is said to be unknown.
        covariance: Of the aligned boxes.
        upright: Of the upright boxes that have a direction.
        coverage: Of the masks with depth.
        deviation: The greatest standard deviation of the centre that each aligned box states.
    """

    things: int
    recall: float
    centre: Spread
    naive: Spread
    size: Spread
    axis: Spread
    yaw: Spread
    yaw_unknown: float
    covariance: Consistency
    upright: Consistency
    coverage: Spread
    deviation: Spread

    @classmethod
    def of(cls, measured: Sequence[Measurement]) -> Figures:
        """Condense measurements; NaN stands for figures of nothing."""
        found: list[Errors] = [one.errors for one in measured if one.errors is not None]
        boxes = [one.aligned for one in found]
        long = [one.yaw for one in found if one.yaw.elongation >= MIN_ELONGATION]
        known = [yaw for yaw in long if yaw.known]
        shares = [box.sizes / np.maximum(box.true_sizes, 1e-6) for box in boxes]
        return cls(
            things=len(measured),
            recall=len(found) / len(measured) if measured else math.nan,
            centre=Spread.of(1000 * box.centre for box in boxes),
            naive=Spread.of(1000 * one.naive for one in found),
            size=Spread.of(box.sizes.max() / box.true_sizes.max() for box in boxes),
            axis=Spread.of(np.concatenate(shares) if shares else ()),
            yaw=Spread.of(math.degrees(yaw.error) for yaw in known),
            yaw_unknown=1 - len(known) / len(long) if long else math.nan,
            covariance=Consistency.of(box.square for box in boxes),
            upright=Consistency.of(one.upright.square for one in found if one.upright is not None),
            coverage=Spread.of(one.coverage for one in found),
            deviation=Spread.of(1000 * box.deviation for box in boxes),
        )


@dataclass(frozen=True)
class Group:
    """One row of a table: measurements that have something in common."""

    name: str
    measured: tuple[Measurement, ...]


def of_table(measured: Iterable[Measurement], sensor: str = "real") -> list[Measurement]:
    """What is on the table near the camera, and seen well enough for figures to be held."""
    return [
        one
        for one in measured
        if one.scenes == NEAR
        and one.sensor == sensor
        and one.visible >= MIN_VISIBLE
        and NEAREST <= one.distance <= FARTHEST
    ]


def sampled(measured: Iterable[Measurement], samples: int) -> list[Measurement]:
    """What was measured by some pixels of a true mask, and is seen well enough."""
    return [
        one
        for one in measured
        if one.scenes == SAMPLED and one.samples == samples and one.visible >= MIN_VISIBLE
    ]


def with_masks(measured: Iterable[Measurement], masks: str) -> list[Measurement]:
    """Those with masks of a name."""
    return [one for one in measured if one.masks == masks]


def grouped(measured: Sequence[Measurement]) -> dict[str, list[Group]]:
    """Part the measurements on the table by what makes them better or worse.

    Returns:
        Groups by the title of what parts them: distance, occlusion, kind, masks, depth camera,
        pixels looked at. Only one has measurements of another camera than "real".
    """
    table = of_table(measured)
    whole = [one for one in measured if one.scenes in (NEAR, FAR) and one.sensor == "real"]
    seen = [one for one in whole if one.visible >= MIN_VISIBLE]
    near = [one for one in whole if one.scenes == NEAR]
    kinds = sorted({one.kind for one in table})
    sensors = list(dict.fromkeys(one.sensor for one in measured))
    return {
        "distance": _ranges(
            seen, lambda one: one.distance, (0.3, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0, 3.0), "{} to {} m"
        ),
        "share that is seen": _ranges(
            near, lambda one: 100 * one.visible, (10, 30, 50, 70, 90, 100), "{} to {} %"
        ),
        "kind": [Group(kind, tuple(one for one in table if one.kind == kind)) for kind in kinds],
        "mask": [
            Group("true", tuple(with_masks(table, TRUE))),
            *_ranges(
                with_masks(table, NETWORK),
                lambda one: one.iou,
                (0.5, 0.8, 0.9, 1),
                "network, IoU {} to {}",
            ),
        ],
        "depth camera": [Group(sensor, tuple(of_table(measured, sensor))) for sensor in sensors],
        "pixels looked at": [
            Group("all" if count == EVERY_PIXEL else str(count), tuple(sampled(measured, count)))
            for count in SAMPLE_COUNTS
        ],
    }


def _ranges(
    measured: Sequence[Measurement],
    value: Callable[[Measurement], float],
    limits: Sequence[float],
    name: str,
) -> list[Group]:
    """Groups between neighbouring limits that have something in them, the last limit included."""
    groups = []
    for low, high in itertools.pairwise(limits):
        last = high == limits[-1]
        inside = tuple(one for one in measured if low <= value(one) and (value(one) < high or last))
        if inside:
            groups.append(Group(name.format(f"{low:g}", f"{high:g}"), inside))
    return groups
