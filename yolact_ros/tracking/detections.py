# SPDX-License-Identifier: Apache-2.0
"""What the tracker looks at in an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from yolact_ros.errors import InputError
from yolact_ros.structures import Instances

from .overlap import first_of_each, mask_areas
from .settings import TrackerSettings

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Detections:
    """The K instances of an image that are looked at, best score first.

    Attributes:
        rows: (K,) int64 their indices in the `Instances`.
        boxes: (K, 4) x1, y1, x2, y2 in pixels.
        centres: (K, 2) of the boxes.
        sizes: (K, 2) widths and heights of the boxes, at least 1.
        scores: (K,).
        class_ids: (K,) int64.
        areas: (K,) numbers of pixels of the masks, at least 1.
        located: (K,) bool, whether it is known where each is in space.
        places: (K, 3) its centre in metres; 0 where it is not known.
    """

    rows: npt.NDArray[np.int64]
    boxes: Array
    centres: Array
    sizes: Array
    scores: Array
    class_ids: npt.NDArray[np.int64]
    areas: Array
    located: npt.NDArray[np.bool_]
    places: Array

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(
        cls, instances: Instances, centres: Array | None, settings: TrackerSettings
    ) -> Detections:
        """Leave out low scores, boxes that are not finite, and what another instance shows.

        Raises:
            InputError: `centres` is not of these instances.
        """
        count = len(instances)
        if centres is None:
            centres = np.full((count, 3), np.nan)
        if centres.shape != (count, 3):
            raise InputError(
                f"centres: expected ({count}, 3), one of each instance, got {centres.shape}"
            )
        areas = mask_areas(instances.packed_masks)
        rows = first_of_each(instances.packed_masks, areas, settings.duplicate_iou)
        usable = instances.scores[rows] >= settings.low_score
        usable &= np.isfinite(instances.boxes[rows]).all(axis=1)
        rows = rows[usable]
        boxes = instances.boxes[rows].astype(np.float64)
        located = np.isfinite(centres[rows]).all(axis=1)
        return cls(
            rows=rows,
            boxes=boxes,
            centres=0.5 * (boxes[:, :2] + boxes[:, 2:]),
            sizes=np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0),
            scores=instances.scores[rows].astype(np.float64),
            class_ids=instances.class_ids[rows],
            areas=np.maximum(areas[rows], 1).astype(np.float64),
            located=located,
            places=np.where(located[:, None], centres[rows], 0.0),
        )
