# SPDX-License-Identifier: Apache-2.0
"""An image twice: with its truth and with what was found, and what is wrong in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from yolact_ros.datasets.coco import CocoDataset, CocoImage, CocoObject, decode_segmentation
from yolact_ros.structures import Instances, PackedMask
from yolact_ros.visualization import OverlayStyle, draw_overlay

from .operating_point import FoundInstance, ImageMatch

_LONGEST_SIDE = 720
_JPEG_QUALITY = 85
_FAULT_COLOR = (40, 30, 220)  # BGR
_FOUND_STYLE = OverlayStyle(boxes=False)
_TRUTH_STYLE = OverlayStyle(boxes=False, scores=False)

Box = tuple[float, float, float, float]


class Comparison(NamedTuple):
    """One image of the page of the worst ones.

    Attributes:
        match: What was compared.
        truth, found: JPEG files; a red frame marks what was missed, and what is invented or of the
            wrong class.
        words: What is wrong.
    """

    match: ImageMatch
    truth: bytes
    found: bytes
    words: str


def compare(dataset: CocoDataset, match: ImageMatch) -> Comparison:
    """Draws an image with its truth and with what was found in it; faults on top."""
    pixels = dataset.read_image(match.image)[:, :, ::-1]
    names = dataset.class_names
    wrong = [*match.invented, *(pair.found for pair in match.confused)]
    right = [*(pair.found for pair in match.right), *match.in_crowd]
    found = [*_best_first(wrong), *_best_first(right)]
    missed = {thing.id for thing in match.missed}
    things = sorted(match.image.objects, key=lambda thing: (thing.crowd, thing.id not in missed))
    return Comparison(
        match=match,
        truth=_draw(
            pixels,
            _truth_instances(match.image, things, names),
            [thing.box for thing in match.missed],
            _TRUTH_STYLE,
        ),
        found=_draw(
            pixels,
            _found_instances(match.image, found, names),
            [instance.box for instance in wrong],
            _FOUND_STYLE,
        ),
        words=describe_faults(match, names),
    )


def describe_faults(match: ImageMatch, class_names: Sequence[str]) -> str:
    """What is wrong in one image, such as "missed 2: ball, mug · invented 1: box".

    Without a fault: how well the masks fit.
    """
    parts = []
    for verb, things in (
        ("missed", [class_names[thing.class_id] for thing in match.missed]),
        ("invented", [class_names[thing.class_id] for thing in match.invented]),
        (
            "wrong class",
            [
                f"{class_names[pair.truth.class_id]} taken for {class_names[pair.found.class_id]}"
                for pair in match.confused
            ],
        ),
    ):
        if things:
            parts.append(f"{verb} {len(things)}: {_counted(things)}")
    if not parts:
        parts.append(f"all {len(match.right)} found, mean mask IoU {match.quality:.2f}")
    return " · ".join(parts)


def _best_first(instances: Iterable[FoundInstance]) -> list[FoundInstance]:
    return sorted(instances, key=lambda instance: -instance.score)


def _counted(words: Iterable[str]) -> str:
    return ", ".join(
        word if count == 1 else f"{word} ×{count}" for word, count in Counter(words).items()
    )


def _truth_instances(
    image: CocoImage, things: Sequence[CocoObject], class_names: Sequence[str]
) -> Instances:
    def name(thing: CocoObject) -> str:
        return class_names[thing.class_id] + (" (crowd)" if thing.crowd else "")

    return _instances(
        image,
        [thing.box for thing in things],
        [1.0] * len(things),
        [thing.class_id for thing in things],
        [name(thing) for thing in things],
        [decode_segmentation(thing.segmentation, image.height, image.width) for thing in things],
    )


def _found_instances(
    image: CocoImage, found: Sequence[FoundInstance], class_names: Sequence[str]
) -> Instances:
    return _instances(
        image,
        [instance.box for instance in found],
        [instance.score for instance in found],
        [instance.class_id for instance in found],
        [class_names[instance.class_id] for instance in found],
        [
            decode_segmentation(instance.segmentation, image.height, image.width)
            for instance in found
        ],
    )


def _instances(
    image: CocoImage,
    boxes: Sequence[Box],
    scores: Sequence[float],
    class_ids: Sequence[int],
    class_names: Sequence[str],
    masks: Sequence[npt.NDArray[np.uint8]],
) -> Instances:
    return Instances(
        image_size=(image.height, image.width),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.array(scores, np.float32),
        class_ids=np.array(class_ids, np.int64),
        class_names=tuple(class_names),
        packed_masks=tuple(PackedMask.from_array(mask.astype(bool)) for mask in masks),
    )


def _draw(
    pixels: npt.NDArray[np.uint8], instances: Instances, faults: Sequence[Box], style: OverlayStyle
) -> bytes:
    """A JPEG file."""
    canvas = draw_overlay(pixels, instances, style)
    thickness = max(2, round(max(canvas.shape[:2]) / 250))
    for box in faults:
        x1, y1, x2, y2 = (round(side) for side in box)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), _FAULT_COLOR, thickness)
    scale = _LONGEST_SIDE / max(canvas.shape[:2])
    if scale < 1:
        canvas = cv2.resize(canvas, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    assert done
    return bytes(data)
