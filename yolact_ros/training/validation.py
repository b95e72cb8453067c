# SPDX-License-Identifier: Apache-2.0
"""Average precision of the network under training."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch.distributed as dist

from yolact_ros.datasets.coco import CocoDataset, CocoImage
from yolact_ros.evaluation.coco import coco_metrics
from yolact_ros.evaluation.coco_format import instances_to_coco_results
from yolact_ros.evaluation.segment_dataset import segmenter_categories
from yolact_ros.inference import Segmenter
from yolact_ros.network import Yolact

_SCORE_THRESHOLD = 0.05
"""Instances with lower scores are left out, as in the published evaluation."""


class Validator:
    """Segments images one by one and measures the results.

    Args:
        dataset: Holds the images and the truth; its classes must be among the network's.
    """

    def __init__(self, dataset: CocoDataset) -> None:
        self.dataset = dataset
        self._segmenter: Segmenter | None = None
        self._results: list[dict[str, Any]] = []

    def segment(self, network: Yolact, image: CocoImage, pixels: npt.NDArray[np.uint8]) -> None:
        """Segment one image with the weights that the network had at the first one.

        Args:
            network: Under training.
            image: Whose results these are.
            pixels: (H, W, 3) RGB.
        """
        if self._segmenter is None:
            self._segmenter = Segmenter(
                network=network,
                device=str(next(network.parameters()).device),
                precision="fp32",
                score_threshold=_SCORE_THRESHOLD,
                cuda_graphs=False,  # their memory would be missing from training
            )
        categories = segmenter_categories(self._segmenter.class_names, self.dataset)
        [instances] = self._segmenter([pixels], channel_order="rgb")
        self._results += instances_to_coco_results(
            instances.without_empty_masks(), image.id, category_ids=categories
        )

    def measure(self) -> dict[str, float]:
        """Measure what all processes segmented since the last call.

        Returns:
            "mask_ap", "mask_ap50", "box_ap" and "box_ap50", 0 to 1, the same on every process.
        """
        results, self._results, self._segmenter = self._results, [], None
        if not (dist.is_available() and dist.is_initialized()):
            return self._figures(results)
        shares: list[list[dict[str, Any]]] = [[]] * dist.get_world_size()
        dist.all_gather_object(shares, results)
        shared: list[Any] = [None]
        if dist.get_rank() == 0:
            # Each further process segmented an image of one of these, see `Pictures`.
            counted = shares[: len(self.dataset)]
            shared = [self._figures([result for share in counted for result in share])]
        dist.broadcast_object_list(shared)
        figures: dict[str, float] = shared[0]
        return figures

    @cached_property
    def _truth(self) -> dict[str, Any]:
        return self.dataset.content  # on the process alone that measures

    def _figures(self, results: list[dict[str, Any]]) -> dict[str, float]:
        figures: dict[str, float] = {}
        for kind, name in (("segm", "mask"), ("bbox", "box")):
            metrics = coco_metrics(self._truth, results, kind)
            figures |= {f"{name}_ap": metrics.ap, f"{name}_ap50": metrics.ap50}
        return figures
