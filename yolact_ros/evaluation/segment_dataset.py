# SPDX-License-Identifier: Apache-2.0
"""Runs a network on the images of a data set; the results are in COCO's format."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from yolact_ros.datasets.coco import CocoDataset
from yolact_ros.errors import InputError, first_few
from yolact_ros.structures import Instances

from .coco_format import instances_to_coco_results

_LISTED = 8

Image = npt.NDArray[np.uint8]


class InstanceSegmenter(Protocol):
    """The part of `Segmenter` that `segment_dataset` needs.

    An attribute `timings`, the milliseconds of each stage in the last call, is recorded if there is
    one.
    """

    @property
    def class_names(self) -> Sequence[str]:
        """Name of each class id."""

    def __call__(self, images: Sequence[Image], channel_order: str = "bgr") -> list[Instances]:
        """Find the instances in each of the (H, W, 3) uint8 images."""


@dataclass(frozen=True)
class SegmentedDataset:
    """A network's results on the images of a data set.

    Attributes:
        results: In COCO's results format, with the data set's category ids.
        milliseconds: Time by stage, one value per image in the data set's order: "read" (from the
            file), the network's own stages, and "total" from image to instances without "read".
            The time of a batch is divided equally among its images.
        unknown_classes: Classes of the data set that the network does not know and never finds.
        left_out: Number of instances left out of the results, by class: those of classes that the
            data set does not have.
    """

    results: list[dict[str, Any]]
    milliseconds: dict[str, list[float]]
    unknown_classes: tuple[str, ...]
    left_out: dict[str, int]


def segment_dataset(
    segmenter: InstanceSegmenter,
    dataset: CocoDataset,
    *,
    batch_size: int = 1,
    multiply_mask_scores: bool = True,
    progress: bool = False,
) -> SegmentedDataset:
    """Segment all images of a data set.

    Classes are matched by name: the network may have them in another order, may lack some, and may
    have others. Instances without a mask pixel are dropped.

    Args:
        segmenter: The network. For a meaningful AP its score threshold should be low: 0.05 or less.
        dataset: The images.
        batch_size: Images per forward pass.
        multiply_mask_scores: See `instances_to_coco_results`.
        progress: Whether to show a progress bar.

    Raises:
        InputError: Data set and network have no class in common, or an image cannot be read or
            differs from the annotations.
    """
    if batch_size < 1:
        raise InputError(f"batch_size: expected 1 or more, got {batch_size}")
    unknown = unknown_classes(segmenter.class_names, dataset)
    categories = segmenter_categories(segmenter.class_names, dataset)
    results: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    milliseconds: dict[str, list[float]] = {}
    with tqdm(total=len(dataset), unit="image", disable=not progress) as bar:
        for first in range(0, len(dataset), batch_size):
            entries = dataset.images[first : first + batch_size]
            begin = time.perf_counter()
            images = [dataset.read_image(entry) for entry in entries]
            read = time.perf_counter()
            answers = segmenter(images, channel_order="rgb")
            end = time.perf_counter()
            spent = {"read": (read - begin) * 1000, "total": (end - read) * 1000}
            for stage, time_of_batch in (spent | getattr(segmenter, "timings", {})).items():
                times = milliseconds.setdefault(stage, [])
                times += [time_of_batch / len(entries)] * len(entries)
            for entry, instances in zip(entries, answers, strict=True):
                results += instances_to_coco_results(
                    instances.without_empty_masks(),
                    entry.id,
                    category_ids=categories,
                    multiply_mask_scores=multiply_mask_scores,
                )
                left_out.update(n for n in instances.class_names if n not in dataset.class_names)
            bar.update(len(entries))
    return SegmentedDataset(results, milliseconds, unknown, dict(left_out))


def segmenter_categories(
    class_names: Sequence[str], dataset: CocoDataset
) -> tuple[int | None, ...]:
    """Return the data set's category id of each class of a network; None where it has none."""
    categories = dict(zip(dataset.class_names, dataset.category_ids, strict=True))
    return tuple(categories.get(name) for name in class_names)


def unknown_classes(class_names: Sequence[str], dataset: CocoDataset) -> tuple[str, ...]:
    """Return the classes of the data set that a network does not have.

    Raises:
        InputError: It has none of them.
    """
    unknown = tuple(name for name in dataset.class_names if name not in class_names)
    if len(unknown) == len(dataset.class_names):
        raise InputError(
            f"classes: expected some of {dataset.annotation_file} to be among the network's "
            f"({first_few(class_names, _LISTED) or 'none'}), got "
            f"{first_few(dataset.class_names, _LISTED) or 'none'}"
        )
    return unknown
