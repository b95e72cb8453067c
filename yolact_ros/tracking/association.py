# SPDX-License-Identifier: Apache-2.0
"""Which detection is which track.

Two rounds by score: Y. Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every
Detection Box" (ECCV 2022), section 3. What is lost long enough for its box to have left its old
place is then looked for by the distance of centres, farther and farther away.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from .detections import Array, Detections
from .overlap import box_iou
from .settings import TrackerSettings
from .tracks import Indices, Tracks

Flags = npt.NDArray[np.bool_]

_LOST_COST = 0.1  # IoU that a track that was lost must have more, to win against one that was seen


def associate(
    tracks: Tracks, found: Detections, before: Flags, settings: TrackerSettings, diagonal: float
) -> Indices:
    """Find the detection of each track.

    Args:
        tracks: T tracks, where they are expected.
        found: K detections.
        before: (T,) whether each track was seen in the image before.
        settings: How far apart the two may be.
        diagonal: Of the image, in pixels.

    Returns:
        (T,) index of the detection, -1 if there is none.
    """
    chosen = np.full(len(tracks), -1)
    if not len(tracks) or not len(found):
        return chosen
    high = found.scores >= settings.high_score
    same_class = tracks.class_ids[:, None] == found.class_ids
    near = _near_in_space(tracks, found, settings)

    iou = box_iou(tracks.boxes, found.boxes)
    cost = 1 - iou + settings.class_cost * ~same_class + _LOST_COST * ~before[:, None]
    allowed = near & (iou >= settings.min_iou)
    _match(chosen, cost, allowed, (before | (tracks.unseen <= settings.recent))[:, None] & high)
    if not high.all():
        _match(chosen, cost, allowed, before[:, None] & ~high)
    if (chosen >= 0).all():
        return chosen

    apart = tracks.image.position[:, None] - found.centres
    reach = settings.reach * tracks.spans + settings.reach_speed * diagonal * tracks.unseen
    cost = np.hypot(apart[..., 0], apart[..., 1]) / np.maximum(reach, 1e-9)[:, None]
    cost += settings.lost_class_cost * ~same_class
    _match(chosen, cost, near & (cost < 1), high[None])
    return chosen


def _near_in_space(tracks: Tracks, found: Detections, settings: TrackerSettings) -> Flags:
    """(T, K) whether a track may be where a detection is; True where one of both is not known."""
    both = tracks.located[:, None] & found.located
    if not both.any():
        return ~both
    apart = tracks.places[:, None] - found.places
    reach = settings.space_reach + settings.space_reach_speed * tracks.place_ages
    near: Flags = np.einsum("tka,tka->tk", apart, apart) <= (reach**2)[:, None]
    return near | ~both


def _match(chosen: Indices, cost: Array, allowed: Flags, asked: Flags) -> None:
    """Match tracks and detections that are free still, at the least cost.

    A pair costs at most 1, and so does none: no pair is made dearer to make another one possible.

    Args:
        chosen: (T,) the detection of each track or -1; changed in place.
        cost: (T, K) of each pair.
        allowed: (T, K) whether the pair is possible.
        asked: What is to be matched, broadcast to (T, K).
    """
    possible = allowed & asked & (chosen < 0)[:, None]
    possible[:, chosen[chosen >= 0]] = False
    rows, columns = possible.any(axis=1).nonzero()[0], possible.any(axis=0).nonzero()[0]
    if not len(rows):
        return
    part = rows[:, None], columns
    first, second = linear_sum_assignment(
        np.where(possible[part], np.minimum(cost[part], 1.0), 1.0)
    )
    rows, columns = rows[first], columns[second]
    made = possible[rows, columns]
    chosen[rows[made]] = columns[made]
