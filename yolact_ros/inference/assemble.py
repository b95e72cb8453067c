# SPDX-License-Identifier: Apache-2.0
"""From kept detections to instances at image resolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from yolact_ros.errors import InputError
from yolact_ros.ops.masks import assemble_masks
from yolact_ros.structures import Detections, Instances, PackedMask


def assemble_instances(
    detections: Detections,
    mask_scores: Tensor | None,
    prototypes: Tensor,
    image_size: tuple[int, int],
    class_names: tuple[str, ...],
) -> Instances:
    """Assemble the masks of one image's detections and bring everything to the host.

    Args:
        detections: N detections.
        mask_scores: (N,) predicted mask IoU, or None.
        prototypes: (h, w, k) of the image.
        image_size: (height, width) of the image in pixels.
        class_names: The preset's, by class id.

    Returns:
        N instances, in the order of the detections. Masks may be empty.
    """
    height, width = image_size
    packed = assemble_masks(prototypes, detections.coefficients, detections.boxes, image_size)
    parts = [*packed, detections.boxes, detections.scores, detections.class_ids]
    if mask_scores is not None:
        parts.append(mask_scores)
    rectangles, bits, boxes, scores, class_ids, *rest = download(parts)
    return Instances(
        image_size=(height, width),
        boxes=pixel_boxes(boxes, height, width),
        scores=scores,
        class_ids=class_ids,
        class_names=tuple(class_names[i] for i in class_ids),
        packed_masks=split_masks(rectangles, bits),
        mask_scores=rest[0] if rest else None,
    )


def download(tensors: Sequence[Tensor]) -> list[npt.NDArray[Any]]:
    """Bring tensors of one device to the host in a single transfer.

    Returns:
        Arrays of the same shapes and types; they share one buffer if they were copied.
    """
    if all(tensor.device.type == "cpu" for tensor in tensors):
        return [tensor.detach().numpy() for tensor in tensors]
    return cut(join(tensors).cpu(), tensors)


def join(tensors: Sequence[Tensor]) -> Tensor:
    """(M,) uint8 of tensors of any shapes and types, one behind the other; see `cut`."""
    parts = [tensors[i].detach().contiguous().view(-1) for i in _widest_first(tensors)]
    return torch.cat([part.view(torch.uint8) for part in parts])


def cut(joined: Tensor, tensors: Sequence[Tensor]) -> list[npt.NDArray[Any]]:
    """The arrays of tensors that were joined, as views of what `join` gave, on the host."""
    arrays: list[npt.NDArray[Any]] = [np.zeros(0)] * len(tensors)
    start = 0
    for i in _widest_first(tensors):
        end = start + tensors[i].numel() * tensors[i].element_size()
        arrays[i] = joined[start:end].view(tensors[i].dtype).view(tensors[i].shape).numpy()
        start = end
    return arrays


def _widest_first(tensors: Sequence[Tensor]) -> list[int]:
    """Places in an order in which each part begins at a multiple of its element's size."""
    return sorted(range(len(tensors)), key=lambda i: -tensors[i].element_size())


def split_masks(
    rectangles: npt.NDArray[np.int64], bits: npt.NDArray[np.uint8]
) -> tuple[PackedMask, ...]:
    """Split `yolact_ros.ops.masks.PackedMasks` on the host into masks, each with bytes of its own.

    Raises:
        InputError: A mask did not fit into the buffer.
    """
    masks = []
    for x, y, width, height, start in rectangles.tolist():
        if start < 0:
            raise InputError(
                f"bits: expected room for every mask, got {bits.size} bytes, too few for all"
            )
        step = (width + 7) // 8
        # A copy: one kept mask must not keep those of the whole frame.
        data = bits[start : start + height * step].copy()
        masks.append(PackedMask(x, y, width, height, step, data))
    return tuple(masks)


def pixel_boxes(boxes: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float32]:
    """Convert fractions to pixels, with corners in order and within the image."""
    limits = np.array([width, height], dtype=np.float32)
    first = np.minimum(boxes[:, :2], boxes[:, 2:]) * limits
    last = np.maximum(boxes[:, :2], boxes[:, 2:]) * limits
    return np.concatenate([first, last], axis=1).clip(0, np.tile(limits, 2)).astype(np.float32)
