# SPDX-License-Identifier: Apache-2.0
"""Boxes and their encoding against priors.

Corner form is x1, y1, x2, y2; centre form is cx, cy, w, h. Both as fractions of the image unless
said otherwise. The encoding is SSD's (Liu et al., ECCV 2016, eq. 2) with its usual variances.
"""

from __future__ import annotations

import torch
from torch import Tensor

CENTER_VARIANCE = 0.1
SIZE_VARIANCE = 0.2


def center_to_corners(boxes: Tensor) -> Tensor:
    """(..., 4) cx, cy, w, h to x1, y1, x2, y2."""
    half = 0.5 * boxes[..., 2:]
    return torch.cat([boxes[..., :2] - half, boxes[..., :2] + half], dim=-1)


def corners_to_center(boxes: Tensor) -> Tensor:
    """(..., 4) x1, y1, x2, y2 to cx, cy, w, h."""
    centers = (boxes[..., :2] + boxes[..., 2:]) / 2
    return torch.cat([centers, boxes[..., 2:] - boxes[..., :2]], dim=-1)


def decode_boxes(offsets: Tensor, priors: Tensor) -> Tensor:
    """Apply regressed offsets to their priors.

    Args:
        offsets: (..., P, 4) tx, ty, tw, th.
        priors: (P, 4) in centre form.

    Returns:
        (..., P, 4) in corner form, not clamped to the image.
    """
    centers = priors[..., :2] + offsets[..., :2] * CENTER_VARIANCE * priors[..., 2:]
    sizes = priors[..., 2:] * torch.exp(offsets[..., 2:] * SIZE_VARIANCE)
    top_left = centers - sizes / 2
    return torch.cat([top_left, top_left + sizes], dim=-1)


def encode_boxes(boxes: Tensor, priors: Tensor) -> Tensor:
    """The offsets that `decode_boxes` turns back into `boxes`.

    Args:
        boxes: (P, 4) in corner form with positive width and height.
        priors: (P, 4) in centre form.

    Returns:
        (P, 4) tx, ty, tw, th.
    """
    centers = (boxes[..., :2] + boxes[..., 2:]) / 2
    sizes = boxes[..., 2:] - boxes[..., :2]
    return torch.cat(
        [
            (centers - priors[..., :2]) / (CENTER_VARIANCE * priors[..., 2:]),
            torch.log(sizes / priors[..., 2:]) / SIZE_VARIANCE,
        ],
        dim=-1,
    )
