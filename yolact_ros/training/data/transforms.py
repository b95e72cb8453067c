# SPDX-License-Identifier: Apache-2.0
"""The random changes of an `Augmentation`, with torchvision's transforms where it has them.

All of them draw from torch's global CPU generator.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from yolact_ros.training.data.augmentation import Augmentation

_MEAN_COLOR = (124, 117, 104)
"""RGB, of ImageNet: what becomes nearly 0 in the network."""


class IouCrop(v2.RandomIoUCrop):
    """torchvision's crop, except that an image without boxes is left whole."""

    def forward(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Crop a sample with "boxes"."""
        if not len(sample["boxes"]):
            return sample
        result: dict[str, Any] = super().forward(sample)
        return result


class WindowCrop(nn.Module):
    """Crops to a window of roughly the image's aspect ratio, whatever objects it cuts.

    Args:
        p: Probability of a crop.
        smallest: Smallest side as a fraction of the image's.
    """

    def __init__(self, p: float, smallest: float) -> None:
        super().__init__()
        self.p = p
        self.smallest = smallest

    def forward(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Crop all parts of a sample with "image"."""
        chance, side, stretch, down, right = torch.rand(5).tolist()
        if chance >= self.p:
            return sample
        image_height, image_width = sample["image"].shape[-2:]
        side = self.smallest + (1 - self.smallest) * side
        stretch = 0.93 + 0.14 * stretch
        height = min(max(round(image_height * side * stretch), 1), image_height)
        width = min(max(round(image_width * side / stretch), 1), image_width)
        top = int(down * (image_height - height + 1))
        left = int(right * (image_width - width + 1))
        return {name: F.crop(part, top, left, height, width) for name, part in sample.items()}


def geometry_of(augmentation: Augmentation) -> v2.Compose:
    """Make the transform that moves pixels, to be applied before the resize.

    Returns:
        Takes and returns a dict of "image" (`tv_tensors.Image`), "boxes" (`BoundingBoxes`) and any
        number of `Mask`s. Dropped boxes have no area.
    """
    steps: list[nn.Module] = []
    if augmentation.zoom_out:
        fill = {tv_tensors.Image: _MEAN_COLOR, "others": 0}
        side_range = (1.0, augmentation.largest_zoom_out)
        steps.append(v2.RandomZoomOut(fill=fill, side_range=side_range, p=augmentation.zoom_out))
    if augmentation.iou_crop:
        steps.append(IouCrop())
    if augmentation.window_crop:
        steps.append(WindowCrop(augmentation.window_crop, augmentation.smallest_window))
    if augmentation.mirror:
        steps.append(v2.RandomHorizontalFlip(augmentation.mirror))
    return v2.Compose([*steps, v2.ClampBoundingBoxes()])


def photometric_of(augmentation: Augmentation) -> v2.Compose:
    """Make SSD's colour changes, in its order and strengths.

    torchvision's `RandomPhotometricDistort` has them too, but also permutes colour channels, which
    YOLACT's training leaves out.

    Returns:
        Takes and returns a `tv_tensors.Image`.
    """

    def sometimes(**strength: tuple[float, float]) -> v2.RandomApply:
        return v2.RandomApply([v2.ColorJitter(**strength)], augmentation.photometric)

    contrast = sometimes(contrast=(0.5, 1.5))
    color = [sometimes(saturation=(0.5, 1.5)), sometimes(hue=(-0.05, 0.05))]
    first_or_last = v2.RandomChoice(
        [v2.Compose([contrast, *color]), v2.Compose([*color, contrast])]
    )
    return v2.Compose([sometimes(brightness=(0.875, 1.125)), first_or_last])


def recolor(image: npt.NDArray[np.uint8], augmentation: Augmentation) -> npt.NDArray[np.uint8]:
    """Change contrast, brightness and tint of an (H, W, 3) uint8 RGB image at random."""
    gain, shift, *tint = (2 * torch.rand(5, dtype=torch.float64) - 1).tolist()
    gain = 1 + augmentation.contrast * gain
    channels = 1 + augmentation.tint * np.array(tint)
    levels = np.arange(256)[:, None]
    table = ((levels - 128) * gain + 128) * channels + augmentation.brightness * shift
    table = np.clip(table, 0, 255).round().astype(np.uint8)
    recolored: npt.NDArray[np.uint8] = cv2.LUT(image, table[:, None, :])
    return recolored
