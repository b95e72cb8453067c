# SPDX-License-Identifier: Apache-2.0
"""From uint8 frames to packed masks on a GPU, with one transfer each way.

None of this needs a GPU to be correct: on a CPU it gives what the plain path gives.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from yolact_ros.errors import first_line
from yolact_ros.inference.assemble import download, pixel_boxes, split_masks
from yolact_ros.inference.engines.prepare import PreparedNetwork
from yolact_ros.inference.engines.protocol import RawNetwork
from yolact_ros.inference.options import SegmenterOptions
from yolact_ros.inference.path import Batch, PlainPath
from yolact_ros.inference.preprocess import Preprocessor
from yolact_ros.inference.timing import STAGES, StageClock
from yolact_ros.ops.masks import PackedMasks, assemble_masks
from yolact_ros.structures import Instances

from . import buffers
from .decode import BATCH_NMS_KINDS, limits_of
from .step import BatchStep, StepOutput

_CAPTURE_AFTER = 2
"""Calls of the same sizes that run eagerly first: a graph for a size seen once is not worth it."""
_PLANS_KEPT = 16
_START = "start"
_LEAST_CAPACITY = 1 << 16

_log = logging.getLogger(__name__)

Step = Callable[[], StepOutput]


class _Plan:
    """The tensors in place for one combination of sizes and options, and the graph if captured."""

    def __init__(self, step: BatchStep, sizes: Sequence[tuple[int, int]]) -> None:
        self.step = step
        self.run: Step = step
        self.calls = 0
        self.limits: tuple[Any, ...] | None = None
        # Room for the bits of masks that together cover the image once, to begin with.
        self.capacities = [max(h * w // 8, _LEAST_CAPACITY) for h, w in sizes]


class GpuPath:
    """Segments batches on a GPU; a `yolact_ros.inference.path.SegmentationPath`.

    For each combination of frame sizes and of options that decide on shapes there is a plan: the
    tensors in place and, after a few calls, a captured graph. The last few plans are kept. The
    exact suppression has no such shapes and takes the plain path.

    Args:
        prepared: The network.
        preprocessor: Of the network.
        capture: Makes a graph of a step; None to start every kernel from Python. If it fails, that
            is logged once and the path goes on without graphs.
        assemble: Makes masks as `assemble_masks` does.
    """

    def __init__(
        self,
        prepared: PreparedNetwork,
        preprocessor: Preprocessor,
        capture: Callable[[Step], Step] | None = None,
        assemble: Callable[..., PackedMasks] = assemble_masks,
    ) -> None:
        self._network = prepared.network
        self._device = prepared.device
        self._preprocessor = preprocessor
        self._plain = PlainPath(prepared, preprocessor)
        self._capture = capture
        self._assemble = assemble
        self._plans: OrderedDict[tuple[Any, ...], _Plan] = OrderedDict()

    def prepare(self, batch: Batch) -> None:
        """Capture the graph for a batch of such images."""
        if batch.options.nms not in BATCH_NMS_KINDS:
            return
        plan = self._plan(batch)
        with torch.cuda.device_of(plan.step.frames):
            self._try_capture(plan)

    def segment(self, batch: Batch, clock: StageClock) -> list[Instances]:
        """See `yolact_ros.inference.path.SegmentationPath.segment`."""
        if batch.options.nms not in BATCH_NMS_KINDS:
            return self._plain.segment(batch, clock)
        plan = self._plan(batch)
        # Streams, events and kernels are those of the current device, not of the tensors'.
        with torch.cuda.device_of(plan.step.frames):
            plan.calls += 1
            if plan.calls > _CAPTURE_AFTER:
                self._try_capture(plan)
            return self._run(plan, batch, clock)

    def _run(self, plan: _Plan, batch: Batch, clock: StageClock) -> list[Instances]:
        marks = plan.step.marks
        marks.record(_START)
        buffers.upload(batch.images, plan.step.frames)
        marks.record("upload")
        output = plan.run()
        masks = [
            self._masks(output, i, size, capacity=plan.capacities[i])
            for i, size in enumerate(batch.sizes)
        ]
        marks.record("masks")
        parts = [output.summary, *itertools.chain.from_iterable(masks)]
        summaries, *of_masks = download(parts, buffers.download)
        marks.record("download")
        if self._device.type == "cuda":
            torch.cuda.current_stream(self._device).synchronize()  # for the mark's own time
        for stage, milliseconds in marks.durations((_START, *STAGES)).items():
            clock.add(stage, milliseconds)
        begin = time.perf_counter()
        instances = []
        for i, size in enumerate(batch.sizes):
            rectangles, bits = of_masks[2 * i : 2 * i + 2]
            if (rectangles[:, 4] < 0).any():
                # Masks that did not fit are made again, and have more room from now on.
                rectangles, bits = download(self._masks(output, i, size), buffers.download)
                plan.capacities[i] = max(2 * plan.capacities[i], int(bits.size * 1.5))
            instances.append(
                _instances(summaries[i], rectangles, bits, size, self._network, batch.options)
            )
        clock.add("masks", (time.perf_counter() - begin) * 1000)
        return instances

    def _masks(
        self, output: StepOutput, i: int, size: tuple[int, int], capacity: int | None = None
    ) -> PackedMasks:
        parts = (output.prototypes[i], output.coefficients[i], output.boxes[i])
        return self._assemble(*parts, size, capacity=capacity)

    def _plan(self, batch: Batch) -> _Plan:
        options = batch.options
        shapes = (options.nms, options.max_instances, options.rescoring)
        key = (batch.sizes, batch.channel_orders, shapes)
        if key not in self._plans:
            if len(self._plans) >= _PLANS_KEPT:
                self._plans.popitem(last=False)
            step = BatchStep(self._network, self._preprocessor, batch, self._device)
            self._plans[key] = _Plan(step, batch.sizes)
        self._plans.move_to_end(key)
        plan = self._plans[key]
        limits = (options.score_threshold, options.nms_iou, options.classes)
        if plan.limits != limits:
            names = self._network.preset.class_names
            class_ids = options.class_ids(names)
            plan.step.limits.copy_(limits_of(options, class_ids, len(names), self._device))
            plan.limits = limits
        return plan

    def _try_capture(self, plan: _Plan) -> None:
        if self._capture is None or plan.run is not plan.step:
            return
        try:
            plan.run = self._capture(plan.step)
        except RuntimeError as error:
            self._capture = None
            _log.warning(
                "CUDA graph not captured, every kernel is started alone: %s", first_line(error)
            )


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
