# SPDX-License-Identifier: Apache-2.0
"""What lies between images and instances: one protocol, and its plain form for any device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch

from yolact_ros.inference.engines.prepare import PreparedNetwork
from yolact_ros.inference.engines.protocol import start
from yolact_ros.structures import Instances

from .assemble import assemble_instances
from .decode import detect
from .options import SegmenterOptions
from .preprocess import Preprocessor
from .rescore import rescore
from .timing import StageClock


class Batch(NamedTuple):
    """Images that have the same input size, and what is asked of them.

    Attributes:
        images: (H, W, 3) uint8 each.
        channel_orders: "bgr" or "rgb" for each image.
        options: Which detections are kept.
    """

    images: Sequence[npt.NDArray[np.uint8]]
    channel_orders: tuple[str, ...]
    options: SegmenterOptions

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """(height, width) of each image."""
        return tuple((image.shape[0], image.shape[1]) for image in self.images)


class SegmentationPath(Protocol):
    """The stages from uint8 images to instances."""

    def prepare(self, batch: Batch) -> None:
        """Do ahead of time what a batch of such images would otherwise wait for."""

    def segment(self, batch: Batch, clock: StageClock) -> list[Instances]:
        """Segment one batch; the clock receives the time of each stage."""


class PlainPath:
    """Runs one stage after the other, on any device, with any kind of suppression.

    Detections are decoded before the prototypes, which are made where their masks need them.

    Args:
        prepared: The network.
        preprocessor: Of the network.
    """

    def __init__(self, prepared: PreparedNetwork, preprocessor: Preprocessor) -> None:
        self._network = prepared.network
        self._preprocessor = preprocessor

    def prepare(self, batch: Batch) -> None:
        """Run all of the network once, also what an image without detections does not need."""
        x = self._preprocessor(batch.images, batch.channel_orders)
        whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]], device=x.device)
        start(self._network, x).prototypes([whole] * len(x))

    def segment(self, batch: Batch, clock: StageClock) -> list[Instances]:
        """See `SegmentationPath.segment`."""
        class_names = self._network.preset.class_names
        class_ids = batch.options.class_ids(class_names)
        x = self._preprocessor(batch.images, batch.channel_orders)
        clock.record("preprocess")
        predictions = start(self._network, x)
        clock.record("network")
        found = [detect(predictions, i, batch.options, class_ids) for i in range(len(x))]
        clock.record("decode")
        made = predictions.prototypes([detections.boxes for detections in found])
        prototypes = [of_image.float() for of_image in made]
        clock.record("network")
        rescored = [
            rescore(self._network.maskiou_net, *parts, batch.options)
            for parts in zip(prototypes, found, strict=True)
        ]
        clock.record("decode")
        instances = [
            assemble_instances(kept, mask_scores, prototypes[i], size, class_names)
            for i, ((kept, mask_scores), size) in enumerate(zip(rescored, batch.sizes, strict=True))
        ]
        clock.record("masks")
        return instances
