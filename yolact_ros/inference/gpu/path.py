# SPDX-License-Identifier: Apache-2.0
"""From uint8 frames to packed masks on a GPU, with one transfer each way.

Resizing, network, decoding and suppression have shapes that follow the frames' sizes alone, so that
a CUDA graph can hold them. None of this needs a GPU to be correct: on a CPU it gives what the plain
path gives.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from yolact_ros.inference.assemble import download, pixel_boxes, split_masks
from yolact_ros.inference.engines.protocol import RawNetwork
from yolact_ros.inference.options import SegmenterOptions
from yolact_ros.inference.preprocess import Preprocessor, channel_orders
from yolact_ros.inference.timing import STAGES, Marks, StageClock
from yolact_ros.ops.masks import PackedMasks, assemble_masks
from yolact_ros.structures import Instances

from .buffers import Staging
from .decode import detect_fixed, limits_of
from .graph import Capture, FixedCall

_CAPTURE_AFTER = 2
"""Calls of the same sizes that run eagerly first: a graph for a size seen once is not worth it."""
_PLANS_KEPT = 16
_START = "start"
_GRAPHED = ("preprocess", "network", "decode")
_LEAST_CAPACITY = 1 << 16

_log = logging.getLogger(__name__)


class FixedOutput(NamedTuple):
    """What the fixed-shape part of a call gives, for B images with N places each.

    Attributes:
        prototypes: (B, h, w, k) float32.
        coefficients: (B, N, k) float32.
        boxes: (B, N, 4) float32, NaN in places that are left, which makes no mask.
        summary: (B, N, 7), see `FixedDetections.summary`.
    """

    prototypes: Tensor
    coefficients: Tensor
    boxes: Tensor
    summary: Tensor


class FixedStep:
    """Everything from frames on the device to kept detections, as a call on tensors in place.

    Args:
        network: In evaluation mode.
        preprocessor: Of the network.
        sizes: (height, width) of each frame of the batch.
        channel_order: Of all frames or one a frame.
        options: Those that decide on shapes are taken from here, the others from `limits`.
        device: Where it runs.

    Attributes:
        frames: (bytes of all frames,) uint8: write them here, one behind the other.
        limits: As `limits_of` gives it: write changed options here.
        marks: Ends of the stages.
    """

    def __init__(
        self,
        network: RawNetwork,
        preprocessor: Preprocessor,
        sizes: Sequence[tuple[int, int]],
        channel_order: str | Sequence[str],
        options: SegmenterOptions,
        device: torch.device,
    ) -> None:
        self.frames = torch.zeros(
            sum(3 * h * w for h, w in sizes), dtype=torch.uint8, device=device
        )
        self.limits = torch.zeros(2 + network.preset.num_classes - 1, device=device)
        self.marks = Marks(device, _GRAPHED)
        self._network = network
        self._preprocessor = preprocessor
        self._options = options
        self._resizes = preprocessor.resizes(sizes, channel_order)
        self._views = [
            part.view(height, width, 3)
            for part, (height, width) in zip(
                self.frames.split([3 * h * w for h, w in sizes]), sizes, strict=True
            )
        ]

    def __call__(self) -> FixedOutput:
        x = self._preprocessor.prepare(self._views, self._resizes)
        self.marks.record("preprocess")
        predictions = self._network(x)
        self.marks.record("network")
        found = detect_fixed(predictions, self.limits, self._options, self._network.maskiou_net)
        output = FixedOutput(
            prototypes=predictions.prototypes.float(),
            coefficients=found.coefficients,
            boxes=found.boxes.where((found.scores > 0)[..., None], torch.nan),
            summary=found.summary(),
        )
        self.marks.record("decode")
        return output


class _Plan:
    """What is kept for a batch of certain sizes."""

    def __init__(self, step: FixedStep, sizes: Sequence[tuple[int, int]]) -> None:
        self.step = step
        self.call: FixedCall[FixedOutput] = step
        self.captured = False
        self.calls = 0
        self.limits: tuple[Any, ...] | None = None
        # Room for the bits of masks that together cover the image once, to begin with.
        self.capacities = [max(h * w // 8, _LEAST_CAPACITY) for h, w in sizes]


class FixedPath:
    """Segments batches on a GPU.

    For each combination of frame sizes and of options that decide on shapes there is a plan: the
    tensors in place and, after a few calls, a captured graph. The last few plans are kept.

    Args:
        network: In evaluation mode, on the device.
        preprocessor: Of the network.
        device: Where it runs.
        capture: Makes graphs; None to start every kernel from Python. If it fails, that is logged
            once and the path goes on without graphs.
    """

    def __init__(
        self,
        network: RawNetwork,
        preprocessor: Preprocessor,
        device: torch.device,
        capture: Capture[FixedOutput] | None,
    ) -> None:
        self._network = network
        self._preprocessor = preprocessor
        self._device = device
        self._capture = capture
        self._staging = Staging(device)
        self._plans: OrderedDict[tuple[Any, ...], _Plan] = OrderedDict()

    def segment(
        self,
        images: Sequence[npt.NDArray[np.uint8]],
        channel_order: str | Sequence[str],
        options: SegmenterOptions,
        class_ids: tuple[int, ...],
        clock: StageClock,
        *,
        capture_now: bool = False,
    ) -> list[Instances]:
        """Segments images that have the same input size.

        Args:
            images: (H, W, 3) uint8 each.
            channel_order: "bgr" or "rgb", of all images or one an image.
            options: Which detections are kept.
            class_ids: Those of `options.classes`.
            clock: Gets the time of each stage.
            capture_now: Whether to make the graph in this call.
        """
        sizes = [(image.shape[0], image.shape[1]) for image in images]
        plan = self._plan(sizes, channel_orders(channel_order, len(sizes)), options)
        self._set_limits(plan, options, class_ids)
        plan.calls += 1
        if not plan.captured and (capture_now or plan.calls > _CAPTURE_AFTER):
            self._try_capture(plan)
        marks = plan.step.marks
        marks.record(_START)
        self._staging.upload(images, plan.step.frames)
        marks.record("upload")
        output = plan.call()
        masks = [
            assemble_masks(
                output.prototypes[i],
                output.coefficients[i],
                output.boxes[i],
                size,
                capacity=plan.capacities[i],
            )
            for i, size in enumerate(sizes)
        ]
        marks.record("masks")
        host = self._download(output.summary, masks, marks)
        for stage, milliseconds in marks.durations((_START, *STAGES)).items():
            clock.add(stage, milliseconds)
        begin = time.perf_counter()
        host = self._enlarge(plan, output, sizes, host)
        instances = [
            _instances(summary, *of_image, size, self._network, options)
            for summary, of_image, size in zip(host.summary, host.masks, sizes, strict=True)
        ]
        clock.add("masks", (time.perf_counter() - begin) * 1000)
        return instances

    def _plan(
        self,
        sizes: list[tuple[int, int]],
        channel_order: tuple[str, ...],
        options: SegmenterOptions,
    ) -> _Plan:
        shapes = (options.nms, options.max_instances, options.rescoring)
        key = (tuple(sizes), channel_order, shapes)
        if key not in self._plans:
            if len(self._plans) >= _PLANS_KEPT:
                self._plans.popitem(last=False)
            step = FixedStep(
                self._network, self._preprocessor, sizes, channel_order, options, self._device
            )
            self._plans[key] = _Plan(step, sizes)
        self._plans.move_to_end(key)
        return self._plans[key]

    def _set_limits(
        self, plan: _Plan, options: SegmenterOptions, class_ids: tuple[int, ...]
    ) -> None:
        limits = (options.score_threshold, options.nms_iou, class_ids)
        if plan.limits != limits:
            classes = self._network.preset.num_classes - 1
            plan.step.limits.copy_(limits_of(options, class_ids, classes, self._device))
            plan.limits = limits

    def _try_capture(self, plan: _Plan) -> None:
        if self._capture is None:
            return
        try:
            plan.call = self._capture(plan.step)
            plan.captured = True
        except RuntimeError as error:
            self._capture = None
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            _log.warning("CUDA graph not captured, every kernel is started alone: %s", reason)

    def _download(self, summary: Tensor, masks: list[PackedMasks], marks: Marks) -> _Host:
        parts = [summary, *(part for of_image in masks for part in of_image)]
        arrays = download(parts, self._staging.download)
        marks.record("download")
        if self._device.type == "cuda":
            torch.cuda.current_stream(self._device).synchronize()  # for the mark's own time
        return _Host(arrays[0], list(zip(arrays[1::2], arrays[2::2], strict=True)))

    def _enlarge(
        self, plan: _Plan, output: FixedOutput, sizes: list[tuple[int, int]], host: _Host
    ) -> _Host:
        """Makes masks again that did not fit, and gives them more room from now on."""
        for i, (rectangles, _) in enumerate(host.masks):
            if (rectangles[:, 4] >= 0).all():
                continue
            again = assemble_masks(
                output.prototypes[i], output.coefficients[i], output.boxes[i], sizes[i]
            )
            plan.capacities[i] = max(2 * plan.capacities[i], int(again.bits.numel() * 1.5))
            rectangles, bits = download(again, self._staging.download)
            host.masks[i] = (rectangles, bits)
        return host


class _Host(NamedTuple):
    summary: npt.NDArray[np.float32]
    masks: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]]


def _instances(
    summary: npt.NDArray[np.float32],
    rectangles: npt.NDArray[np.int32],
    bits: npt.NDArray[np.uint8],
    image_size: tuple[int, int],
    network: RawNetwork,
    options: SegmenterOptions,
) -> Instances:
    """One image's instances of its N places, those that are left taken out."""
    count = int(np.count_nonzero(summary[:, 4] > 0))
    kept = summary[:count]
    class_ids = kept[:, 5].astype(np.int64)
    rescored = network.maskiou_net is not None and options.rescoring != "class"
    names = network.preset.class_names
    return Instances(
        image_size=image_size,
        boxes=pixel_boxes(kept[:, :4], *image_size),
        scores=kept[:, 4].copy(),
        class_ids=class_ids,
        class_names=tuple(names[i] for i in class_ids),
        packed_masks=split_masks(rectangles[:count], bits),
        mask_scores=kept[:, 6].copy() if rescored else None,
    )
