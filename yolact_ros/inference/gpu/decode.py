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
    """

    boxes: Tensor
    scores: Tensor
    class_ids: Tensor
    coefficients: Tensor
    mask_scores: Tensor | None

    def summary(self) -> Tensor:
        """(B, N, 7) float32 for the host: box, score, class id, mask score (0 if none)."""
        mask_scores = (
            torch.zeros_like(self.scores) if self.mask_scores is None else self.mask_scores
        )
        columns = [self.scores, self.class_ids.float(), mask_scores]
        return torch.cat([self.boxes, torch.stack(columns, dim=2)], dim=2)


def limits_of(
    options: SegmenterOptions, class_ids: Sequence[int], classes: int, device: torch.device
) -> Tensor:
    """The options that are values, not shapes, and so may change without another graph.

    Returns:
        (2 + classes,) float32: score threshold, NMS IoU, and 1 for every class that is kept.
    """
    kept = torch.zeros(classes) if class_ids else torch.ones(classes)
    kept[list(class_ids)] = 1
    values = torch.tensor([options.score_threshold, options.nms_iou])
    return torch.cat([values, kept]).to(device)


def detect_batch(
    predictions: RawPredictions,
    limits: Tensor,
    options: SegmenterOptions,
    mask_iou_net: MaskIou | None,
) -> BatchDetections:
    """Detect and rescore in all images of a batch; the same as `detect` and `rescore` of each.

    Args:
        predictions: The network's.
        limits: From `limits_of`, on the device.
        options: `nms`, `max_instances` and `rescoring` apply; the others come from `limits`.
        mask_iou_net: None for a network without one.
    """
    threshold, iou, kept_classes = limits[0], limits[1], limits[2:]
    scores = predictions.class_scores[:, :, 1:].float() * kept_classes
    taking_part = scores.amax(dim=2, keepdim=True) > CANDIDATE_THRESHOLD
    scores = scores.where(taking_part, -1.0)
    boxes = decode_boxes(predictions.offsets.float(), predictions.priors)
    kept = _SUPPRESS[options.nms](boxes, scores, iou, threshold, options.max_instances)
    found = (kept.scores > 0)[..., None]
    coefficients = _rows(predictions.coefficients, kept.candidates).float().where(found, 0.0)
    detections = BatchDetections(
        boxes=_rows(boxes, kept.candidates).where(found, 0.0),
        scores=kept.scores,
        class_ids=kept.class_ids,
        coefficients=coefficients,
        mask_scores=None,
    )
    return _rescore(mask_iou_net, predictions.prototypes.float(), detections, options, threshold)


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
    return BatchDetections(
        boxes=_rows(found.boxes, order).where(above[..., None], 0.0),
        scores=products.where(above, 0.0),
        class_ids=found.class_ids.gather(1, order).where(above, 0),
        coefficients=_rows(found.coefficients, order).where(above[..., None], 0.0),
        mask_scores=mask_scores.gather(1, order).where(above, 0.0),
    )


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """(B, P, c) at (B, N) to (B, N, c)."""
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[2]))
