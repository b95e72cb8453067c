# SPDX-License-Identifier: Apache-2.0
"""From uint8 frames to packed masks on a GPU.

None of this needs a GPU to be correct: on a CPU it gives what the plain path gives.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from yolact_ros.inference.assemble import download, pixel_boxes, split_masks
from yolact_ros.inference.engines.prepare import PreparedNetwork
from yolact_ros.inference.engines.protocol import RawNetwork
from yolact_ros.inference.options import SegmenterOptions
from yolact_ros.inference.path import Batch, PlainPath
from yolact_ros.inference.preprocess import Preprocessor
from yolact_ros.inference.timing import STAGES, StageClock
from yolact_ros.ops.masks import MaskSteps, assemble_masks
from yolact_ros.ops.masks.torch import mask_regions
from yolact_ros.structures import Instances, PackedMask

from .block import HostBlock, head_bytes, read_block
from .buffers import Staging
from .decode import BATCH_NMS_KINDS, limits_of
from .graph import Step, is_passing
from .proof import difference_of_replay
from .room import MaskRoom
from .step import BatchStep, StepOutput

_CAPTURE_AFTER = 2
"""Batches of the same kind that run eagerly first: a graph for one seen once is not worth it."""
_CAPTURE_AGAIN_S = 30.0
"""After a failure that may pass, such as a lack of memory."""
_PLANS_KEPT = 16
_BITS_AT_ONCE = 1 << 17
"""Bytes of an image's masks that are brought with the rest, whether used or not."""
_START = "start"

_log = logging.getLogger(__name__)


class _Plan:
    """The tensors in place for a number of images, an input size and options; the graph, too."""

    def __init__(self, step: BatchStep) -> None:
        self.step = step
        self.run: Step = step
        self.calls = 0
        self.capture_from = 0.0
        self.limits: tuple[Any, ...] | None = None
        self.sizes: tuple[tuple[int, int], ...] | None = None
        self.room = MaskRoom(step.mask_room)

    def change_step(self) -> None:
        """Forget the graph of a step whose shapes change."""
        self.run = self.step
        self.calls = 0


