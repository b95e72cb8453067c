# SPDX-License-Identifier: Apache-2.0
"""Masks by the steps of a device."""

import torch

from yolact_ros.ops.masks import TorchSteps, assemble_batch


def assemble_one(prototypes, coefficients, boxes, image_size, steps, room=None):
    """`assemble_masks` of one image by given steps."""
    sizes = torch.tensor([image_size], dtype=torch.int32)
    return assemble_batch(*batch_of([(prototypes, coefficients, boxes)]), sizes, steps, room)


def batch_of(cases):
    """Prototypes, coefficients and boxes of several images, stacked."""
    return [torch.stack(parts) for parts in zip(*cases, strict=True)]


class OfWhatIsUsed(TorchSteps):
    """Torch's steps, which else take the time of the whole room."""

    def pack(self, logits, regions, size):
        packed, bounds = super().pack(logits, regions, int(regions.starts[-1]))
        return torch.nn.functional.pad(packed, (0, size - len(packed))), bounds

    def trim(self, packed, regions, rectangles):
        used = super().trim(packed[: int(regions.starts[-1])], regions, rectangles)
        return torch.nn.functional.pad(used, (0, len(packed) - len(used)))
