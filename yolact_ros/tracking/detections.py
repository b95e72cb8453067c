# SPDX-License-Identifier: Apache-2.0
"""What the tracker looks at in an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from yolact_ros.errors import InputError
from yolact_ros.structures import Instances, Objects

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
        located: (K,) bool, whether there is an object in space.
        positions: (K, 3) its centre in metres; 0 without one.
        variances: (K, 3) of its centre, along each axis; 1 without one.
        extents: (K, 3) its edges in metres; NaN without one.
    """

    rows: npt.NDArray[np.int64]
    boxes: Array
    centres: Array
    sizes: Array
    scores: Array
    class_ids: npt.NDArray[np.int64]
    areas: Array
    located: npt.NDArray[np.bool_]
    positions: Array
    variances: Array
    extents: Array

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(
        cls, instances: Instances, objects: Objects | None, settings: TrackerSettings
    ) -> Detections:
        """Leave out low scores, boxes that are not finite, and what another instance shows.

        Raises:
            InputError: The objects are of other instances.
        """
        areas = mask_areas(instances.packed_masks)
        rows = first_of_each(instances.packed_masks, areas, settings.duplicate_iou)
        usable = instances.scores[rows] >= settings.low_score
        usable &= np.isfinite(instances.boxes[rows]).all(axis=1)
        rows = rows[usable]
        boxes = instances.boxes[rows].astype(np.float64)
        count = len(rows)
        located = np.zeros(count, np.bool_)
        positions, variances = np.zeros((count, 3)), np.ones((count, 3))
        extents = np.full((count, 3), np.nan)
        if objects is not None and len(objects.instances):
            if objects.instances[-1] > len(instances):
                raise InputError(
                    f"objects: expected those of the {len(instances)} instances, "
                    f"got one of instance {objects.instances[-1]}"
                )
            object_of = np.full(len(instances), -1)
            object_of[objects.instances - 1] = np.arange(len(objects.instances))
            measured = object_of[rows]
            located = measured >= 0
            measured = measured[located]
            positions[located] = objects.centres[measured]
            axes = np.arange(3)
            variances[located] = objects.covariances[measured][:, axes, axes]
            extents[located] = objects.sizes[measured]
        return cls(
            rows=rows,
            boxes=boxes,
            centres=0.5 * (boxes[:, :2] + boxes[:, 2:]),
            sizes=np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0),
            scores=instances.scores[rows].astype(np.float64),
            class_ids=instances.class_ids[rows],
            areas=np.maximum(areas[rows], 1).astype(np.float64),
            located=located,
            positions=positions,
            variances=variances,
            extents=extents,
        )
