# SPDX-License-Identifier: Apache-2.0
"""Masks of kept detections: assembled at image resolution, cropped by their boxes, packed to bits.

In: prototypes and coefficients of the network, and boxes. Out: `PackedMasks`, in one buffer on the
device of the prototypes.

    M = sigmoid(P C^T), cropped by the box, enlarged, thresholded (YOLACT paper, section 3.2)

Read `crop` first, which the training uses, too; then `cpu` (NumPy), and for GPUs `torch` (the
steps, and their plain version) and `triton` (the same steps as kernels).
"""

from __future__ import annotations

import functools
import importlib.util

from torch import Tensor

from .cpu import assemble_on_cpu
from .crop import PackedMasks
from .torch import MaskSteps, TorchSteps, assemble_on_device

__all__ = ["PackedMasks", "assemble_masks"]


def assemble_masks(
    prototypes: Tensor,
    coefficients: Tensor,
    boxes: Tensor,
    image_size: tuple[int, int],
    *,
    capacity: int | None = None,
) -> PackedMasks:
    """Assemble the masks of kept detections at image resolution, each inside its box only.

    Equal to enlarging the whole cropped prototype-resolution mask bilinearly
    (align_corners=False) and thresholding it, up to rounding at a mask's border, at a cost that
    follows the boxes' area. Nothing of the size of N images is held.

    Args:
        prototypes: (h, w, k) of one image, after ReLU, of any floating type.
        coefficients: (N, k). N may be 0.
        boxes: (N, 4) in corner form, as fractions of the image. A box that is not a number gives
            an empty mask at no cost, so that rows of a fixed-shape result can be left unused.
        image_size: (height, width) of the image in pixels.
        capacity: Bytes of the result's buffer on a CUDA device. With it nothing waits for the
            device; a mask that does not fit has a start of -1. None asks the device for the size.

    Returns:
        N packed masks, in the order of the boxes, on the device of the prototypes.
    """
    if not prototypes.is_cuda:
        return assemble_on_cpu(prototypes, coefficients, boxes, image_size)
    return assemble_on_device(
        prototypes, coefficients, boxes, image_size, device_steps(), capacity=capacity
    )


@functools.cache
def device_steps() -> MaskSteps:
    """Triton's kernels where Triton is installed, else torch operations."""
    if importlib.util.find_spec("triton") is None:
        return TorchSteps()
    from .triton import TritonSteps  # here, as importing Triton takes seconds

    return TritonSteps()
