# SPDX-License-Identifier: Apache-2.0
"""Copies through pinned host memory, which a GPU reads and writes by itself.

torch keeps pinned memory to use it again, but not before the copies queued with it have ended:
serving frames allocates nothing, and nothing waits for an upload.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from yolact_ros.errors import InputError


def upload(arrays: Sequence[npt.NDArray[np.uint8]], target: Tensor) -> None:
    """Copy arrays to a device at once, one behind the other.

    Args:
        arrays: uint8 of any memory layout; read before this returns.
        target: (sum of their sizes,) uint8 on the device. The copy is queued on the current stream.
    """
    total = sum(array.size for array in arrays)
    if target.dtype != torch.uint8 or target.shape != (total,):
        raise InputError(
            f"target: expected ({total},) uint8, got {tuple(target.shape)} {target.dtype}"
        )
    buffer = torch.empty(total, dtype=torch.uint8, pin_memory=target.is_cuda)
    parts = buffer.split([array.size for array in arrays])
    for array, part in zip(arrays, parts, strict=True):
        np.copyto(part.numpy().reshape(array.shape), array)
    target.copy_(buffer, non_blocking=True)


def download(source: Tensor) -> Tensor:
    """A copy on the host of a device tensor; waits for it and all that was queued before."""
    buffer = torch.empty(source.shape, dtype=source.dtype, pin_memory=source.is_cuda)
    buffer.copy_(source, non_blocking=True)
    if source.is_cuda:
        torch.cuda.current_stream(source.device).synchronize()
    return torch.empty_like(buffer, pin_memory=False).copy_(buffer)
