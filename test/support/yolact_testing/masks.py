# SPDX-License-Identifier: Apache-2.0
"""Masks of one image by the steps of a device, and cases joined to a batch."""

import torch

from yolact_ros.ops.masks import assemble_batch


def assemble_one(prototypes, coefficients, boxes, image_size, steps, room=None):
    """`assemble_masks` of one image by given steps."""
    sizes = torch.tensor([image_size], dtype=torch.int32)
    return assemble_batch(*batch_of([(prototypes, coefficients, boxes)]), sizes, steps, room)


def batch_of(cases):
    """Prototypes, coefficients and boxes of several images, stacked."""
    return [torch.stack(parts) for parts in zip(*cases, strict=True)]
