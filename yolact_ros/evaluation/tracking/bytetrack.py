# SPDX-License-Identifier: Apache-2.0
"""Plain ByteTrack, to compare with: boxes alone, and one step of the filter for each image.

Y. Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box" (ECCV 2022),
with the constants of its authors' demo for 30 frames of memory, which are 2 s at 15 Hz.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from yolact_ros.structures import Instances
from yolact_ros.tracking.motion import Motion
from yolact_ros.tracking.overlap import box_iou

_HIGH, _LOW, _NEW = 0.5, 0.1, 0.6
_FIRST_IOU, _SECOND_IOU, _NEW_IOU = 0.2, 0.5, 0.3
_MEMORY = 30  # images
_POSITION, _VELOCITY = 1 / 20, 1 / 160  # standard deviations, in heights of the box

Array = npt.NDArray[np.float64]


class ByteTrack:
    """Recognises boxes from image to image."""

    def __init__(self) -> None:
        self._next_id = 1
        self._ids = np.zeros(0, np.int64)
        self._unseen = np.zeros(0, np.int64)
        self._confirmed = np.zeros(0, np.bool_)
        self._boxes = Motion(*np.zeros((5, 0, 4)))

    def update(self, instances: Instances) -> npt.NDArray[np.int64]:
        """Take the next image into account: (N,) numbers of the tracks, 0 for none."""
        boxes, scores = instances.boxes.astype(np.float64), instances.scores
        heights = np.maximum(self._boxes.position[:, 3:] - self._boxes.position[:, 1:2], 1)
        self._boxes.predict(1.0, (_VELOCITY * heights) ** 2)
        self._unseen += 1
        chosen = np.full(len(self._ids), -1)
        high = scores >= _HIGH
        new = self._unseen == 1
        self._match(chosen, boxes, self._confirmed, high, _FIRST_IOU)
        self._match(chosen, boxes, self._confirmed & new, (scores >= _LOW) & ~high, _SECOND_IOU)
        self._match(chosen, boxes, ~self._confirmed, high, _NEW_IOU)
        rows = np.flatnonzero(chosen >= 0)
        heights = np.maximum(boxes[:, 3:] - boxes[:, 1:2], 1)
        self._boxes.correct(rows, boxes[chosen[rows]], np.square(_POSITION * heights[chosen[rows]]))
        self._unseen[rows], self._confirmed[rows] = 0, True
        free = scores >= _NEW
        free[chosen[rows]] = False
        begun = np.flatnonzero(free)
        numbers = np.arange(self._next_id, self._next_id + len(begun))
        self._next_id += len(begun)
        ids = np.zeros(len(instances), np.int64)
        ids[chosen[rows]] = self._ids[rows]
        if self._next_id == len(begun) + 1:  # the tracks of the first image are believed at once
            ids[begun] = numbers
        kept = (self._unseen <= _MEMORY) & (self._confirmed | (self._unseen == 0))
        position = np.square(2 * _POSITION * heights[begun])
        self._boxes = self._boxes[kept] + Motion.at(
            boxes[begun], position, np.square(10 * _VELOCITY * heights[begun])
        )
        self._ids = np.concatenate([self._ids[kept], numbers])
        self._unseen = np.concatenate([self._unseen[kept], np.zeros(len(begun), np.int64)])
        self._confirmed = np.concatenate([self._confirmed[kept], ids[begun] > 0])
        return ids

    def _match(
        self,
        chosen: npt.NDArray[np.int64],
        boxes: Array,
        tracks: npt.NDArray[np.bool_],
        detections: npt.NDArray[np.bool_],
        min_iou: float,
    ) -> None:
        free = detections.copy()
        free[chosen[chosen >= 0]] = False
        rows, columns = np.flatnonzero(tracks & (chosen < 0)), np.flatnonzero(free)
        iou = box_iou(self._boxes.position[rows], boxes[columns])
        first, second = linear_sum_assignment(np.where(iou >= min_iou, -iou, 0))
        made = iou[first, second] >= min_iou
        chosen[rows[first[made]]] = columns[second[made]]
