# SPDX-License-Identifier: Apache-2.0
"""From a rendered scene to one training sample: crop, mirror, colour, square resize, targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from yolact_ros.training.scene_store import SceneStore, StoredScene
from yolact_ros.data.target import Target

Array = npt.NDArray[Any]


class Sample(NamedTuple):
    """One training image.

    Attributes:
        image: (S, S, 3) uint8 RGB.
        target: Its objects; masks at prototype resolution hold the covered fraction of each pixel.
    """

    image: Array
    target: Target


@dataclass(frozen=True)
class Augmentation:
    """How strongly samples are varied. With the defaults of `Augmentation.none()` they are not.

    Attributes:
        mirror: Probability of a horizontal mirror image.
        crop: Probability of a crop.
        smallest_crop: Smallest side of a crop as a fraction of the image's.
        contrast: Contrast is multiplied by 1 ± this.
        brightness: Added to all pixels: ± this, of 255.
        color: Each channel is multiplied by 1 ± this.
        min_area: Objects with fewer pixels left in the crop are dropped.
        min_visible: Objects with a smaller part of their pixels left are dropped.
    """

    mirror: float = 0.5
    crop: float = 0.6
    smallest_crop: float = 0.65
    contrast: float = 0.25
    brightness: float = 25.0
    color: float = 0.08
    min_area: int = 64
    min_visible: float = 0.15

    @classmethod
    def none(cls) -> Augmentation:
        """Leaves images as inference sees them."""
        return cls(mirror=0, crop=0, contrast=0, brightness=0, color=0)

    def crop_window(
        self, image_size: tuple[int, ...], rng: np.random.Generator
    ) -> tuple[slice, slice]:
        """Rows and columns to keep; all, or a window with roughly the image's aspect ratio."""
        height, width = image_size
        if rng.random() >= self.crop:
            return slice(0, height), slice(0, width)
        side = rng.uniform(self.smallest_crop, 1.0)
        stretch = rng.uniform(0.93, 1.07)
        rows = min(round(height * side * stretch), height)
        columns = min(round(width * side / stretch), width)
        top = int(rng.integers(0, height - rows + 1))
        left = int(rng.integers(0, width - columns + 1))
        return slice(top, top + rows), slice(left, left + columns)

    def recolor(self, image: Array, rng: np.random.Generator) -> Array:
        """(H, W, 3) uint8 to the same with another contrast, brightness and tint."""
        gain = rng.uniform(1 - self.contrast, 1 + self.contrast)
        tint = rng.uniform(1 - self.color, 1 + self.color, size=3)
        shift = rng.uniform(-self.brightness, self.brightness)
        levels = np.arange(256)[:, None]
        table = np.clip((levels - 128) * gain * tint + 128 * tint + shift, 0, 255)
        return cv2.LUT(image, table.round().astype(np.uint8)[:, None, :])


class SceneDataset(Dataset[Sample]):
    """Samples out of stored scenes.

    The same (seed, epoch, index) gives the same sample, whichever worker makes it.

    Args:
        store: The rendered scenes.
        input_size: Side S of the network's input.
        mask_size: Side of the prototypes, for the target masks.
        augmentation: How samples are varied.
        seed: Of all random choices.
        length: Samples in all; scene `order[i % scenes]`, shuffled in each pass over the scenes.
    """

    def __init__(
        self,
        store: SceneStore,
        *,
        input_size: int,
        mask_size: int,
        augmentation: Augmentation,
        seed: int,
        length: int,
    ) -> None:
        if input_size % mask_size:
            raise ValueError(
                f"mask_size: expected a divisor of the input size {input_size}, got {mask_size}"
            )
        self.store = store
        self.input_size = input_size
        self.mask_size = mask_size
        self.augmentation = augmentation
        self.seed = seed
        self.length = length
        self._scenes = len(store)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        passes, position = divmod(index, self._scenes)
        order = np.random.default_rng([self.seed, passes]).permutation(self._scenes)
        rng = np.random.default_rng([self.seed, 1, index])
        return make_sample(
            self.store[int(order[position])],
            input_size=self.input_size,
            mask_size=self.mask_size,
            augmentation=self.augmentation,
            rng=rng,
        )


def make_sample(
    scene: StoredScene,
    *,
    input_size: int,
    mask_size: int,
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> Sample:
    """Makes one sample; see `SceneDataset` for the arguments."""
    window = augmentation.crop_window(scene.instance_map.shape, rng)
    image, instance_map = scene.image[window], scene.instance_map[window]
    if rng.random() < augmentation.mirror:
        image, instance_map = image[:, ::-1], instance_map[:, ::-1]
    # Bilinear without anti-aliasing and without keeping the aspect ratio, as at inference.
    image = cv2.resize(
        np.ascontiguousarray(image), (input_size, input_size), interpolation=cv2.INTER_LINEAR
    )
    whole = np.bincount(scene.instance_map.ravel(), minlength=len(scene.class_ids) + 1)[1:]
    boxes, areas = boxes_of(instance_map, len(scene.class_ids))
    kept = (areas >= augmentation.min_area) & (areas >= augmentation.min_visible * whole)
    masks = coverage_of(instance_map, len(scene.class_ids), input_size, mask_size)
    target = Target(
        boxes=torch.from_numpy(boxes[kept]),
        class_ids=torch.from_numpy(scene.class_ids[kept]),
        masks=torch.from_numpy(masks[kept]),
    )
    return Sample(augmentation.recolor(image, rng), target)


def boxes_of(instance_map: Array, count: int) -> tuple[Array, Array]:
    """Tight boxes and areas of the objects 1 to `count` of an instance map (H, W).

    Returns:
        (count, 4) float32 x1, y1, x2, y2 as fractions of the map, zero for what is not there; and
        (count,) int64 pixels.
    """
    sides, areas = [], np.zeros(count, np.int64)
    for axis, size in ((1, instance_map.shape[1]), (0, instance_map.shape[0])):
        position = np.arange(size) if axis == 1 else np.arange(size)[:, None]
        counts = np.bincount(
            (instance_map.astype(np.intp) * size + position).ravel(), minlength=(count + 1) * size
        ).reshape(-1, size)[1 : count + 1]
        areas = counts.sum(axis=1)
        present = counts > 0
        first = present.argmax(axis=1)
        last = size - present[:, ::-1].argmax(axis=1)
        sides.append((np.where(areas > 0, first, 0) / size, np.where(areas > 0, last, 0) / size))
    (x1, x2), (y1, y2) = sides
    return np.stack([x1, y1, x2, y2], axis=1).astype(np.float32), areas


def coverage_of(instance_map: Array, count: int, input_size: int, mask_size: int) -> Array:
    """The part of each mask pixel that each object covers, sampled at the input's resolution.

    Returns:
        (count, mask_size, mask_size) float32 in [0, 1].
    """
    sampled = cv2.resize(
        np.ascontiguousarray(instance_map),
        (input_size, input_size),
        interpolation=cv2.INTER_NEAREST_EXACT,
    )
    factor = input_size // mask_size
    cell = np.arange(input_size) // factor
    index = sampled.astype(np.intp) * mask_size**2 + cell[:, None] * mask_size + cell
    counts = np.bincount(index.ravel(), minlength=(count + 1) * mask_size**2)
    covered = counts[: (count + 1) * mask_size**2].reshape(-1, mask_size, mask_size)[1:]
    return (covered / factor**2).astype(np.float32)


def collate(samples: list[Sample]) -> tuple[Array, list[Target]]:
    """A batch: (B, S, S, 3) uint8 images and their targets."""
    return np.stack([sample.image for sample in samples]), [sample.target for sample in samples]
