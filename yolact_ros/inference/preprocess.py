# SPDX-License-Identifier: Apache-2.0
"""From images to the network's input."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from yolact_ros.choices import CHANNEL_ORDERS, RESIZE_KINDS
from yolact_ros.errors import InputError, expect_one_of
from yolact_ros.ops.kernels import works
from yolact_ros.ops.resize import NormalizedResize, normalization_factors
from yolact_ros.ops.resize_kernel import resize_into
from yolact_ros.presets import Preset

_COARSEST_STRIDE = 32
_SIZES_KEPT = 16


def check_image(image: Any) -> npt.NDArray[np.uint8]:
    """Return the image if it is a non-empty (H, W, 3) uint8 array.

    Raises:
        InputError: It is something else.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        got = image.dtype if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(f"image: expected a NumPy array of uint8, got {got}")
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise InputError(f"image: expected shape (H, W, 3) with H, W >= 1, got {image.shape}")
    return image


def channel_orders(channel_order: str | Sequence[str], count: int) -> tuple[str, ...]:
    """The channel order of each of `count` images, given once for all or once for each.

    Raises:
        InputError: One is neither "bgr" nor "rgb", or their number is not that of the images.
    """
    if isinstance(channel_order, str):
        orders: tuple[str, ...] = (channel_order,) * count
    else:
        orders = tuple(channel_order)
    if len(orders) != count:
        raise InputError(f"channel_order: expected one or {count}, got {len(orders)}")
    for order in orders:
        expect_one_of("channel_order", order, CHANNEL_ORDERS)
    return orders


class Preprocessor:
    """Resizes images to the network's input, normalises them and orders their channels as RGB.

    The whole image becomes the whole input, with no border: fractions of the input are fractions of
    the image, so that boxes and masks need no other inverse. As published, resizing is bilinear
    without anti-aliasing, in float, and never rounded.

    Args:
        preset: Input size S and normalisation.
        device: Where images are resized; they are uploaded as uint8.
        dtype: Of the result.
        resize: "square" (published): S x S whatever the aspect ratio. "fit": the long side becomes
            S and the short one follows to the nearest pixel, but not below one cell of the coarsest
            backbone map, 32.
    """

    def __init__(
        self, preset: Preset, device: torch.device, dtype: torch.dtype, resize: str = "square"
    ) -> None:
        expect_one_of("resize", resize, RESIZE_KINDS)
        self._side = preset.input_size
        self._device = device
        self._dtype = dtype
        self._fit = resize == "fit"
        self._normalization = preset.normalization
        self._resize = functools.lru_cache(_SIZES_KEPT)(self._make_resize)
        self._kernel = self._make_kernel() if device.type == "cuda" else None

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the network's input for an image of that size."""
        if not self._fit:
            return self._side, self._side
        scale = self._side / max(height, width)
        return (
            max(round(height * scale), _COARSEST_STRIDE),
            max(round(width * scale), _COARSEST_STRIDE),
        )

    def __call__(
        self, images: Sequence[npt.NDArray[np.uint8]], channel_order: str | Sequence[str]
    ) -> Tensor:
        """Prepare a batch.

        Args:
            images: B arrays (H, W, 3) uint8, of any memory layout, and of any sizes that have the
                same `input_size`.
            channel_order: "bgr" or "rgb", for all images or one for each.

        Returns:
            (B, 3, h, w), channels last in memory.
        """
        frames = [_as_tensor(check_image(image)).to(self._device) for image in images]
        orders = channel_orders(channel_order, len(frames))
        batch = [
            self._resize((frame.shape[0], frame.shape[1]), order)(frame)
            for frame, order in zip(frames, orders, strict=True)
        ]
        stacked = torch.stack(batch) if len(batch) > 1 else batch[0][None]
        # (B, h, w, 3) in memory is (B, 3, h, w) with channels last.
        return stacked.to(self._dtype).permute(0, 3, 1, 2)

    def place(self, frame: Tensor, channel_order: str, place: Tensor) -> None:
        """Write an image, resized and normalised, into its place of a batch.

        Args:
            frame: (H, W, 3) uint8 on the device, contiguous.
            channel_order: "bgr" or "rgb".
            place: (3, h, w) of a batch with channels last.
        """
        rows = place.permute(1, 2, 0)
        if self._kernel is None:
            rows.copy_(self._resize((frame.shape[0], frame.shape[1]), channel_order)(frame))
        else:
            self._kernel(frame, rows, reverse=channel_order == "bgr")

    def _make_resize(self, size: tuple[int, int], channel_order: str) -> NormalizedResize:
        return NormalizedResize(
            size,
            self.input_size(*size),
            channels=(0, 1, 2) if channel_order == "rgb" else (2, 1, 0),
            mean=self._normalization.mean,
            std=self._normalization.std,
            device=self._device,
        )

    def _make_kernel(self) -> Callable[..., None] | None:
        """The kernel that does all of it in one launch; None if it cannot be built here."""
        scale, shift = normalization_factors(
            self._normalization.mean, self._normalization.std, self._device
        )
        kernel = functools.partial(resize_into, scale=scale, shift=shift)
        size = (7, 5)
        frame = torch.arange(7 * 5 * 3, dtype=torch.uint8, device=self._device).view(*size, 3)

        def small_case() -> Tensor:
            place = torch.zeros(*self.input_size(*size), 3, device=self._device)
            kernel(frame, place, reverse=True)
            return place

        def plain() -> Tensor:
            return self._make_resize(size, "bgr")(frame)

        return kernel if works("resizing on a GPU", small_case, plain) else None


def _as_tensor(image: npt.NDArray[np.uint8]) -> Tensor:
    # torch takes neither negative strides nor arrays that must not be written to.
    if not image.flags.writeable or min(image.strides) < 0:
        image = image.copy()
    return torch.from_numpy(image)
