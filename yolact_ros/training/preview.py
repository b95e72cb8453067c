# SPDX-License-Identifier: Apache-2.0
"""Draws training samples as the network gets them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from yolact_ros.structures import Instances, PackedMask
from yolact_ros.visualization import OverlayStyle, draw_overlay
from yolact_ros.visualization.contact_sheet import Tile, draw_contact_sheet

from .data.target import Sample
from .data.training_set import TrainingSet

_STYLE = OverlayStyle(scores=False)
_COUNT, _COLUMNS = 12, 4


def draw_samples(samples: TrainingSet, class_names: Sequence[str], path: Path) -> None:
    """Draw the first samples with their boxes and masks on one sheet.

    Args:
        samples: What is trained on.
        class_names: Name of each class id.
        path: The PNG file to write.
    """
    numbers = range(min(_COUNT, len(samples)))
    sheet = draw_contact_sheet(
        [_tile(samples[i], samples.image_at(i).file_name, class_names) for i in numbers],
        title="Samples as they are trained on",
        legend=[],
        tile_size=(samples.input_size, samples.input_size),
        columns=_COLUMNS,
    )
    cv2.imwrite(str(path), sheet)


def _tile(sample: Sample, name: str, class_names: Sequence[str]) -> Tile:
    target, side = sample.target, len(sample.image)
    class_ids = target.class_ids.numpy()
    instances = Instances(
        image_size=(side, side),
        boxes=target.boxes.numpy() * np.float32(side),
        scores=np.ones(len(target), np.float32),
        class_ids=class_ids,
        class_names=tuple(class_names[number] for number in class_ids),
        packed_masks=tuple(PackedMask.from_array(mask.numpy()) for mask in target.masks),
    )
    pixels = sample.image.clip(0, 255).astype(np.uint8)[..., ::-1]
    note = f"{len(target)} object{'s' * (len(target) != 1)}"
    if neutral := len(target.crowd_boxes):
        note += f", {neutral} neutral"
    return Tile(draw_overlay(pixels, instances, _STYLE), name, note)
