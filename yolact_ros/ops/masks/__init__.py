# SPDX-License-Identifier: Apache-2.0
"""Masks of kept detections: assembled at image resolution, cropped by their boxes, packed to bits.

In: prototypes and coefficients of the network, and boxes. Out: `PackedMasks`, in one buffer on the
device of the prototypes.

    M = sigmoid(P C^T), cropped by the box, enlarged, thresholded (YOLACT paper, section 3.2)

Read `crop` first, which the training uses, too; then `cpu` (NumPy), and for GPUs `torch` (the
steps, and their plain version), `triton` (the same steps as kernels) and `steps` (which of them).
"""

from __future__ import annotations

from torch import Tensor, int32, tensor  # this package has a module `torch` of its own

from .cpu import assemble_on_cpu
from .crop import PackedMasks
from .steps import device_steps
from .torch import MaskSteps, TorchSteps, assemble_batch

__all__ = ["MaskSteps", "PackedMasks", "TorchSteps", "assemble_batch", "assemble_masks"]


def assemble_masks(
    prototypes: Tensor,
    coefficients: Tensor,
    boxes: Tensor,
    image_size: tuple[int, int],
) -> PackedMasks:
    """Assemble the masks of kept detections at image resolution, each inside its box only.

    Equal to enlarging the whole cropped prototype-resolution mask bilinearly
    (align_corners=False) and thresholding it, up to rounding at a mask's border, at a cost that
    follows the boxes' area. Nothing of the size of N images is held. On a GPU it waits for the
    device once.

    Args:
        prototypes: (h, w, k) of one image, after ReLU, of any floating type.
        coefficients: (N, k). N may be 0.
        boxes: (N, 4) in corner form, as fractions of the image. A box that is not a number gives
            an empty mask at no cost.
        image_size: (height, width) of the image in pixels.

    Returns:
        N packed masks, in the order of the boxes, on the device of the prototypes.
    """
    if not prototypes.is_cuda:
        return assemble_on_cpu(prototypes, coefficients, boxes, image_size)
    sizes = tensor([image_size], dtype=int32, device=prototypes.device)
    steps = device_steps(prototypes.device)
    return assemble_batch(prototypes[None], coefficients[None], boxes[None], sizes, steps)
