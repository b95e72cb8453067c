# SPDX-License-Identifier: Apache-2.0
"""From kept detections to instances at image resolution."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor

from yolact_ros.ops.masks import assemble_masks
from yolact_ros.structures import Detections, Instances, PackedMask


def assemble_instances(
    detections: Detections,
    mask_scores: Tensor | None,
    prototypes: Tensor,
    image_size: tuple[int, int],
    class_names: tuple[str, ...],
) -> Instances:
    """Makes the masks of one image's detections and brings everything to the host.

    Args:
        detections: N of them.
        mask_scores: (N,) predicted mask IoU, or None.
        prototypes: (h, w, k) of the image, float32.
        image_size: (height, width) of the image in pixels.
        class_names: Of the preset, by class id.

    Returns:
        N instances, in the order of the detections. Masks may be empty.
    """
    height, width = image_size
    packed = []
    for mask in assemble_masks(prototypes, detections.coefficients, detections.boxes, image_size):
        pixels = mask.mask.cpu().numpy()
        packed.append(PackedMask.from_array(pixels, mask.x_offset, mask.y_offset))
    class_ids = detections.class_ids.cpu().numpy()
    return Instances(
        image_size=(height, width),
        boxes=_pixel_boxes(detections.boxes.cpu().numpy(), height, width),
        scores=detections.scores.cpu().numpy(),
        class_ids=class_ids,
        class_names=tuple(class_names[i] for i in class_ids),
        packed_masks=tuple(packed),
        mask_scores=None if mask_scores is None else mask_scores.cpu().numpy(),
    )


def _pixel_boxes(
    boxes: npt.NDArray[np.float32], height: int, width: int
) -> npt.NDArray[np.float32]:
    """Fractions to pixels, corners in order and within the image."""
    limits = np.array([width, height], dtype=np.float32)
    first = np.minimum(boxes[:, :2], boxes[:, 2:]) * limits
    last = np.maximum(boxes[:, :2], boxes[:, 2:]) * limits
    return np.concatenate([first, last], axis=1).clip(0, np.tile(limits, 2)).astype(np.float32)
