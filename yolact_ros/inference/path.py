# SPDX-License-Identifier: Apache-2.0
"""What lies between images and instances: one protocol, and its plain form for any device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from yolact_ros.inference.engines.prepare import PreparedNetwork
from yolact_ros.structures import Instances

from .assemble import assemble_instances
from .decode import detect
from .options import SegmenterOptions
from .preprocess import Preprocessor
from .rescore import rescore
from .timing import StageClock


class SegmentationPath(Protocol):
    """The stages from uint8 images to instances, of images that have the same input size."""

    def prepare(
        self,
        sizes: Sequence[tuple[int, int]],
        channel_order: tuple[str, ...],
        options: SegmenterOptions,
    ) -> None:
        """Do ahead of time what a batch of those (height, width) would otherwise wait for."""

    def segment(
        self,
        images: Sequence[npt.NDArray[np.uint8]],
        channel_order: tuple[str, ...],
        options: SegmenterOptions,
        clock: StageClock,
    ) -> list[Instances]:
        """Segment one batch.

        Args:
            images: (H, W, 3) uint8 each.
            channel_order: "bgr" or "rgb" for each image.
            options: Which detections are kept.
            clock: Receives the time of each stage.
        """


class PlainPath:
    """Runs one stage after the other, on any device, with any kind of suppression.

    Args:
        prepared: The network.
        preprocessor: Of the network.
    """

    def __init__(self, prepared: PreparedNetwork, preprocessor: Preprocessor) -> None:
        self._network = prepared.network
        self._preprocessor = preprocessor

    def prepare(
        self,
        sizes: Sequence[tuple[int, int]],
        channel_order: tuple[str, ...],
        options: SegmenterOptions,
    ) -> None:
        """Do nothing: there is no work that could be done ahead."""

    def segment(
        self,
        images: Sequence[npt.NDArray[np.uint8]],
        channel_order: tuple[str, ...],
        options: SegmenterOptions,
        clock: StageClock,
    ) -> list[Instances]:
        """See `SegmentationPath.segment`."""
        class_names = self._network.preset.class_names
        class_ids = options.class_ids(class_names)
        x = self._preprocessor(images, channel_order)
        clock.record("preprocess")
        predictions = self._network(x)
        clock.record("network")
        prototypes = predictions.prototypes.float()
        detections = [
            rescore(
                self._network.maskiou_net,
                prototypes[i],
                detect(predictions, i, options, class_ids),
                options,
            )
            for i in range(len(images))
        ]
        clock.record("decode")
        instances = [
            assemble_instances(
                kept, mask_scores, prototypes[i], (image.shape[0], image.shape[1]), class_names
            )
            for i, ((kept, mask_scores), image) in enumerate(zip(detections, images, strict=True))
        ]
        clock.record("masks")
        return instances
