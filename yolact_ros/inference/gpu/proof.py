# SPDX-License-Identifier: Apache-2.0
"""Whether a recorded step does what the step does: a graph is believed only after this."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch

from yolact_ros.ops.kernels import largest_difference

from .block import head_bytes
from .decode import limits_of
from .step import BatchStep, StepOutput

_LEAST_SHARE = 0.95
"""Of the rows that must be equal: of equal scores the last may fall to others."""
_TOLERANCE = 0.02
"""Of the largest value."""
_CANDIDATE_FLOOR = -1.0
"""With it every prior is a candidate: noise must give detections, or decoding would go unproved."""


def difference_of_replay(step: BatchStep, replay: Callable[[], StepOutput]) -> str | None:
    """Run a step and its replay on two batches of noise each, and compare what they give.

    A kernel that was not recorded leaves the results of the frames before, or of none.

    Args:
        step: What was recorded. What its tensors hold is put back.
        replay: Runs the recording.

    Returns:
        What differs, in words; None if nothing does.
    """
    held = [step.x.clone(), step.sizes.clone(), step.limits.clone()]
    try:
        return _difference(step, replay)
    finally:
        for place, value in zip((step.x, step.sizes, step.limits), held, strict=True):
            place.copy_(value)


def _difference(step: BatchStep, replay: Callable[[], StepOutput]) -> str | None:
    generator = torch.Generator(step.x.device).manual_seed(0)
    batches = [torch.randn(step.x.shape, generator=generator, device=step.x.device) for _ in "12"]
    step.sizes.copy_(torch.tensor([240, 320], dtype=torch.int32, device=step.sizes.device))
    everything = dataclasses.replace(step.options, score_threshold=0.0, nms_iou=1.0, classes=())
    limits = limits_of(everything, (), step.classes, step.limits.device, _CANDIDATE_FLOOR)
    step.limits.copy_(limits)
    expected = []
    for batch in batches:
        step.x.copy_(batch)
        expected.append(StepOutput(*(part.clone() for part in step())))
    for batch, wanted in zip(batches, expected, strict=True):
        step.x.copy_(batch)
        found = replay()
        if largest_difference(found.prototypes, wanted.prototypes) > _TOLERANCE:
            return "prototypes"
        for name in ("boxes", "coefficients"):
            rows, others = getattr(found, name), getattr(wanted, name)
            near = torch.isclose(rows, others, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True)
            if near.all(dim=2).float().mean() < _LEAST_SHARE:
                return name
        images, places, _ = found.boxes.shape
        head = head_bytes(images, places, masks=step.makes_masks)
        if (found.block[:head] == wanted.block[:head]).float().mean() < _LEAST_SHARE:
            return "masks and summaries"
    return None
