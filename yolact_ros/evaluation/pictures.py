# SPDX-License-Identifier: Apache-2.0
"""Draws an image with its truth and with the results, and says in words what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from yolact_ros.datasets.coco import CocoDataset, CocoImage
from yolact_ros.datasets.segmentation import Extent, decode_segmentation
from yolact_ros.datasets.truth import truth_instances
from yolact_ros.structures import Instances, PackedMask
from yolact_ros.visualization import TRUTH_STYLE, OverlayStyle, draw_overlay, encode_jpeg

from .operating_point import FoundInstance, ImageMatch

_LONGEST_SIDE = 720
_ERROR_COLOR = (40, 30, 220)  # BGR
_FOUND_STYLE = OverlayStyle(boxes=False)


class Comparison(NamedTuple):
    """One of the worst images on the page.

    Attributes:
        match: The compared objects and instances.
        truth, found: JPEG files; red frames mark false negatives in `truth`, and false positives
            and wrong classes in `found`.
        words: Description of the errors.
    """

    match: ImageMatch
    truth: bytes
    found: bytes
    words: str


def compare(dataset: CocoDataset, match: ImageMatch) -> Comparison:
    """Draw an image with its truth and with what was found in it, errors on top."""
    pixels = dataset.read_image(match.image)[:, :, ::-1]
    names = dataset.class_names
    wrong = [*match.false_positives, *(pair.found for pair in match.confused)]
    right = [*(pair.found for pair in match.right), *match.in_crowd]
    found = [*_best_first(wrong), *_best_first(right)]
    missed = {thing.id for thing in match.false_negatives}
    ordered = sorted(match.image.objects, key=lambda thing: thing.id not in missed)
    truth = truth_instances(replace(match.image, objects=tuple(ordered)), names)
    return Comparison(
        match=match,
        truth=_draw(pixels, truth, [thing.box for thing in match.false_negatives], TRUTH_STYLE),
        found=_draw(
            pixels,
            _found_instances(match.image, found, names),
            [instance.box for instance in wrong],
            _FOUND_STYLE,
        ),
        words=describe_errors(match, names),
    )


def describe_errors(match: ImageMatch, class_names: Sequence[str]) -> str:
    """Say what is wrong in one image: "false negatives 2: ball, mug · false positives 1: box".

    Without an error: how well the masks fit.
    """
    wrong_classes = [
        f"{class_names[pair.truth.class_id]} taken for {class_names[pair.found.class_id]}"
        for pair in match.confused
    ]
    parts = [
        f"{kind} {len(things)}: {_counted(things)}"
        for kind, things in (
            ("false negatives", [class_names[thing.class_id] for thing in match.false_negatives]),
            ("false positives", [class_names[thing.class_id] for thing in match.false_positives]),
            ("wrong class", wrong_classes),
        )
        if things
    ]
    if not parts:
        parts.append(f"all {len(match.right)} found, mean mask IoU {match.quality:.2f}")
    return " · ".join(parts)


def _best_first(instances: Iterable[FoundInstance]) -> list[FoundInstance]:
    return sorted(instances, key=lambda instance: -instance.score)


def _counted(words: Iterable[str]) -> str:
    return ", ".join(
        word if count == 1 else f"{word} ×{count}" for word, count in Counter(words).items()
    )


def _found_instances(
    image: CocoImage, found: Sequence[FoundInstance], class_names: Sequence[str]
) -> Instances:
    masks = (
        decode_segmentation(instance.segmentation, image.height, image.width).astype(bool)
        for instance in found
    )
    return Instances(
        image_size=(image.height, image.width),
        boxes=np.array([instance.box for instance in found], np.float32).reshape(-1, 4),
        scores=np.array([instance.score for instance in found], np.float32),
        class_ids=np.array([instance.class_id for instance in found], np.int64),
        class_names=tuple(class_names[instance.class_id] for instance in found),
        packed_masks=tuple(map(PackedMask.from_array, masks)),
    )


def _draw(
    pixels: npt.NDArray[np.uint8],
    instances: Instances,
    errors: Sequence[Extent],
    style: OverlayStyle,
) -> bytes:
    """Return a JPEG file."""
    canvas = draw_overlay(pixels, instances, style)
    thickness = max(2, round(max(canvas.shape[:2]) / 250))
    for box in errors:
        x1, y1, x2, y2 = (round(side) for side in box)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), _ERROR_COLOR, thickness)
    scale = _LONGEST_SIDE / max(canvas.shape[:2])
    if scale < 1:
        canvas = cv2.resize(canvas, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return encode_jpeg(canvas)
