# SPDX-License-Identifier: Apache-2.0
"""From raw predictions to the kept detections of one image."""

from __future__ import annotations

from torch import Tensor

from yolact_ros.ops.boxes import decode_boxes
from yolact_ros.ops.suppression import cross_class_fast_nms, exact_nms, fast_nms
from yolact_ros.structures import Detections, PendingPredictions, RawPredictions

from .options import SegmenterOptions

CANDIDATE_THRESHOLD = 0.05
"""A prior takes part in suppression if its best class scores above this, as published."""


def detect(
    predictions: RawPredictions | PendingPredictions,
    image: int,
    options: SegmenterOptions,
    class_ids: tuple[int, ...] = (),
) -> Detections:
    """Decode, suppress and keep the best detections above the score threshold.

    Only the boxes of candidates are decoded, and of their scores only those above the score
    threshold are sorted and compared; see `fast_nms`.

    Args:
        predictions: The network's, for a batch.
        image: Index of the image in the batch.
        options: The kind of suppression and the limits.
        class_ids: Classes to keep; empty for all. The others take no part in suppression.
    """
    scores = predictions.class_scores[image, :, 1:]
    wanted = scores[:, list(class_ids)] if class_ids else scores
    # In the network's own type: converting before or after the maximum gives the same.
    candidates = (wanted.amax(dim=1).float() > CANDIDATE_THRESHOLD).nonzero()[:, 0]
    scores = scores[candidates].float()
    if class_ids:
        # Zeros rather than columns taken out, so that class ids stay what they are.
        mask = scores.new_zeros(scores.shape[1])
        mask[list(class_ids)] = 1
        scores = scores * mask
    boxes = decode_boxes(
        predictions.offsets[image, candidates].float(), predictions.priors[candidates]
    )
    kept, classes, kept_scores = _suppress(boxes, scores, options)
    limit = options.max_instances
    kept = kept[:limit]
    return Detections(
        boxes=boxes[kept],
        scores=kept_scores[:limit],
        class_ids=classes[:limit],
        coefficients=predictions.coefficients[image, candidates[kept]].float(),
    )


def _suppress(
    boxes: Tensor, scores: Tensor, options: SegmenterOptions
) -> tuple[Tensor, Tensor, Tensor]:
    floor = options.score_threshold
    if options.nms == "fast":
        return fast_nms(boxes, scores, options.nms_iou, score_floor=floor)
    if options.nms == "cross_class":
        return cross_class_fast_nms(boxes, scores, options.nms_iou, score_floor=floor)
    floor = max(floor, CANDIDATE_THRESHOLD)
    return exact_nms(boxes, scores, options.nms_iou, score_floor=floor)
