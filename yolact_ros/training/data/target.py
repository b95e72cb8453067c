# SPDX-License-Identifier: Apache-2.0
"""One training image and its ground truth."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy.typing as npt
import torch
from torch import Tensor

from yolact_ros.errors import InputError


@dataclass(frozen=True, eq=False)
class Target:
    """The N true objects of one image, and its neutral regions.

    Attributes:
        boxes: (N, 4) float32 x1, y1, x2, y2 as fractions of the image; x1 < x2, y1 < y2.
        class_ids: (N,) int64, 0-based, background not counted.
        masks: (N, h, w) float32 in [0, 1], or bool, at any resolution.
        crowd_boxes: (M, 4) regions, as `boxes`, where objects are not told apart or where the rest
            of one is that a crop has cut away.

    Raises:
        InputError: A shape is wrong, or a box has no area.
    """

    boxes: Tensor
    class_ids: Tensor
    masks: Tensor
    crowd_boxes: Tensor = field(default_factory=lambda: torch.zeros((0, 4)))

    def __post_init__(self) -> None:
        count = len(self.class_ids)
        for name in ("boxes", "crowd_boxes"):
            boxes = getattr(self, name)
            rows = count if name == "boxes" else len(boxes)
            if boxes.shape != (rows, 4):
                raise InputError(f"{name}: expected shape ({rows}, 4), got {tuple(boxes.shape)}")
            if not bool((boxes[:, 2:] > boxes[:, :2]).all()):
                raise InputError(f"{name}: expected x1 < x2 and y1 < y2, got {boxes.tolist()}")
        if self.masks.ndim != 3 or len(self.masks) != count:
            raise InputError(
                f"masks: expected shape ({count}, h, w), got {tuple(self.masks.shape)}"
            )

    def __len__(self) -> int:
        return len(self.class_ids)

    def to(self, device: torch.device) -> Target:
        """Return a copy on another device."""
        moved = copy.copy(self)
        # Not by the constructor, whose checks would make a GPU wait.
        for name in ("boxes", "class_ids", "masks", "crowd_boxes"):
            object.__setattr__(moved, name, getattr(self, name).to(device))
        return moved


class Sample(NamedTuple):
    """One training image.

    Attributes:
        image: (S, S, 3) RGB: uint8, or int16 where colours beyond 0 to 255 are kept.
        target: Its objects, in the order of the file, with masks (N, S, S) bool; and its crowds.
    """

    image: npt.NDArray[Any]
    target: Target
