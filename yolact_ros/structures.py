# SPDX-License-Identifier: Apache-2.0
"""The containers that pass between the stages.

`RawPredictions`, `TrainingPredictions` and `Detections` hold torch tensors on the network's device.
`PackedMask` and `Instances` hold NumPy arrays on the host: a consumer that only decodes masks needs
no torch, so torch is imported here for type checking alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

BACKGROUND_CLASS = 255
"""Value of pixels without an instance in `Instances.class_map`."""


class RawPredictions(NamedTuple):
    """What the network gives in evaluation mode, before decoding. B images, P priors.

    Attributes:
        offsets: (B, P, 4) box regressions (tx, ty, tw, th) relative to the priors.
        class_scores: (B, P, C) softmax probabilities, class 0 is background.
        coefficients: (B, P, k) mask coefficients after tanh, in [-1, 1].
        prototypes: (B, h, w, k) prototype masks after ReLU, channels last.
        priors: (P, 4) prior boxes cx, cy, w, h as fractions of the input side.
    """

    offsets: Tensor
    class_scores: Tensor
    coefficients: Tensor
    prototypes: Tensor
    priors: Tensor


class TrainingPredictions(NamedTuple):
    """What the network gives in training mode; as `RawPredictions` unless said otherwise.

    Attributes:
        class_logits: (B, P, C) before softmax.
        semantic_logits: (B, C - 1, h3, w3) per-pixel class logits at the resolution of P3.
    """

    offsets: Tensor
    class_logits: Tensor
    coefficients: Tensor
    prototypes: Tensor
    semantic_logits: Tensor
    priors: Tensor


class Detections(NamedTuple):
    """The N kept detections of one image, best score first, masks not yet assembled.

    Attributes:
        boxes: (N, 4) x1, y1, x2, y2 as fractions of the image, not clamped to it.
        scores: (N,) class probabilities.
        class_ids: (N,) int64, 0-based, background not counted.
        coefficients: (N, k) mask coefficients.
    """

    boxes: Tensor
    scores: Tensor
    class_ids: Tensor
    coefficients: Tensor


@dataclass(frozen=True, eq=False)
class PackedMask:
    """A binary mask as bits, cut to the tight rectangle of its own pixels.

    The rectangle may reach beyond the detection's box: published masks are cropped at prototype
    resolution and then enlarged.

    Attributes:
        x_offset, y_offset: Image column and row of the rectangle's first pixel.
        width, height: Size of the rectangle in pixels; both 0 for an empty mask.
        step: Bytes a row.
        data: (height * step,) uint8, one bit a pixel, most significant bit first, each row padded
            to a whole number of bytes.
    """

    x_offset: int
    y_offset: int
    width: int
    height: int
    step: int
    data: npt.NDArray[np.uint8]

    @classmethod
    def from_array(
        cls, region: npt.NDArray[np.bool_], x_offset: int = 0, y_offset: int = 0
    ) -> PackedMask:
        """Packs a mask.

        Args:
            region: (h, w) bool, a part of the image.
            x_offset: Image column of the region's first pixel.
            y_offset: Image row of the region's first pixel.
        """
        if region.ndim != 2 or region.dtype != np.bool_:
            raise ValueError(f"region: expected (h, w) bool, got {region.shape} {region.dtype}")
        rows = np.flatnonzero(region.any(axis=1))
        if rows.size == 0:
            return cls(0, 0, 0, 0, 0, np.zeros(0, np.uint8))
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        columns = np.flatnonzero(region[top:bottom].any(axis=0))
        left, right = int(columns[0]), int(columns[-1]) + 1
        bits = np.packbits(region[top:bottom, left:right], axis=1)
        return cls(
            x_offset=x_offset + left,
            y_offset=y_offset + top,
            width=right - left,
            height=bottom - top,
            step=bits.shape[1],
            data=bits.reshape(-1),
        )

    def to_array(self) -> npt.NDArray[np.bool_]:
        """The rectangle's pixels, (height, width) bool."""
        if self.empty:
            return np.zeros((0, 0), dtype=bool)
        rows = self.data.reshape(self.height, self.step)
        return np.unpackbits(rows, axis=1, count=self.width).view(bool)

    @property
    def empty(self) -> bool:
        """Whether the mask has no pixel."""
        return self.width == 0

    @property
    def area(self) -> int:
        """Number of pixels of the mask."""
        return int(np.count_nonzero(np.unpackbits(self.data)))

    @property
    def rectangle(self) -> tuple[slice, slice]:
        """Index of the rectangle in an image: `image[mask.rectangle]`."""
        return (
            slice(self.y_offset, self.y_offset + self.height),
            slice(self.x_offset, self.x_offset + self.width),
        )


