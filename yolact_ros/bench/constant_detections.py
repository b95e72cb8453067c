# SPDX-License-Identifier: Apache-2.0
"""A network that always finds the same number of objects, so that two segmenters do equal work."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from yolact_ros.errors import InputError
from yolact_ros.ops.boxes import decode_boxes, encode_boxes
from yolact_ros.ops.suppression import cross_class_fast_nms
from yolact_ros.structures import PendingPredictions, RawPredictions

_Predictions = TypeVar("_Predictions", RawPredictions, PendingPredictions)

_SCORES = (0.99, 0.5)
"""Scores of the best and the worst detection: above any usual threshold."""


class ConstantDetections:
    """A forward hook that replaces the class scores and boxes that a network predicts.

    The network does all its work; prototypes and mask coefficients remain its own. Constant
    (P, C) scores and (P, 4) offsets, the same for every image, cost nothing, and a CUDA graph can
    hold them. `on_output` is called whenever the network has finished.
    """

    def __init__(self, class_scores: Tensor, offsets: Tensor) -> None:
        self._class_scores = class_scores
        self._offsets = offsets
        self.on_output: Callable[[], None] | None = None

    def __deepcopy__(self, memo: Any) -> ConstantDetections:
        """A copy of the network has the same detections."""
        return self

    def __call__(self, network: Any, inputs: Any, predictions: _Predictions) -> _Predictions:
        """Replace what `network.forward` returned."""
        batch = len(predictions.coefficients)
        predictions = predictions._replace(
            class_scores=self._class_scores.expand(batch, -1, -1),
            offsets=self._offsets.expand(batch, -1, -1),
        )
        if isinstance(predictions, PendingPredictions):
            return predictions._replace(prototypes=partial(self._finish, predictions.prototypes))
        if self.on_output:
            self.on_output()
        return predictions

    def found_above(self, score_threshold: float) -> int:
        """The number of detections in each image with a higher score than that."""
        return int((self._class_scores[:, 1:] > score_threshold).sum())

    def _finish(
        self, make: Callable[[Sequence[Tensor]], list[Tensor]], boxes: Sequence[Tensor]
    ) -> list[Tensor]:
        prototypes = make(boxes)
        if self.on_output:
            self.on_output()
        return prototypes


@torch.inference_mode()
def constant_detections(
    predictions: RawPredictions, instances: int, box_area: float | None
) -> ConstantDetections:
    """Make detections of the best candidates of the first image, whatever their scores.

    Args:
        predictions: The network's, in fp32.
        instances: How many candidates to take, 0 or more: those that overlap little first. Their
            classes take turns, so that the work of suppression is spread as in a full image.
        box_area: Part of the image in every box, above 0 up to 1; None for the network's boxes.

    Raises:
        InputError: More instances than priors.
    """
    scores = predictions.class_scores[0, :, 1:].float()
    if not 0 <= instances <= len(scores):
        raise InputError(f"instances: expected 0 to {len(scores)}, got {instances}")
    device, priors = scores.device, predictions.priors
    offsets = predictions.offsets[0].float().clone()
    chosen = _best_candidates(decode_boxes(offsets, priors), scores, instances)
    if box_area is not None:
        boxes = spread_boxes(instances, box_area).to(device)
        offsets[chosen] = encode_boxes(boxes, priors[chosen])
    constant = torch.zeros(len(scores), scores.shape[1] + 1, device=device)
    constant[:, 0] = 1
    constant[chosen, 0] = 0
    classes = torch.arange(instances, device=device) % scores.shape[1]
    constant[chosen, 1 + classes] = torch.linspace(*_SCORES, instances, device=device)
    return ConstantDetections(constant, offsets)


def spread_boxes(count: int, area: float, seed: int = 0) -> Tensor:
    """Place boxes of one size at random within the image, (count, 4) as fractions of its sides.

    Each is smaller than the one before by a hundred-thousandth: no two are equal, whose IoU could
    round to more than 1.
    """
    generator = torch.Generator().manual_seed(seed)
    side = math.sqrt(area) * (1 - 1e-5 * torch.arange(count)[:, None])
    corners = torch.rand(count, 2, generator=generator) * (1 - side)
    return torch.cat([corners, corners + side], dim=1)


def _best_candidates(boxes: Tensor, scores: Tensor, count: int) -> Tensor:
    """Indices of priors, (count,): first those that no better one covers."""
    pool = min(len(scores), max(200, 10 * count))
    apart, _, _ = cross_class_fast_nms(boxes, scores, 0.5, pool)
    order = scores.amax(dim=1).argsort(descending=True)
    rest = order[~torch.isin(order, apart)]
    return torch.cat([apart, rest])[:count]
