# SPDX-License-Identifier: Apache-2.0
"""Which samples are the object's visible surface.

The core's clusters in depth are judged first. Then the border comes back, where it goes on from the
surface beside it, and the foot of walls, which is as low as the plane. Where depth is missing, the
mask still says where the object ends: there its surface goes on at the depth of what is nearest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from yolact_ros.space.clusters import main_clusters
from yolact_ros.space.samples import Samples
from yolact_ros.space.support import SupportPlane

STEP = 0.25
"""Depth from the nearest core sample by which others may differ, as a share of the length."""

MIN_STEP = 0.008  # metres
FOOT = 0.005
"""Distance along the plane, in metres, from the nearest core sample for low ones that are kept.

They are the foot of an upright wall; the table beside it is farther away.
"""

NEIGHBOURHOOD = 1.0
"""Depth from the kept samples' median up to which a rejected one is doubtful, in lengths."""

FAR_SIDES = ((1.0, 0.025), (2.0, 0.12))
"""How far behind, in lengths, which share of the kept samples may be an object's far side.

Something may hide a part of the object, so that it is longer than it looks.
"""

FAR_SIDE_SPREAD = 0.22
"""Between the quartiles of a far side's depths, at most, in lengths."""

CONTINUOUS_SPREAD = 0.3
"""The same where most of its samples have a neighbour at about their depth."""

SCATTERED_SHARE = 0.035
"""Share of the kept samples that it must have where most have no such neighbour."""

CONTINUATION = 0.1
"""Difference in depth of neighbours on one surface, in lengths."""

MAX_CONTINUED = 0.15
"""Share of a far side's border that goes on beside it, at most."""

MIN_BORDER = 0.1
"""Share of a far side that is its border with others; without, it is seen through a hole."""


@dataclass(frozen=True, eq=False)
class Surface:
    """What was decided about the samples: (N, P) bool each.

    Attributes:
        kept: Samples of the object, those with missing depth among them.
        doubtful: Samples in the mask that might be decided the other way: what was rejected
            although it is not far in depth, far sides that were kept, and missing depth.
        beside: Samples beside the mask that would be kept if they were in it. Where there are
            many, the mask has missed a part of the object or ends at something that touches it.
    """

    kept: npt.NDArray[np.bool_]
    doubtful: npt.NDArray[np.bool_]
    beside: npt.NDArray[np.bool_]

    def of(self, chosen: npt.NDArray[np.bool_]) -> Surface:
        """The surfaces of the chosen masks: (N,) bool."""
        return Surface(self.kept[chosen], self.doubtful[chosen], self.beside[chosen])


def find_surface(samples: Samples, support: SupportPlane | None) -> Surface:
    """Decide which samples belong to the object of their mask.

    Args:
        samples: At least one sample of at least one mask.
        support: The plane that things stand on, if there is one.
    """
    depth = samples.points[:, 2]
    main = main_clusters(samples)
    lengths = samples.lengths[:, None]
    follows = np.take_along_axis(main, samples.nearest, axis=1) & ~samples.core
    filled = follows & samples.missing
    step = np.abs(depth - np.take_along_axis(depth, samples.nearest, axis=1))
    follows &= step < np.maximum(MIN_STEP, STEP * lengths)
    if support is not None:
        _drop_table(follows, samples, support)
    kept = main | (follows & samples.inside)
    middle = (depth * kept).sum(axis=1) / np.maximum(kept.sum(axis=1), 1)
    farther = depth - middle[:, None]
    doubtful = samples.inside & ~kept & ~samples.low
    doubtful &= np.abs(farther) < NEIGHBOURHOOD * lengths
    rejected = samples.inside & ~kept & ~samples.low & (farther > 0)
    numbers = np.maximum(kept.sum(axis=1), 1)
    for reach, share in FAR_SIDES:
        behind = rejected & (farther < reach * lengths)
        for i in np.flatnonzero(behind.sum(axis=1) >= share * numbers):
            others = (samples.inside[i] | samples.outside[i]) & ~(kept[i] | behind[i])
            if _is_far_side(samples, i, behind[i], others, numbers[i]):
                kept[i] |= behind[i]
                doubtful[i] |= behind[i]
    return Surface(kept | filled, doubtful | filled, beside=follows & samples.outside)


def _is_far_side(
    samples: Samples,
    i: int,
    behind: npt.NDArray[np.bool_],
    others: npt.NDArray[np.bool_],
    number: int,
) -> bool:
    """Whether what is seen behind an object is its own far side, and nothing else.

    The far side of a ring or a bowl that is seen edge-on is a thin strip, as is what a mask takes
    from a thing behind. But that goes on beside the mask, and mixed pixels are at all depths.

    Args:
        samples: Of all masks.
        i: Number of the mask.
        behind: (P,) what is behind the object.
        others: (P,) what is neither of the two, in the mask and beside it.
        number: How many samples were kept of the object before.
    """
    depth, length = samples.points[i, 2], samples.lengths[i]
    low, high = np.quantile(depth[behind], (0.25, 0.75))
    if high - low > CONTINUOUS_SPREAD * length:
        return False
    strip, beside = np.flatnonzero(behind), np.flatnonzero(others)
    border = strip[_touches(samples, i, strip, beside).any(axis=1)]
    if len(border) < MIN_BORDER * len(strip):
        return False
    continuous = _continued(samples, i, strip, strip) >= 0.5
    if not continuous and len(strip) < SCATTERED_SHARE * number:
        return False
    if not continuous and high - low > FAR_SIDE_SPREAD * length:
        return False
    return _continued(samples, i, border, beside[~samples.low[i, beside]]) < MAX_CONTINUED


def _continued(
    samples: Samples, i: int, some: npt.NDArray[np.intp], others: npt.NDArray[np.intp]
) -> float:
    """Share of some samples that have a neighbour among others at about their depth."""
    depth = samples.points[i, 2]
    near = np.abs(depth[some, None] - depth[others]) < CONTINUATION * samples.lengths[i]
    return np.count_nonzero((_touches(samples, i, some, others) & near).any(axis=1)) / len(some)


def _touches(
    samples: Samples, i: int, some: npt.NDArray[np.intp], others: npt.NDArray[np.intp]
) -> npt.NDArray[np.bool_]:
    """Whether some samples are neighbours of others in the image: (some, others)."""
    rows, columns = samples.cells[i].astype(np.int16)
    touches = np.abs(rows[some, None] - rows[others]) <= 1
    touches &= np.abs(columns[some, None] - columns[others]) <= 1
    return touches & (some[:, None] != others)


def _drop_table(follows: npt.NDArray[np.bool_], samples: Samples, support: SupportPlane) -> None:
    """Take out low samples that are farther along the plane from the core than a wall's foot."""
    row, at = np.nonzero(follows & samples.low)
    offset = samples.points[row, :, at] - samples.points[row, :, samples.nearest[row, at]]
    rise = offset @ support.normal.astype(np.float32)
    along = np.einsum("ik,ik->i", offset, offset) - rise * rise
    follows[row, at] = along < FOOT**2
