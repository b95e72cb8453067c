# SPDX-License-Identifier: Apache-2.0
"""Adds what other tools want of an annotation file, and this package does without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pycocotools import mask as coco_mask

from yolact_ros.datasets.segmentation import extent_of, run_lengths_of


def completed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Add the boxes, areas and crowd marks that sound content lacks, see `problems.examine`."""
    sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    annotations = [_completed(each, *sizes[each["image_id"]]) for each in content["annotations"]]
    return {**content, "annotations": annotations}


def _completed(entry: dict[str, Any], height: int, width: int) -> dict[str, Any]:
    if {"bbox", "area", "iscrowd"} <= entry.keys():
        return entry
    runs = run_lengths_of(entry["segmentation"], height, width)
    is_polygons = isinstance(entry["segmentation"], list)
    left, top, right, bottom = extent_of(entry["segmentation"] if is_polygons else runs)
    computed = {
        "bbox": [left, top, right - left, bottom - top],
        "area": float(coco_mask.area(runs)),
        "iscrowd": 0,
    }
    return {**computed, **entry}
