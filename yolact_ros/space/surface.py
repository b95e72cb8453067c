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

STEP = 0.2
"""Depth from the nearest core sample by which others may differ, as a share of the length."""

MIN_STEP = 0.008  # metres
FOOT = 0.005
"""Distance along the plane, in metres, from the nearest core sample for low ones that are kept.

They are the foot of an upright wall; the table beside it is farther away.
"""

NEIGHBOURHOOD = 1.0
"""Depth from the kept samples' median up to which a rejected one is doubtful, in lengths."""

MIN_FAR_SIDE = 0.035
"""Share of the kept samples from which on what is behind them may be their far side."""

FAR_SIDE_SPREAD = 0.22
"""Between the quartiles of a far side's depths, at most, in lengths."""

CONTINUATION = 0.1
"""Difference in depth of what goes on beside the mask, in lengths."""

MAX_CONTINUED = 0.15
"""Samples beside the mask that go on from a far side, as a share of its samples, at most."""


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
    behind = doubtful & (farther > 0)
    for i in np.flatnonzero(behind.sum(axis=1) >= MIN_FAR_SIDE * np.maximum(kept.sum(axis=1), 1)):
        if _is_far_side(samples, i, behind[i]):
            kept[i] |= behind[i]
    return Surface(kept | filled, doubtful | filled, beside=follows & samples.outside)


def _is_far_side(samples: Samples, i: int, behind: npt.NDArray[np.bool_]) -> bool:
    """Whether what is seen behind an object is its own far side, and nothing else.

    The far side of a ring or a bowl that is seen edge-on is a thin strip, as is what a mask takes
    from a thing behind. But that goes on beside the mask, and mixed pixels are at all depths.
    """
    depth, length = samples.points[i, 2], samples.lengths[i]
    low, high = np.quantile(depth[behind], (0.25, 0.75))
    if high - low > FAR_SIDE_SPREAD * length:
        return False
    strip, beside = np.flatnonzero(behind), np.flatnonzero(samples.outside[i] & ~samples.low[i])
    cells = samples.cells[i]
    touches = (np.abs(cells[:, strip, None] - cells[:, None, beside]) <= 1).all(axis=0)
    touches &= np.abs(depth[strip, None] - depth[beside]) < CONTINUATION * length
    return bool(np.count_nonzero(touches.any(axis=0)) < MAX_CONTINUED * len(strip))


def _drop_table(follows: npt.NDArray[np.bool_], samples: Samples, support: SupportPlane) -> None:
    """Take out low samples that are farther along the plane from the core than a wall's foot."""
    row, at = np.nonzero(follows & samples.low)
    offset = samples.points[row, :, at] - samples.points[row, :, samples.nearest[row, at]]
    rise = offset @ support.normal.astype(np.float32)
    along = np.einsum("ik,ik->i", offset, offset) - rise * rise
    follows[row, at] = along < FOOT**2
