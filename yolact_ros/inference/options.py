# SPDX-License-Identifier: Apache-2.0
"""The options that may change between two calls."""

from __future__ import annotations

from dataclasses import dataclass

from yolact_ros.choices import NMS_KINDS, RESCORING_KINDS
from yolact_ros.errors import InputError, expect_one_of


@dataclass(frozen=True)
class SegmenterOptions:
    """Which detections are kept.

    Attributes:
        score_threshold: Only detections with a score above this are kept; 0 to 1.
        max_instances: Largest number of instances per image, the best ones; 1 or more.
        nms: "fast" (published), "cross_class" or "exact"; see `yolact_ros.ops.suppression`.
        nms_iou: Box IoU above which the worse of two detections is dropped; 0 to 1.
        classes: Names of the classes to keep; empty for all.
        rescoring: What to do with the mask IoU that a YOLACT++ network predicts; other networks
            ignore it. "published": it is returned in `mask_scores` beside the class score, as in
            the authors' evaluation, which ranks masks by the product and boxes by the class score.
            "product": scores are class score times mask IoU, sorted and thresholded again, as in
            the authors' display. "class": the mask-IoU net is not run.

    Raises:
        InputError: A value is out of its range.
    """

    score_threshold: float = 0.15
    max_instances: int = 100
    nms: str = "fast"
    nms_iou: float = 0.5
    classes: tuple[str, ...] = ()
    rescoring: str = "published"

    def __post_init__(self) -> None:
        for name in ("score_threshold", "nms_iou"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InputError(f"{name}: expected 0 to 1, got {value}")
        if self.max_instances < 1:
            raise InputError(f"max_instances: expected 1 or more, got {self.max_instances}")
        expect_one_of("nms", self.nms, NMS_KINDS)
        expect_one_of("rescoring", self.rescoring, RESCORING_KINDS)

    def class_ids(self, class_names: tuple[str, ...]) -> tuple[int, ...]:
        """The ids of `classes` among a preset's names; empty for all.

        Raises:
            InputError: A name is not among them.
        """
        if unknown := [name for name in self.classes if name not in class_names]:
            raise InputError(
                f"classes: expected names among {', '.join(class_names)}, got {', '.join(unknown)}"
            )
        return tuple(class_names.index(name) for name in self.classes)
