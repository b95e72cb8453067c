# SPDX-License-Identifier: Apache-2.0
"""Writes instances in COCO's two formats: as results, and as the annotations of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from yolact_ros.datasets.polygons import mask_polygons
from yolact_ros.datasets.segmentation import encode_mask, measured
from yolact_ros.errors import InputError
from yolact_ros.structures import Instances


def instances_to_coco_results(
    instances: Instances,
    image_id: int,
    *,
    category_ids: Sequence[int | None] | None = None,
    multiply_mask_scores: bool = True,
) -> list[dict[str, Any]]:
    """Convert the instances of one image to COCO results.

    Args:
        instances: The instances of one image.
        image_id: The image's id in the annotation file.
        category_ids: Category id of each class id; None: class id + 1. Instances of a class whose
            entry is None are left out.
        multiply_mask_scores: Whether to rank masks by score times mask score, as published; False
            if the scores are products already. No effect without mask scores.

    Returns:
        One JSON-ready dictionary per instance kept, in their order: ``image_id``, ``category_id``,
        ``bbox`` (x, y, width, height in pixels), ``score``, ``segmentation`` (compressed RLE) and,
        where ``score`` was multiplied, ``box_score``: what boxes are ranked by.

    Raises:
        InputError: A class id has no category id.
    """
    height, width = instances.image_size
    results = []
    for index, packed in enumerate(instances.packed_masks):
        category_id = _category_id(int(instances.class_ids[index]), category_ids)
        if category_id is None:
            continue
        mask = np.zeros((height, width), bool, order="F")
        mask[packed.rectangle] = packed.to_array()
        x1, y1, x2, y2 = (float(value) for value in instances.boxes[index])
        result: dict[str, Any] = {
            "image_id": int(image_id),
            "category_id": category_id,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": float(instances.scores[index]),
            "segmentation": encode_mask(mask),
        }
        if multiply_mask_scores and instances.mask_scores is not None:
            result["box_score"] = result["score"]
            result["score"] *= float(instances.mask_scores[index])
        results.append(result)
    return results


def results_to_annotations(
    results: Sequence[dict[str, Any]], instances: Instances, first_id: int, *, polygons: bool
) -> list[dict[str, Any]]:
    """Convert the results of an image to annotations, for tools that draw and edit those.

    Args:
        results: Of `instances_to_coco_results`, one for each instance.
        instances: The instances.
        first_id: Id of the first annotation; the others follow.
        polygons: Whether to outline masks by polygons, which fill holes; else as run lengths.

    Returns:
        One JSON-ready dictionary per instance: ``id``, ``image_id``, ``category_id``,
        ``segmentation``, ``bbox`` and ``area`` of that, ``iscrowd`` 0, and ``score``.
    """
    annotations: list[dict[str, Any]] = []
    for result, packed in zip(results, instances.packed_masks, strict=True):
        outline = mask_polygons(packed) if polygons else result["segmentation"]
        annotations.append(
            {
                "id": first_id + len(annotations),
                "image_id": result["image_id"],
                "category_id": result["category_id"],
                **measured(outline, *instances.image_size),
                "iscrowd": 0,
                "score": result["score"],
            }
        )
    return annotations


def _category_id(class_id: int, category_ids: Sequence[int | None] | None) -> int | None:
    if category_ids is None:
        return class_id + 1
    if not 0 <= class_id < len(category_ids):
        raise InputError(
            f"category_ids: expected one for class id {class_id}, got {len(category_ids)} in all"
        )
    return category_ids[class_id]
