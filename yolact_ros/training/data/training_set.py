# SPDX-License-Identifier: Apache-2.0
"""Turns a data set into training samples: augmentation, square resize, targets, batches."""

from __future__ import annotations

import math
import signal
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from yolact_ros.datasets.coco import CocoDataset, CocoImage, CocoObject
from yolact_ros.datasets.segmentation import decode_segmentation
from yolact_ros.errors import InputError
from yolact_ros.training.data import bit_planes
from yolact_ros.training.data.augmentation import Augmentation
from yolact_ros.training.data.repeats import pass_order, repeat_factors
from yolact_ros.training.data.target import Target
from yolact_ros.training.data.transforms import geometry_of, photometric_of, recolor

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end a run."""
_SECONDS_LEFT = 30  # of a worker after SIGTERM

# First numbers of the seeds of unrelated random streams.
_ORDER, _SAMPLE = 0, 1
# Longest side of an image that a zoom-out may enlarge, in sides of the network's input. On the
# smallest window of an IoU crop, 0.3 of it, it still has about a pixel for each of the input's.
_LARGEST_ZOOMED = 3


class Sample(NamedTuple):
    """One training image.

    Attributes:
        image: (S, S, 3) uint8 RGB.
        target: Its objects, in the order of the file, with masks (N, S, S) bool; and its crowds.
    """

    image: npt.NDArray[np.uint8]
    target: Target


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
            what is background.
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
        images = tuple(
            image
            for image in dataset.images
            if empty_images or any(not thing.crowd for thing in image.objects)
        )
        if not images:
            raise InputError(f"{dataset.annotation_file}: expected images to train on, got none")
        if length is not None and length < 1:
            raise InputError(f"length: expected at least 1, got {length}")
        self.images = images
        self.input_size = input_size
        self.augmentation = augmentation
        self.seed = seed
        self.factors = repeat_factors(images, repeat_threshold) if repeat_threshold else None
        self.pass_length = len(pass_order(self.factors, len(images), np.random.default_rng(0)))
        self._length = self.pass_length if length is None else length
        self._dataset = dataset
        self._geometry = geometry_of(augmentation)
        self._sanitize = v2.SanitizeBoundingBoxes()
        self._resize = v2.Resize((input_size, input_size), antialias=False)
        self._photometric = photometric_of(augmentation)
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
        pixels = self._dataset.read_image(image)
        sequence = np.random.SeedSequence([self.seed, _SAMPLE, index])
        # Not torch.manual_seed: it also seeds all GPUs, which fork_rng is not told to restore.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(sequence.generate_state(1, np.uint64)[0]))
            return self._augment(pixels, image)

    def _augment(self, pixels: npt.NDArray[np.uint8], image: CocoImage) -> Sample:
        size = (image.height, image.width)
        things = [thing for thing in image.objects if not thing.crowd]
        boxes = _clipped(things, image)
        solid = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(dim=1)
        things = [thing for thing, good in zip(things, solid.tolist(), strict=True) if good]
        crowds = [thing for thing in image.objects if thing.crowd]
        planes, areas = bit_planes.pack(
            (decode_segmentation(thing.segmentation, *size) for thing in [*things, *crowds]), *size
        )
        parts = {
            "image": tv_tensors.Image(torch.from_numpy(pixels).permute(2, 0, 1)),
            "boxes": tv_tensors.BoundingBoxes(boxes[solid], format="XYXY", canvas_size=size),
            "masks": tv_tensors.Mask(torch.from_numpy(planes)),
        }
        scale = _LARGEST_ZOOMED * self.input_size / max(size)
        if self.augmentation.zoom_out and scale < 1:
            reduced = tuple(max(round(side * scale), 1) for side in size)
            parts = v2.Resize(reduced, antialias=False)(parts)
            planes = parts["masks"].numpy()
            areas = [cv2.countNonZero(bit_planes.unpack_one(planes, i)) for i in range(len(areas))]
        moved = self._geometry(parts)
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
        return Sample(self._recolor(self._resize(moved["image"])), target)

    def _target(
        self,
        planes: npt.NDArray[np.uint8],
        areas: Sequence[int],
        *,
        boxes: torch.Tensor,
        numbers: Sequence[int],
        class_ids: Sequence[int],
    ) -> Target:
        """Make the target from transformed masks; those from `len(class_ids)` on are crowds."""
        height, width = planes.shape[1:]
        side, limits = self.input_size, self.augmentation
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
            rows.append(_extent(mask) if limits.tight_boxes else box)
            chosen.append(number)
        crowds = [bit_planes.unpack_one(planes, i) for i in range(len(class_ids), len(areas))]
        sides = torch.tensor([width, height, width, height], dtype=torch.float32)
        return Target(
            boxes=_as_boxes(rows) / sides,
            class_ids=torch.tensor([class_ids[number] for number in chosen], dtype=torch.int64),
            masks=torch.from_numpy(masks[: len(chosen)]),
            crowd_boxes=_as_boxes([_extent(crowd) for crowd in crowds if crowd.any()]) / sides,
        )

    def _recolor(self, image: torch.Tensor) -> npt.NDArray[np.uint8]:
        if self.augmentation.photometric:
            image = self._photometric(image)
        pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
        strengths = self.augmentation
        if strengths.contrast or strengths.brightness or strengths.tint:
            pixels = recolor(pixels, strengths)
        return pixels


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


def collate(samples: Sequence[Sample]) -> tuple[npt.NDArray[np.uint8], list[Target]]:
    """Join samples into a batch: (B, S, S, 3) uint8 RGB images and their targets."""
    images = np.stack([sample.image for sample in samples])
    return images, _Targets(sample.target for sample in samples)


def prepare_worker(worker: int) -> None:
    """Limit a DataLoader's worker to one thread; pass it as `worker_init_fn`.

    OpenCV and torch would start as many threads as there are cores in each worker. Signals that
    reach all processes of a run leave a worker alone: its run still waits for samples, and ends it.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # It may be the run's own SIGTERM, to a worker that did not end when it was told to.
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(_SECONDS_LEFT))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
