# SPDX-License-Identifier: Apache-2.0
"""The tracker's constants, chosen on scenes of `yolact_ros.scenes.SEEDS["constants"]`."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from yolact_ros.errors import InputError


@dataclass(frozen=True)
class TrackerSettings:
    """How a `Tracker` judges. Sizes of boxes are square roots of their areas.

    Attributes:
        buffer: Seconds for which a thing that is not seen is remembered.
        high_score: Score from which on a detection is matched in the first round.
        low_score: Score below which a detection is not looked at.
        start_score: Score from which on a detection that nothing explains is a new thing.
        min_iou: Least IoU of a detection's box and the box that is expected.
        class_cost: IoU that a detection of another class must have more.
        duplicate_iou: Mask IoU above which two detections show the same thing.
        recent: Seconds for which a thing that is not seen is matched like those that are.
        lost_class_cost: Share of the reach that is lost to a detection of another class, when a
            thing is looked for that was lost.
        reach: How far from where it is expected a thing is found again, in sizes of its box.
        reach_speed: How much farther for each second that it was not seen, in image diagonals.
        space_reach: How far from where it was in space a thing may be, in metres.
        space_reach_speed: How much farther for each second since then, in metres.

    Raises:
        InputError: A value is not a finite number of 0 or more.
    """

    buffer: float = 3.0
    high_score: float = 0.4
    low_score: float = 0.15
    start_score: float = 0.5
    min_iou: float = 0.2
    class_cost: float = 0.2
    duplicate_iou: float = 0.35
    recent: float = 0.5
    lost_class_cost: float = 0.25
    reach: float = 0.35
    reach_speed: float = 0.5
    space_reach: float = 0.2
    space_reach_speed: float = 0.5

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"{field.name}: expected a number of 0 or more, got {value}")
