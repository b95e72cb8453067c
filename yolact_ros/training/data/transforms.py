# SPDX-License-Identifier: Apache-2.0
"""The random changes of an `Augmentation`, with torchvision's transforms where it has them.

All of them draw from torch's global CPU generator.
"""

from __future__ import annotations

import math
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
# Of the published crop: the share of images that it leaves whole, the windows that are tried before
# that is drawn anew, and a window's smallest side, as a fraction of the image's.
_LEFT_WHOLE, _TRIALS, _SMALLEST = 1 / 6, 50, 0.3
_NEAREST, _BILINEAR = v2.InterpolationMode.NEAREST, v2.InterpolationMode.BILINEAR


class IouCrop(nn.Module):
    """The published crop: five times of six a window that contains the centre of an object.

    SSD's crop also asks for a least overlap with an object. The authors' condition for it never
    fires, and stays so because it halved their mAP when mended (dbolya/yolact at 902073d,
    utils/augmentations.py, lines 337 to 347). So no window is rejected for it here;
    torchvision's `RandomIoUCrop` would. An image without boxes is left whole.
    """

    def forward(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Crop all parts of a sample with "image" and "boxes"; dropped boxes become zeros."""
        if not len(sample["boxes"]):
            return sample
        x1, y1, x2, y2 = sample["boxes"].as_subclass(torch.Tensor).unbind(dim=1)
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        image_height, image_width = sample["image"].shape[-2:]
        while torch.rand(()) >= _LEFT_WHOLE:
            for _ in range(_TRIALS):
                across, along, rightwards, down = torch.rand(4).tolist()
                width = (_SMALLEST + (1 - _SMALLEST) * across) * image_width
                height = (_SMALLEST + (1 - _SMALLEST) * along) * image_height
                if not 0.5 <= height / width <= 2:
                    continue
                start, upper = rightwards * (image_width - width), down * (image_height - height)
                left, right = int(start), int(start + width)
                top, bottom = int(upper), int(upper + height)
                kept = (left < x) & (x < right) & (top < y) & (y < bottom)
                if kept.any():
                    cropped = _cropped(sample, top, left, bottom - top, right - left)
                    cropped["boxes"][~kept] = 0
                    return cropped
        return sample


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
        return _cropped(sample, top, left, height, width)


def _cropped(sample: dict[str, Any], *window: int) -> dict[str, Any]:
    return {name: F.crop(part, *window) for name, part in sample.items()}


class Affine(nn.Module):
    """Rotates and scales about the centre.

    Args:
        rotation: Largest angle in degrees.
        scale: Smallest and largest factor.
    """

    def __init__(self, rotation: float, scale: tuple[float, float]) -> None:
        super().__init__()
        self.rotation = rotation
        self.scale = scale

    def forward(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Move all parts of a sample with "image", and add the factor of areas as "growth"."""
        turn, growth = torch.rand(2).tolist()
        angle, (low, high) = (2 * turn - 1) * self.rotation, self.scale
        scale = low + (high - low) * growth
        moved = {
            name: F.affine(
                part,
                angle=angle,
                translate=[0, 0],
                scale=scale,
                shear=[0.0, 0.0],
                # whose bits only the nearest keeps apart
                interpolation=_NEAREST if isinstance(part, tv_tensors.Mask) else _BILINEAR,
                fill=list(_MEAN_COLOR) if isinstance(part, tv_tensors.Image) else None,
            )
            for name, part in sample.items()
        }
        return moved | {"growth": scale**2}


def geometry_of(augmentation: Augmentation) -> v2.Compose:
    """Make the transform that moves pixels, to be applied before the resize.

    Returns:
        Takes and returns a dict of "image" (`tv_tensors.Image`), "boxes" (`BoundingBoxes`) and any
        number of other boxes and `Mask`s. Dropped ones of "boxes" have no area.
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
    if augmentation.flip:
        steps.append(v2.RandomVerticalFlip(augmentation.flip))
    if turns_or_scales(augmentation):
        steps.append(Affine(augmentation.rotation, augmentation.scale))
    return v2.Compose([*steps, v2.ClampBoundingBoxes()])


def turns_or_scales(augmentation: Augmentation) -> bool:
    """Whether an `Affine` is among the changes."""
    return augmentation.rotation > 0 or augmentation.scale != (1.0, 1.0)


def blur_of(augmentation: Augmentation) -> nn.Module:
    """Make the transform that blurs the network's input, a `tv_tensors.Image`."""
    largest = augmentation.blur
    if not largest:
        return nn.Identity()
    return v2.GaussianBlur(2 * math.ceil(3 * largest) + 1, sigma=(1e-3, largest))


def recolor(
    image: npt.NDArray[np.uint8], frame: tuple[slice, slice], augmentation: Augmentation
) -> npt.NDArray[Any]:
    """Change the colours at random, in the order and way of the authors' SSD.

    torchvision's `RandomPhotometricDistort` differs: its brightness multiplies, its contrast turns
    about the image's mean, its saturation blends with grey, and it exchanges channels.

    Args:
        image: (H, W, 3) uint8 RGB.
        frame: Rows and columns that the picture fills; the canvas about it keeps its colour.
        augmentation: Its strengths.

    Returns:
        (H, W, 3) uint8; or int16, where colours are not clipped, which go beyond 0 to 255.
    """
    strengths = augmentation
    result = image.astype(np.uint8 if strengths.clip_colors else np.int16)
    if not image[frame].size:
        return result
    limits = torch.tensor(
        [strengths.brightness, strengths.exposure, strengths.saturation, strengths.hue,
         strengths.contrast, *3 * [strengths.tint]]
    )  # fmt: skip
    chance, amount, order = torch.rand(3, len(limits))
    drawn = torch.where(chance < strengths.color_chance, (2 * amount - 1) * limits, 0.0)
    brightness, exposure, saturation, hue, contrast, *tint = drawn.tolist()
    exposed_first = order[0] < 0.5
    pixels = image[frame].astype(np.float32) + np.float32(brightness)
    if exposed_first:
        pixels *= 1 + exposure
    if strengths.saturation or strengths.hue:
        hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)  # degrees, 0 to 1, as the pixels
        hsv[..., 0] = (hsv[..., 0] + hue) % 360
        hsv[..., 1] *= 1 + saturation
        pixels = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    if not exposed_first:
        pixels *= 1 + exposure
    pixels = (pixels - 128) * (1 + contrast) + 128
    pixels *= 1 + np.array(tint, np.float32)
    if strengths.clip_colors:
        pixels = pixels.clip(0, 255)
    result[frame] = pixels.round()
    return result