class GpuPath:
    """Segments batches on a GPU; a `yolact_ros.inference.path.SegmentationPath`.

    For each number of images, input size and options that decide on shapes there is a plan: the
    tensors in place and, after a few calls, a captured graph. The last few plans are kept. The
    images' own sizes are numbers in one of these tensors. The exact suppression has no such shapes
    and takes the plain path.

    Args:
        prepared: The network.
        preprocessor: Of the network.
        capture: Makes a graph of a step; None to start every kernel from Python. A graph is used
            once its replay was compared with the step. If that fails, the log says why, and the
            path goes on without graphs.
        mask_steps: Compute masks in the step; None to compute them behind it, image by image, by
            `assemble_masks`.
    """

    def __init__(
        self,
        prepared: PreparedNetwork,
        preprocessor: Preprocessor,
        capture: Callable[[Step], Step] | None = None,
        mask_steps: MaskSteps | None = None,
    ) -> None:
        self._prepared = prepared
        self._network = prepared.network
        self._device = prepared.device
        self._preprocessor = preprocessor
        self._plain = PlainPath(prepared, preprocessor)
        self._capture = capture
        self._mask_steps = mask_steps
        self._staging = Staging(prepared.device)
        self._plans: OrderedDict[tuple[Any, ...], _Plan] = OrderedDict()

    def prepare(self, batch: Batch) -> None:
        """Capture the graph for a batch of so many images."""
        if batch.options.nms in BATCH_NMS_KINDS:
            self._try_capture(self._plan(batch))

    def segment(self, batch: Batch, clock: StageClock) -> list[Instances]:
        """See `yolact_ros.inference.path.SegmentationPath.segment`."""
        if batch.options.nms not in BATCH_NMS_KINDS:
            return self._plain.segment(batch, clock)
        plan = self._plan(batch)
        plan.calls += 1
        if plan.calls > _CAPTURE_AFTER:
            self._try_capture(plan)
        return self._run(plan, batch, clock)

    def _run(self, plan: _Plan, batch: Batch, clock: StageClock) -> list[Instances]:
        step, marks = plan.step, plan.step.marks
        marks.begin(_START)
        frames = self._staging.upload(batch.images)
        marks.record("upload")
        for frame, order, place in zip(frames, batch.channel_orders, step.x, strict=True):
            self._preprocessor.place(frame, order, place)
        marks.record("preprocess")
        output = plan.run()
        block = self._bring(output, masks=step.makes_masks)
        if step.candidates is not None and block.candidates.max() > step.candidates:
            step.candidates = None  # from now on, since it may well come again
            plan.change_step()
            output = plan.run()
            block = self._bring(output, masks=step.makes_masks)
        marks.record("download")
        if self._device.type == "cuda":
            torch.cuda.current_stream(self._device).synchronize()  # for the mark's own time
        for stage, milliseconds in marks.durations((_START, *STAGES)).items():
            clock.add(stage, milliseconds)
        begin = time.perf_counter()
        instances = [self._instances(block, output, i, batch) for i in range(len(batch.images))]
        if step.makes_masks and plan.room.follow(_bytes_needed(block, output, batch, plan.room)):
            step.mask_room = plan.room.bytes
            plan.change_step()
        clock.add("masks", (time.perf_counter() - begin) * 1000)
        return instances

    def _bring(self, output: StepOutput, *, masks: bool) -> HostBlock:
        """The block on the host: with one copy, and a second one for more masks than usual."""
        images, places, _ = output.boxes.shape
        head = head_bytes(images, places, masks=masks)
        first = self._staging.download(output.block[: head + images * _BITS_AT_ONCE])
        block = read_block(first, images, places, masks=masks)
        end = _end_of_masks(block.rectangles)
        if end > len(block.bits):
            whole = self._staging.download(output.block[: head + end])
            block = read_block(whole, images, places, masks=masks)
        return block

    def _instances(self, block: HostBlock, output: StepOutput, i: int, batch: Batch) -> Instances:
        """One image's instances of its N places, those that are left taken out."""
        size = batch.sizes[i]
        count = int(np.count_nonzero(block.summary[i, :, 4] > 0))
        kept = block.summary[i, :count]
        if len(block.rectangles[i]) and (block.rectangles[i, :count, 4] >= 0).all():
            masks = split_masks(block.rectangles[i, :count], block.bits)
        else:
            masks = self._masks_alone(output, i, count, size)
        return _instances(kept, masks, size, self._network, batch.options)

    def _masks_alone(
        self, output: StepOutput, i: int, count: int, size: tuple[int, int]
    ) -> tuple[PackedMask, ...]:
        """Masks that the step left out or had no room for."""
        parts = (output.prototypes[i], output.coefficients[i, :count], output.boxes[i, :count])
        return split_masks(*download(assemble_masks(*parts, size)))

    def _plan(self, batch: Batch) -> _Plan:
        options, sizes = batch.options, batch.sizes
        input_size = self._preprocessor.input_size(*sizes[0])
        key = (len(sizes), input_size, options.nms, options.max_instances, options.rescoring)
        if key not in self._plans:
            if len(self._plans) >= _PLANS_KEPT:
                self._plans.popitem(last=False)
            where = (len(sizes), input_size, self._prepared.dtype, self._device)
            step = BatchStep(self._network, *where, options, self._mask_steps)
            self._plans[key] = _Plan(step)
        self._plans.move_to_end(key)
        plan = self._plans[key]
        limits = (options.score_threshold, options.nms_iou, options.classes)
        if plan.limits != limits:
            names = self._network.preset.class_names
            values = limits_of(options, options.class_ids(names), len(names), self._device)
            plan.step.limits.copy_(values)
            plan.limits = limits
        if plan.sizes != sizes:
            plan.step.sizes.copy_(torch.tensor(sizes, dtype=torch.int32))
            plan.sizes = sizes
        return plan

    def _try_capture(self, plan: _Plan) -> None:
        if self._capture is None or plan.run is not plan.step:
            return
        if time.monotonic() < plan.capture_from:
            return
        try:
            replay = self._capture(plan.step)
            difference = difference_of_replay(plan.step, replay)
        except RuntimeError as error:
            if is_passing(error):
                plan.capture_from = time.monotonic() + _CAPTURE_AGAIN_S
                then = f"tried again after {_CAPTURE_AGAIN_S:.0f} s"
            else:
                self._capture = None
                then = "every kernel is started alone"
            _log.warning("CUDA graph not captured, %s: %s", then, " ".join(str(error).split()))
            _log.debug("CUDA graph not captured", exc_info=True)
            return
        if difference is not None:
            self._capture = None
            _log.warning(
                "CUDA graph not used, every kernel is started alone: its replay gave other %s than "
                "the kernels themselves; a newer torch and torchvision may mend it",
                difference,
            )
            return
        plan.run = replay


def _end_of_masks(rectangles: npt.NDArray[np.int64]) -> int:
    """Bytes up to the end of the last mask that fitted."""
    widths, heights, starts = (rectangles[..., column] for column in (2, 3, 4))
    return int(np.max(starts + heights * ((widths + 7) // 8), initial=0))


def _bytes_needed(block: HostBlock, output: StepOutput, batch: Batch, room: MaskRoom) -> int:
    """Bytes of the regions of a batch's boxes."""
    if room.is_least and (block.rectangles[..., 4] >= 0).all():
        return 0  # it fits, and there is no less
    found = block.summary[..., 4:5] > 0
    boxes = torch.from_numpy(np.where(found, block.summary[..., :4], np.nan))
    _, height, width, _ = output.prototypes.shape
    regions = mask_regions(boxes, (height, width), torch.tensor(batch.sizes), None)
    return int(regions.starts[-1])


def _instances(
    kept: npt.NDArray[np.float32],
    masks: tuple[PackedMask, ...],
    image_size: tuple[int, int],
    network: RawNetwork,
    options: SegmenterOptions,
) -> Instances:
    class_ids = kept[:, 5].astype(np.int64)
    rescored = network.maskiou_net is not None and options.rescoring != "class"
    names = network.preset.class_names
    return Instances(
        image_size=image_size,
        boxes=pixel_boxes(kept[:, :4], *image_size),
        scores=kept[:, 4].copy(),
        class_ids=class_ids,
        class_names=tuple(names[i] for i in class_ids),
        packed_masks=masks,
        mask_scores=kept[:, 6].copy() if rescored else None,
    )
