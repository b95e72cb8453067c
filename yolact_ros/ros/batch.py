# SPDX-License-Identifier: Apache-2.0
"""Segments a batch of frames, and what happens when the network fails."""

from __future__ import annotations

from collections.abc import Sequence

from yolact_ros.errors import first_line
from yolact_ros.inference import Segmenter
from yolact_ros.ros.conversion.images import ImageArray
from yolact_ros.ros.counters import Counters
from yolact_ros.ros.frame import Frame, error_line
from yolact_ros.structures import Instances


def segment_batch(
    segmenter: Segmenter, batch: Sequence[tuple[Frame, ImageArray]], counters: Counters
) -> list[Instances | None]:
    """Segment the frames in one batch; if that fails, each frame alone.

    Args:
        segmenter: The network.
        batch: Frames and their pixels.
        counters: The node's, for the size of the batch and the segmenter's stages.

    Returns:
        One result per frame: None for a frame that fails alone, too (counted and logged).
    """
    try:
        found = segmenter(
            [image.pixels for _, image in batch],
            channel_order=[image.channel_order for _, image in batch],
        )
    except Exception as error:
        failure = error.with_traceback(None)  # a traceback would keep the batch's memory
    else:
        counters.record_batch(len(batch))
        for stage, milliseconds in segmenter.timings.items():
            counters.record(stage, milliseconds)
        return list(found)
    if _is_out_of_memory(failure):
        _free_cached_memory()
    if len(batch) > 1:
        return [alone for item in batch for alone in segment_batch(segmenter, [item], counters)]
    _report_failure(*batch[0], failure)
    return [None]


def _report_failure(frame: Frame, image: ImageArray, error: Exception) -> None:
    frame.camera.counters.count("failed")
    height, width = image.pixels.shape[:2]
    cause = error_line(error)
    if _is_out_of_memory(error):
        cause = f"the GPU's memory is full ({first_line(error)})"
    frame.camera.log.error(
        type(error).__name__, f"frame of {width} x {height} pixels not segmented: {cause}"
    )


def _is_out_of_memory(error: Exception) -> bool:
    # By name: the class has moved between versions of torch.
    return type(error).__name__ == "OutOfMemoryError"


def _free_cached_memory() -> None:
    """Return cached blocks to the GPU, so that the next, smaller frame finds room."""
    import torch

    torch.cuda.empty_cache()
