# SPDX-License-Identifier: Apache-2.0
"""Instances in the COCO results format: one dictionary per instance, masks as compressed RLE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from yolact_ros.structures import Instances, PackedMask


def encode_rle(mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Encodes one mask as COCO's compressed run lengths, which JSON can hold.

    Args:
        mask: (H, W) bool.

    Returns:
        ``{"size": [H, W], "counts": str}``.

    Raises:
        ValueError: The mask is not two-dimensional.
    """
    if mask.ndim != 2:
        raise ValueError(f"mask: expected shape (H, W), got {tuple(mask.shape)}")
    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}


def decode_rle(rle: dict[str, Any]) -> npt.NDArray[np.bool_]:
    """Decodes a compressed RLE to an (H, W) bool mask; the inverse of `encode_rle`."""
    return np.asarray(coco_mask.decode(rle), dtype=bool)


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
        ``bbox`` (x, y, width, height in pixels), ``score`` (times the mask score where there is
        one) and ``segmentation`` (compressed RLE).

    Raises:
        ValueError: A class id has no category id.
    """
    height, width = instances.image_size
    results = []
    for index, packed in enumerate(instances.packed_masks):
        x1, y1, x2, y2 = (float(value) for value in instances.boxes[index])
        score = float(instances.scores[index])
        if multiply_mask_scores and instances.mask_scores is not None:
            score *= float(instances.mask_scores[index])
        results.append(
            {
                "image_id": int(image_id),
                "category_id": _category_id(int(instances.class_ids[index]), category_ids),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": score,
                "segmentation": encode_rle(_full_mask(packed, height, width)),
            }
        )
    return results


def _category_id(class_id: int, category_ids: Sequence[int] | None) -> int:
    if category_ids is None:
        return class_id + 1
    if not 0 <= class_id < len(category_ids):
        raise ValueError(
            f"category_ids: expected one for class id {class_id}, got {len(category_ids)} in all"
        )
    return int(category_ids[class_id])


def _full_mask(packed: PackedMask, height: int, width: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros((height, width), dtype=bool, order="F")
    mask[packed.rectangle] = packed.to_array()
    return mask
