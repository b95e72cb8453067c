# SPDX-License-Identifier: Apache-2.0
"""From raw predictions to the kept detections of a batch, in shapes that a CUDA graph can hold.

Shapes depend on the number of images and on the options, never on the values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from yolact_ros.inference.decode import CANDIDATE_THRESHOLD
from yolact_ros.inference.engines.protocol import MaskIou
from yolact_ros.inference.options import SegmenterOptions
from yolact_ros.inference.rescore import predict_mask_iou_of
from yolact_ros.ops.boxes import decode_boxes
from yolact_ros.ops.suppression import batch_cross_class_fast_nms, batch_fast_nms, top_scores
from yolact_ros.structures import RawPredictions

_SUPPRESS = {"fast": batch_fast_nms, "cross_class": batch_cross_class_fast_nms}
BATCH_NMS_KINDS = tuple(_SUPPRESS)
"""The exact kind is missing: how many pairs take part in it depends on the scores."""


class BatchDetections(NamedTuple):
    """Detections of a batch in N places per image, best score first; unused places are all zero.

    Attributes:
        boxes: (B, N, 4) as in `Detections`.
        scores: (B, N) float32, above 0 where there is a detection.
        class_ids: (B, N) int64.
        coefficients: (B, N, k) float32.
        mask_scores: (B, N) predicted mask IoU, or None.
        candidates: (B,) int64 priors that scored well enough to take part in suppression.
    """

    boxes: Tensor
    scores: Tensor
    class_ids: Tensor
    coefficients: Tensor
    mask_scores: Tensor | None
    candidates: Tensor

    def summary(self) -> Tensor:
        """(B, N, 7) float32 for the host: box, score, class id, mask score (0 if none)."""
        mask_scores = (
            torch.zeros_like(self.scores) if self.mask_scores is None else self.mask_scores
        )
        columns = [self.scores, self.class_ids.float(), mask_scores]
        return torch.cat([self.boxes, torch.stack(columns, dim=2)], dim=2)


def limits_of(
    options: SegmenterOptions,
    class_ids: Sequence[int],
    classes: int,
    device: torch.device,
    candidate_threshold: float = CANDIDATE_THRESHOLD,
) -> Tensor:
    """The options that are values, not shapes, and so may change without another graph.

    Returns:
        (3 + classes,) float32: score threshold, NMS IoU, the threshold of candidates, and 1 for
        every class that is kept.
    """
    kept = torch.zeros(classes) if class_ids else torch.ones(classes)
    kept[list(class_ids)] = 1
    values = torch.tensor([options.score_threshold, options.nms_iou, candidate_threshold])
    return torch.cat([values, kept]).to(device)


def detect_batch(
    predictions: RawPredictions,
    limits: Tensor,
    options: SegmenterOptions,
    mask_iou_net: MaskIou | None,
    room: int | None = None,
) -> BatchDetections:
    """Detect and rescore in all images of a batch; the same as `detect` and `rescore` of each.

    Args:
        predictions: The network's.
        limits: From `limits_of`, on the device.
        options: `nms`, `max_instances` and `rescoring` apply; the others come from `limits`.
        mask_iou_net: None for a network without one.
        room: Candidates of an image that are sorted and compared: sorting all priors takes longer
            than anything else here. With more candidates than that the result is incomplete. None
            for all priors.
    """
    threshold, iou, candidate_threshold = limits[0], limits[1], limits[2]
    scores, offsets = predictions.class_scores[:, :, 1:], predictions.offsets
    priors, coefficients = predictions.priors, predictions.coefficients
    # A kept class weighs 1 and another 0; the product of the largest is the largest product.
    weighted = scores.float() * limits[3:]
    taking_part = weighted.amax(dim=2) > candidate_threshold
    if room is not None and room < taking_part.shape[1]:
        places, taken = _first_of(taking_part, room)
        scores = _rows(weighted, places).where(taken[..., None], -1.0)
        offsets, coefficients = _rows(offsets, places), _rows(coefficients, places)
        priors = priors[places]
    else:
        scores = weighted.where(taking_part[..., None], -1.0)
    boxes = decode_boxes(offsets.float(), priors)
    kept = _SUPPRESS[options.nms](boxes, scores, iou, threshold, options.max_instances)
    found = (kept.scores > 0)[..., None]
    detections = BatchDetections(
        boxes=_rows(boxes, kept.candidates).where(found, 0.0),
        scores=kept.scores,
        class_ids=kept.class_ids,
        coefficients=_rows(coefficients, kept.candidates).float().where(found, 0.0),
        mask_scores=None,
        candidates=taking_part.sum(dim=1),
    )
    return _rescore(mask_iou_net, predictions.prototypes.float(), detections, options, threshold)


def _first_of(chosen: Tensor, room: int) -> tuple[Tensor, Tensor]:
    """Indices (B, room) int64 of the first chosen (B, P) bool, in order, and which are real."""
    batch, count = chosen.shape
    place = torch.where(chosen, chosen.cumsum(dim=1) - 1, room).clamp(max=room)
    indices = torch.arange(count, device=chosen.device).expand(batch, -1)
    # All that have no place are written into one behind the last, which is cut off.
    first = indices.new_zeros(batch, room + 1).scatter_(1, place, indices)[:, :room]
    return first, torch.arange(room, device=chosen.device) < chosen.sum(dim=1, keepdim=True)


def _rescore(
    net: MaskIou | None,
    prototypes: Tensor,
    found: BatchDetections,
    options: SegmenterOptions,
    threshold: Tensor,
) -> BatchDetections:
    if net is None or options.rescoring == "class":
        return found
    mask_scores = predict_mask_iou_of(
        net, prototypes, found.coefficients, found.boxes, found.class_ids
    )
    if options.rescoring == "published":
        return found._replace(mask_scores=mask_scores.where(found.scores > 0, 0.0))
    products = (found.scores * mask_scores).where(found.scores > 0, -1.0)
    products, order = top_scores(products, threshold, products.shape[1])
    above = products > threshold
    return found._replace(
        boxes=_rows(found.boxes, order).where(above[..., None], 0.0),
        scores=products.where(above, 0.0),
        class_ids=found.class_ids.gather(1, order).where(above, 0),
        coefficients=_rows(found.coefficients, order).where(above[..., None], 0.0),
        mask_scores=mask_scores.gather(1, order).where(above, 0.0),
    )


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """(B, P, c) at (B, N) to (B, N, c)."""
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[2]))
