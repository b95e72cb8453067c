# SPDX-License-Identifier: Apache-2.0
"""Segments batches of frames, and what happens when the network fails."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from yolact_ros.errors import first_line
from yolact_ros.inference import Segmenter, SegmenterOptions
from yolact_ros.recordings.images.raw import ImageArray
from yolact_ros.ros.counters import Counters
from yolact_ros.ros.frame import Frame, error_line
from yolact_ros.ros.logs import ThrottledLog
from yolact_ros.structures import Instances

Batch = Sequence[tuple[Frame, ImageArray]]

SMALLER_FOR = 60.0
"""Seconds for which batches stay smaller after one failed because of its size."""
MOST_FAILURES = 3
"""Frames that fail in a row after which the GPU, or its memory, is given up."""


class GpuLost(RuntimeError):
    """The process can compute nothing on the GPU any more, whatever it calls."""


class BatchSegmenter:
    """Segments frames in batches; what fails is halved until the guilty frame is found.

    If the halves then pass, the batch was too large, and the following ones stay smaller for
    `SMALLER_FOR` seconds. If one frame fails alone, it was that frame.

    Attributes:
        segmenter: The network in use.

    Args:
        segmenter: The network.
        counters: The node's, for the size of the batches and the segmenter's stages.
        log: The node's.
        on_cpu: Makes a segmenter for the CPU, for when the GPU's memory does not even hold single
            frames; None: they go on failing.
        clock: Returns monotonic time, s.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        counters: Counters,
        log: ThrottledLog,
        *,
        on_cpu: Callable[[], Segmenter] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.segmenter = segmenter
        self._counters = counters
        self._log = log
        self._on_cpu = on_cpu
        self._clock = clock
        self._limit, self._limited_until = math.inf, 0.0
        self._full, self._lost = 0, 0  # frames in a row

    def __call__(
        self, batch: Batch, options: SegmenterOptions | None = None
    ) -> list[Instances | None]:
        """Segment the frames.

        Args:
            batch: Frames and their pixels.
            options: For these frames alone; None: the segmenter's.

        Returns:
            One result per frame: None for a frame that fails alone, too (counted and logged).

        Raises:
            GpuLost: Several frames in a row failed with an error that no call can mend.
        """
        if self._clock() >= self._limited_until:
            self._limit = math.inf
        size = int(min(len(batch), self._limit))
        found: list[Instances | None] = []
        for begin in range(0, len(batch), size):
            found += self._segment(batch[begin : begin + size], options)
        return found

    def _segment(self, batch: Batch, options: SegmenterOptions | None) -> list[Instances | None]:
        try:
            found = self.segmenter(
                [image.pixels for _, image in batch],
                channel_order=[image.channel_order for _, image in batch],
                options=options,
            )
        except Exception as error:
            failure = error.with_traceback(None)  # a traceback would keep the batch's memory
        else:
            self._full = self._lost = 0
            self._counters.record_batch(len(batch))
            for stage, milliseconds in self.segmenter.timings.items():
                self._counters.record(stage, milliseconds)
            return list(found)
        if _is_out_of_memory(failure):
            _free_cached_memory()
        if len(batch) == 1:
            return [self._fail(*batch[0], failure, options)]
        return self._halve(batch, failure, options)

    def _halve(
        self, batch: Batch, failure: Exception, options: SegmenterOptions | None
    ) -> list[Instances | None]:
        half = (len(batch) + 1) // 2
        self._log.error(
            ("batch", type(failure).__name__),
            f"a batch of {len(batch)} frames failed, and is tried in parts of {half}: "
            f"{_cause(failure)}",
        )
        parts = [*self._segment(batch[:half], options), *self._segment(batch[half:], options)]
        if all(part is not None for part in parts):
            self._limit = min(self._limit, half)
            self._limited_until = self._clock() + SMALLER_FOR
            self._log.warning(
                "smaller batches",
                f"batches of at most {self._limit} frames for the next {SMALLER_FOR:g} s",
            )
        return parts

    def _fail(
        self,
        frame: Frame,
        image: ImageArray,
        error: Exception,
        options: SegmenterOptions | None,
    ) -> Instances | None:
        """Count a frame that fails alone; return its instances if the CPU took over."""
        self._full = self._full + 1 if _is_out_of_memory(error) else 0
        self._lost = self._lost + 1 if is_gpu_lost(error) else 0
        if self._full >= MOST_FAILURES and self._on_cpu is not None:
            self._log.error("cpu", f"going on with the CPU, which is slower: {_cause(error)}")
            current = self.segmenter.options  # as they were set since the start
            self.segmenter, self._on_cpu = self._on_cpu(), None
            self.segmenter.options = current
            _free_cached_memory()
            return self._segment([(frame, image)], options)[0]
        height, width = image.pixels.shape[:2]
        frame.end("failed", reason=_cause(error))
        frame.camera.log.error(
            ("failed", type(error).__name__),
            f"frame of {width} x {height} pixels not segmented: {_cause(error)}",
        )
        if self._lost >= MOST_FAILURES:
            raise GpuLost(
                f"{self._lost} frames in a row failed, and nothing but a new process can mend "
                f"that: {error_line(error)}"
            )
        return None


def is_gpu_lost(error: Exception) -> bool:
    """Whether every later call on the GPU will fail as well: the CUDA context is corrupted."""
    text = str(error)
    return any(sign in text for sign in _LOST) and ("CUDA" in text or "cuda" in text)


_LOST = (
    *("illegal memory access", "illegal instruction", "illegal address", "misaligned address"),
    *("device-side assert", "unspecified launch failure", "launch timed out"),
    *("uncorrectable ECC error", "hardware stack error", "invalid program counter"),
    *("device is lost", "GPU is lost", "context is destroyed"),
)
"""What CUDA says (`cudaGetErrorString`) of errors after which the process has to end."""


def _cause(error: Exception) -> str:
    if _is_out_of_memory(error):
        return f"the GPU's memory is full ({first_line(error)})"
    return error_line(error)


def _is_out_of_memory(error: Exception) -> bool:
    # By name and text: the class has moved between versions of torch, and not all raise it.
    return type(error).__name__ == "OutOfMemoryError" or "out of memory" in str(error)


def _free_cached_memory() -> None:
    """Return cached blocks to the GPU, so that the next, smaller batch finds room."""
    import torch

    torch.cuda.empty_cache()
