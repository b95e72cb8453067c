# SPDX-License-Identifier: Apache-2.0
"""Instances in the COCO results format: one dictionary per instance, masks as compressed RLE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from yolact_ros.errors import InputError
from yolact_ros.structures import Instances, PackedMask


def encode_packed_rle(packed: PackedMask, height: int, width: int) -> dict[str, Any]:
    """Encodes a mask that is cut to its rectangle, as `encode_mask` encodes the whole of it.

    The time goes with the rectangle's pixels, not with the image's.

    Args:
        packed: The mask.
        height, width: Of the image, in pixels.
    """
    # One column of the rectangle a row; the pixel of 0 below it ends each column's last run.
    columns = np.zeros((packed.width, packed.height + 1), dtype=np.int8)
    columns[:, :-1] = packed.to_array().T
    changes = np.flatnonzero(np.diff(columns.reshape(-1), prepend=0))
    column, row = np.divmod(changes, packed.height + 1)
    # Image pixels are counted down the columns: begin and end of each run of ones.
    edges = (packed.x_offset + column) * height + packed.y_offset + row
    begins, ends = edges[0::2], edges[1::2]
    apart = begins[1:] != ends[:-1]  # a run may go on at the top of the next column
    bounds = np.empty(2 * (np.count_nonzero(apart) + 1) if len(begins) else 0, dtype=np.int64)
    if len(begins):
        bounds[0::2] = np.concatenate([begins[:1], begins[1:][apart]])
        bounds[1::2] = np.concatenate([ends[:-1][apart], ends[-1:]])
    counts = np.diff(bounds, prepend=0, append=height * width)
    if counts[-1] == 0:
        counts = counts[:-1]
    rle = coco_mask.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)
    return {"size": [height, width], "counts": rle["counts"].decode("ascii")}


def instances_to_coco_results(
    instances: Instances,
    image_id: int,
    *,
    category_ids: Sequence[int] | None = None,
    multiply_mask_scores: bool = True,
) -> list[dict[str, Any]]:
    """Writes the instances of one image as COCO results.

    Args:
        instances: The instances of one image.
        image_id: The image's id in the annotation file.
        category_ids: The category id of each class id; None: class id + 1.
        multiply_mask_scores: Whether masks are ranked by score times mask score, where there is
            one, as published; False where the scores are products already.

    Returns:
        One JSON-ready dictionary per instance, in their order: ``image_id``, ``category_id``,
        ``bbox`` (x, y, width, height in pixels), ``score``, ``segmentation`` (compressed RLE) and,
        where ``score`` was multiplied, ``box_score``: what boxes are ranked by.

    Raises:
        ValueError: A class id has no category id.
    """
    height, width = instances.image_size
    results = []
    for index, packed in enumerate(instances.packed_masks):
        x1, y1, x2, y2 = (float(value) for value in instances.boxes[index])
        result: dict[str, Any] = {
            "image_id": int(image_id),
            "category_id": _category_id(int(instances.class_ids[index]), category_ids),
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": float(instances.scores[index]),
            "segmentation": encode_packed_rle(packed, height, width),
        }
        if multiply_mask_scores and instances.mask_scores is not None:
            result["box_score"] = result["score"]
            result["score"] *= float(instances.mask_scores[index])
        results.append(result)
    return results


def _category_id(class_id: int, category_ids: Sequence[int] | None) -> int:
    if category_ids is None:
        return class_id + 1
    if not 0 <= class_id < len(category_ids):
        raise InputError(
            f"category_ids: expected one for class id {class_id}, got {len(category_ids)} in all"
        )
    return int(category_ids[class_id])
