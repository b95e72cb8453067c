# SPDX-License-Identifier: Apache-2.0
"""Turns a data set into training samples: augmentation, square resize, targets, batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from yolact_ros.datasets.coco import CocoDataset, CocoImage, CocoObject
from yolact_ros.datasets.records import with_objects
from yolact_ros.datasets.segmentation import decode_segmentation
from yolact_ros.errors import InputError
from yolact_ros.training.data import bit_planes
from yolact_ros.training.data.augmentation import Augmentation
from yolact_ros.training.data.copy_paste import paste
from yolact_ros.training.data.repeats import pass_order, repeat_factors
from yolact_ros.training.data.target import Sample, Target
from yolact_ros.training.data.transforms import blur_of, geometry_of, recolor, turns_or_scales

# First numbers of the seeds of unrelated random streams.
_ORDER, _SAMPLE = 0, 1
# Longest side of an image that a zoom-out may enlarge, in sides of the network's input. On the
# smallest window of an IoU crop, 0.3 of it, it still has about a pixel for each of the input's.
_LARGEST_ZOOMED = 3
# Pixels of a whole object that are left by rotation and scale, which take the nearest ones: at
# least this share.
_WHOLE = 0.9
# Images that are tried until one has an object.
_TRIALS = 100


class TrainingSet(Dataset[Sample]):
    """Augmented samples of a data set, in a shuffled order that differs in each pass over it.

    Sample `index` depends on the arguments and `index` alone, whichever process makes it and
    whatever was made before; torch's global random state is left unchanged. So a resumed run sees
    what an uninterrupted one would have seen.

    Boxes are clipped to the image. Objects whose box is then less than a pixel wide or high, or
    whose resized mask has no pixel, are left out. A pixel of the resized mask belongs to the object
    if bilinear sampling, as of the image, gives at least one half.

    Args:
        dataset: Without errors (see `datasets.problems`).
        input_size: Side S of the network's input.
        augmentation: Strengths of the random changes.
        seed: Of all random choices, 0 or more.
        length: Number of samples; None: one pass over the images.
        empty_images: Whether to include images without objects (crowds do not count); they show
            what is background. If not, another image is drawn in place of one of which the random
            changes leave no object, as published (dbolya/yolact at 902073d, data/coco.py, lines 76
            and 172 to 174).
        repeat_threshold: Images with classes that fewer images have, as a fraction, are shown more
            often, see `repeat_factors`; 0: all alike.

    Raises:
        InputError: An argument is out of its range, or no image is left.
    """

    def __init__(
        self,
        dataset: CocoDataset,
        *,
        input_size: int,
        augmentation: Augmentation,
        seed: int,
        length: int | None = None,
        empty_images: bool = True,
        repeat_threshold: float = 0.0,
    ) -> None:
        if input_size < 1:
            raise InputError(f"input_size: expected at least 1, got {input_size}")
        if seed < 0:
            raise InputError(f"seed: expected an integer >= 0, got {seed}")
        images = (dataset if empty_images else with_objects(dataset)).images
        if not images:
            raise InputError(f"{dataset.annotation_file}: expected images to train on, got none")
        if length is not None and length < 1:
            raise InputError(f"length: expected at least 1, got {length}")
        self.images = images
        self.input_size = input_size
        self.augmentation = augmentation
        self.seed = seed
        self.empty_images = empty_images
        self.factors = repeat_factors(images, repeat_threshold) if repeat_threshold else None
        self.pass_length = len(pass_order(self.factors, len(images), np.random.default_rng(0)))
        self._length = self.pass_length if length is None else length
        self._dataset = dataset
        self._geometry = geometry_of(augmentation)
        self._sanitize = v2.SanitizeBoundingBoxes()
        self._resize = v2.Resize((input_size, input_size), antialias=False)
        self._blur = blur_of(augmentation)
        self._pass_order: tuple[int, npt.NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    def __len__(self) -> int:
        return self._length

    def image_at(self, index: int) -> CocoImage:
        """Return the image that a sample is made of.

        Raises:
            IndexError: `index` is not in [0, length).
        """
        if not 0 <= index < self._length:
            raise IndexError(f"index: expected 0 to {self._length - 1}, got {index}")
        number, position = divmod(index, self.pass_length)
        if self._pass_order[0] != number:
            rng = np.random.default_rng([self.seed, _ORDER, number])
            self._pass_order = number, pass_order(self.factors, len(self.images), rng)
        return self.images[self._pass_order[1][position]]

    def __getitem__(self, index: int) -> Sample:
        image = self.image_at(index)
        sequence = np.random.SeedSequence([self.seed, _SAMPLE, index])
        # Not torch.manual_seed: it also seeds all GPUs, which fork_rng is not told to restore.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(sequence.generate_state(1, np.uint64)[0]))
            sample = self._augment(image)
            for _ in range(_TRIALS):
                if self.empty_images or len(sample.target):
                    break
                sample = self._augment(self._drawn())
            copy_paste = self.augmentation.copy_paste
            if copy_paste and torch.rand(()) < copy_paste:
                sample = paste(self._augment(self._drawn()), sample, self.augmentation)
        return sample

    def _drawn(self) -> CocoImage:
        return self.images[int(torch.randint(len(self.images), ()))]

    def _augment(self, image: CocoImage) -> Sample:
        pixels = self._dataset.read_image(image)
        size = (image.height, image.width)
        things = [thing for thing in image.objects if not thing.crowd]
        boxes = _clipped(things, image)
        solid = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(dim=1)
        things = [thing for thing, good in zip(things, solid.tolist(), strict=True) if good]
        crowds = [thing for thing in image.objects if thing.crowd]
        planes, areas = bit_planes.pack(
            (decode_segmentation(thing.segmentation, *size) for thing in [*things, *crowds]), *size
        )
        frame = torch.tensor([[0.0, 0.0, image.width, image.height]])
        parts = {
            "image": tv_tensors.Image(torch.from_numpy(pixels).permute(2, 0, 1)),
            "boxes": tv_tensors.BoundingBoxes(boxes[solid], format="XYXY", canvas_size=size),
            "frame": tv_tensors.BoundingBoxes(frame, format="XYXY", canvas_size=size),
            "masks": tv_tensors.Mask(torch.from_numpy(planes)),
        }
        scale = _LARGEST_ZOOMED * self.input_size / max(size)
        affine = turns_or_scales(self.augmentation)
        if (self.augmentation.zoom_out or affine) and scale < 1:
            reduced = tuple(max(round(side * scale), 1) for side in size)
            parts = v2.Resize(reduced, antialias=False)(parts)
            planes = parts["masks"].numpy()
            areas = [cv2.countNonZero(bit_planes.unpack_one(planes, i)) for i in range(len(areas))]
        moved = self._geometry(parts)
        if affine:
            areas = [_WHOLE * moved["growth"] * area for area in areas]
        # Only the boxes and their numbers: the planes of bits are not one to an object.
        kept = self._sanitize(
            {"boxes": moved["boxes"], "labels": torch.arange(len(things), dtype=torch.int64)}
        )
        target = self._target(
            moved["masks"].numpy(),
            areas,
            boxes=kept["boxes"].as_subclass(torch.Tensor),
            numbers=kept["labels"].tolist(),
            class_ids=[thing.class_id for thing in things],
        )
        return Sample(self._recolor(self._blur(self._resize(moved["image"])), moved), target)

    def _target(
        self,
        planes: npt.NDArray[np.uint8],
        areas: Sequence[float],
        *,
        boxes: torch.Tensor,
        numbers: Sequence[int],
        class_ids: Sequence[int],
    ) -> Target:
        """Make the target from transformed masks; those from `len(class_ids)` on are crowds."""
        height, width = planes.shape[1:]
        side, limits = self.input_size, self.augmentation
        tight = limits.tight_boxes or limits.rotation > 0
        masks = np.empty((len(numbers), side, side), np.bool_)
        rows: list[Any] = []
        chosen: list[int] = []
        for number, box in zip(numbers, boxes.tolist(), strict=True):
            mask = bit_planes.unpack_one(planes, number)
            area = cv2.countNonZero(mask)
            too_little = max(limits.min_area, limits.min_visible * areas[number])
            if area < areas[number] and area < too_little:
                continue
            resized = cv2.resize(mask, (side, side), interpolation=cv2.INTER_LINEAR)
            # Half of 255, and the halves that are rounded down belong to the object.
            np.greater_equal(resized, 127, out=masks[len(chosen)])
            if not masks[len(chosen)].any():
                continue
            rows.append(_extent(mask) if tight else box)
            chosen.append(number)
        neutral = [*range(len(class_ids), len(areas))]
        if limits.neutral_cuts:
            neutral += [number for number in range(len(class_ids)) if number not in chosen]
        regions = [bit_planes.unpack_one(planes, number) for number in neutral]
        sides = torch.tensor([width, height, width, height], dtype=torch.float32)
        return Target(
            boxes=_as_boxes(rows) / sides,
            class_ids=torch.tensor([class_ids[number] for number in chosen], dtype=torch.int64),
            masks=torch.from_numpy(masks[: len(chosen)]),
            crowd_boxes=_as_boxes([_extent(region) for region in regions if region.any()]) / sides,
        )

    def _recolor(self, image: torch.Tensor, moved: dict[str, Any]) -> npt.NDArray[Any]:
        pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
        if not self.augmentation.recolors:
            return pixels
        height, width = moved["image"].shape[-2:]
        left, top, right, bottom = (
            moved["frame"][0] * self.input_size / torch.tensor([width, height, width, height])
        ).tolist()
        frame = (slice(round(top), round(bottom)), slice(round(left), round(right)))
        return recolor(pixels, frame, self.augmentation)


def _clipped(things: Sequence[CocoObject], image: CocoImage) -> torch.Tensor:
    """(N, 4) boxes in pixels, clipped to the image."""
    boxes = _as_boxes([thing.box for thing in things])
    sides = torch.tensor([image.width, image.height] * 2, dtype=torch.float32)
    return torch.minimum(boxes.clamp(min=0), sides)


def _as_boxes(rows: Sequence[Any]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)


def _extent(mask: npt.NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 around the pixels that are not 0, x2 and y2 exclusive."""
    x, y, width, height = cv2.boundingRect(mask)
    return x, y, x + width, y + height


class _Targets(list[Target]):
    """Targets that are pickled as plain arrays, masks as bits.

    torch would move each tensor to its own shared memory, which costs one message between the
    processes per tensor, and an open file for as long as the tensor lives.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_arrays, ([_to_arrays(target) for target in self],)


def _to_arrays(target: Target) -> tuple[Any, ...]:
    return (
        target.boxes.numpy(),
        target.class_ids.numpy(),
        np.packbits(target.masks.numpy()),
        tuple(target.masks.shape),
        target.crowd_boxes.numpy(),
    )


def _from_arrays(targets: Sequence[tuple[Any, ...]]) -> list[Target]:
    loaded = []
    for boxes, class_ids, bits, shape, crowd_boxes in targets:
        masks = np.unpackbits(bits, count=math.prod(shape)).view(np.bool_).reshape(shape)
        loaded.append(Target(*map(torch.from_numpy, (boxes, class_ids, masks, crowd_boxes))))
    return loaded


def collate(samples: Sequence[Sample]) -> tuple[npt.NDArray[Any], list[Target]]:
    """Join samples into a batch: (B, S, S, 3) RGB images, see `Sample`, and their targets."""
    images = np.stack([sample.image for sample in samples])
    return images, _Targets(sample.target for sample in samples)
