# SPDX-License-Identifier: Apache-2.0
"""The network's arithmetic: what was asked for, or what the device is fast at."""

from __future__ import annotations

import logging
import time
from typing import NamedTuple

import torch
from torch.nn import functional as F

from yolact_ros.choices import PRECISIONS
from yolact_ros.errors import InputError, expect_one_of

LEAST_GAIN = 1.3
"""bf16 is taken where it is at least so many times as fast as fp32: it has 8 bits of precision."""

_DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}
_CHANNELS, _SIDE = 256, 35
"""Of P4 of a 550-pixel input, which the pyramid, the head and the backbone's fourth stage share."""
_FEW_ROWS = 2
_HOPELESS = 0.5
"""With a lower gain in a few rows, all of them would be waited for in vain."""
_LEAST_RUNS, _RUNS = 3, 5
_MOST_S = 0.5

_log = logging.getLogger(__name__)


class Precision(NamedTuple):
    """An arithmetic.

    Attributes:
        name: "fp32", "tf32", "fp16" or "bf16".
        dtype: Its torch type.
        reason: What was measured to choose it; empty where nothing was.
    """

    name: str
    dtype: torch.dtype
    reason: str = ""


class ConvolutionTimes(NamedTuple):
    """Milliseconds of one typical convolution on this CPU, by arithmetic."""

    fp32: float
    bf16: float

    @property
    def gain(self) -> float:
        """How many times as fast it is in bf16."""
        return self.fp32 / self.bf16

    @property
    def faster(self) -> str:
        """The arithmetic to take."""
        return "bf16" if self.gain >= LEAST_GAIN else "fp32"

    def __str__(self) -> str:
        return (
            f"measured: a convolution takes {self.fp32:.3g} ms in fp32 and {self.bf16:.3g} ms in "
            f"bf16, {self.gain:.2f} times as fast; bf16 is taken from {LEAST_GAIN} on"
        )


def resolve_precision(name: str, device: torch.device) -> Precision:
    """The precision to use.

    "auto" is fp16 on CUDA. On a CPU it is what a measurement says, which computes for half a second
    at most.

    Raises:
        InputError: The name is not in `yolact_ros.choices.PRECISIONS`, or is "tf32" on a CPU.
    """
    expect_one_of("precision", name, PRECISIONS)
    if name == "tf32" and device.type != "cuda":
        raise InputError("precision: expected another one on a CPU than tf32, which GPUs have")
    if name != "auto":
        return Precision(name, _DTYPES[name])
    if device.type == "cuda":
        return Precision("fp16", torch.float16)
    times = time_convolution()
    _log.info("precision: %s; %s", times.faster, times)
    return Precision(times.faster, _DTYPES[times.faster], str(times))


@torch.inference_mode()
def time_convolution() -> ConvolutionTimes:
    """Time a 3x3 convolution of 256 channels, in the network's layout and on one thread.

    The times are the shortest of five calls in turns, of three where half a second has passed. Both
    count what the thread computes. Beside other work all calls take longer, by waits that say
    nothing of the processor, and most of all by those of several threads for one another. A few
    rows come first, and are enough where bf16 is far slower, or where the calls of the whole would
    take longer than that; beside other work they say too little: most of what they take is to fetch
    the weights.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        end = time.thread_time() + _MOST_S
        times = _time_both(_FEW_ROWS, end)
        whole_s = (1 + _LEAST_RUNS) * sum(times) / 1000 * _SIDE / _FEW_ROWS
        if times.gain < _HOPELESS or time.thread_time() + whole_s > end:
            return times
        return _time_both(_SIDE, end)
    finally:
        torch.set_num_threads(threads)


def _time_both(rows: int, end: float) -> ConvolutionTimes:
    shapes = ((1, _CHANNELS, rows, _SIDE), (_CHANNELS, _CHANNELS, 3, 3))
    tensors = {
        dtype: [
            torch.ones(shape, dtype=dtype).contiguous(memory_format=torch.channels_last)
            for shape in shapes
        ]
        for dtype in (torch.float32, torch.bfloat16)
    }
    times: dict[torch.dtype, list[float]] = {dtype: [] for dtype in tensors}
    for run in range(1 + _RUNS):  # the first one chooses and builds kernels
        for dtype, (x, weight) in tensors.items():
            begin = time.thread_time()
            F.conv2d(x, weight, padding=1)
            times[dtype].append((time.thread_time() - begin) * 1000)
        if run >= _LEAST_RUNS and time.thread_time() > end:
            break
    return ConvolutionTimes(*(min(taken[1:]) for taken in times.values()))