@dataclass(frozen=True, eq=False)
class Instances:
    """The N instances found in one image, best score first.

    Attributes:
        image_size: (height, width) of the image in pixels.
        boxes: (N, 4) float32 x1, y1, x2, y2 in pixels, within the image.
        scores: (N,) float32 class probabilities in [0, 1].
        class_ids: (N,) int64, 0-based, background not counted.
        class_names: One name an instance.
        packed_masks: One mask an instance.
        mask_scores: (N,) float32 predicted mask IoU, or None without a mask-IoU head.
    """

    image_size: tuple[int, int]
    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    class_ids: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    packed_masks: tuple[PackedMask, ...]
    mask_scores: npt.NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        count = len(self.packed_masks)
        expected: dict[str, tuple[int, ...]] = {
            "boxes": (count, 4),
            "scores": (count,),
            "class_ids": (count,),
        }
        if self.mask_scores is not None:
            expected["mask_scores"] = (count,)
        for name, shape in expected.items():
            got = getattr(self, name).shape
            if got != shape:
                raise ValueError(f"{name}: expected shape {shape} for {count} masks, got {got}")
        if len(self.class_names) != count:
            raise ValueError(f"class_names: expected {count} names, got {len(self.class_names)}")

    def __len__(self) -> int:
        return len(self.packed_masks)

    @property
    def masks(self) -> npt.NDArray[np.bool_]:
        """(N, H, W) bool, unpacked at each call: N times the image in memory."""
        masks = np.zeros((len(self), *self.image_size), dtype=bool)
        for mask, packed in zip(masks, self.packed_masks, strict=True):
            mask[packed.rectangle] = packed.to_array()
        return masks

    def select(self, index: npt.NDArray[Any] | Sequence[int]) -> Instances:
        """The chosen instances, in the order of `index` (integers, or a bool for each instance)."""
        chosen = np.arange(len(self))[np.asarray(index)] if len(index) else np.zeros(0, np.int64)
        return Instances(
            image_size=self.image_size,
            boxes=self.boxes[chosen],
            scores=self.scores[chosen],
            class_ids=self.class_ids[chosen],
            class_names=tuple(self.class_names[i] for i in chosen),
            packed_masks=tuple(self.packed_masks[i] for i in chosen),
            mask_scores=None if self.mask_scores is None else self.mask_scores[chosen],
        )

    def without_empty_masks(self) -> Instances:
        """The instances that have at least one mask pixel."""
        if not any(mask.empty for mask in self.packed_masks):
            return self
        return self.select([i for i, mask in enumerate(self.packed_masks) if not mask.empty])

    def instance_map(self) -> npt.NDArray[np.uint16]:
        """(H, W) uint16: 0 background, k the k-th instance (from 1), the better score on top."""
        return self._paint(np.arange(1, len(self) + 1), background=0, dtype=np.uint16)

    def class_map(self) -> npt.NDArray[np.uint8]:
        """(H, W) uint8: the class id of the best instance at a pixel, 255 where there is none.

        Class ids of 255 and more do not fit and are left out.
        """
        return self._paint(self.class_ids, background=BACKGROUND_CLASS, dtype=np.uint8)

    def _paint(self, values: npt.NDArray[Any], background: int, dtype: Any) -> npt.NDArray[Any]:
        limit = int(np.iinfo(dtype).max)
        canvas = np.full(self.image_size, background, dtype=dtype)
        # From the worst to the best score, so that the better one ends on top.
        for value, packed in zip(values[::-1], self.packed_masks[::-1], strict=True):
            if value <= limit:
                canvas[packed.rectangle][packed.to_array()] = value
        return canvas
