# SPDX-License-Identifier: Apache-2.0
"""Pinned host memory, which a GPU copies to and from by itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from yolact_ros.errors import InputError


class Staging:
    """A ring of host buffers between NumPy arrays and a device.

    On CUDA the memory is pinned, so that copies run beside the processor. A buffer is used again
    only when the copy out of it has ended. Buffers grow to the largest size needed and are then
    kept: serving frames allocates nothing.

    Args:
        device: Where the other end of the copies is.
        slots: Buffers in the ring, 1 or more.
    """

    def __init__(self, device: torch.device, slots: int = 3) -> None:
        if slots < 1:
            raise InputError(f"slots: expected 1 or more, got {slots}")
        self._cuda = device.type == "cuda"
        self._slots = [_Slot(self._cuda) for _ in range(slots)]
        self._next = 0

    def upload(self, arrays: Sequence[npt.NDArray[np.uint8]], target: Tensor) -> None:
        """Copy arrays to the device at once, one behind the other.

        Args:
            arrays: uint8 of any memory layout; read before this returns.
            target: (sum of their sizes,) uint8 on the device. The copy is queued on the current
                stream.
        """
        total = sum(array.size for array in arrays)
        if target.dtype != torch.uint8 or target.shape != (total,):
            raise InputError(
                f"target: expected ({total},) uint8, got {tuple(target.shape)} {target.dtype}"
            )
        slot = self._take()
        buffer = slot.bytes(total)
        view = buffer.numpy()
        start = 0
        for array in arrays:
            np.copyto(view[start : start + array.size].reshape(array.shape), array)
            start += array.size
        target.copy_(buffer, non_blocking=True)
        slot.mark()

    def download(self, source: Tensor) -> Tensor:
        """A copy on the host of a device tensor; waits for it and all that was queued before."""
        slot = self._take()
        size = source.numel() * source.element_size()
        buffer = slot.bytes(size).view(source.dtype).view(source.shape)
        buffer.copy_(source, non_blocking=True)
        slot.mark()
        slot.wait()
        return torch.empty_like(buffer, pin_memory=False).copy_(buffer)

    def _take(self) -> _Slot:
        slot = self._slots[self._next]
        self._next = (self._next + 1) % len(self._slots)
        slot.wait()
        return slot


class _Slot:
    def __init__(self, cuda: bool) -> None:
        self._memory = torch.empty(0, dtype=torch.uint8)
        self._pinned = cuda
        self._copied = torch.cuda.Event() if cuda else None

    def bytes(self, size: int) -> Tensor:
        if self._memory.numel() < size:
            self._memory = torch.empty(size, dtype=torch.uint8, pin_memory=self._pinned)
        return self._memory[:size]

    def mark(self) -> None:
        """Remember the copy just queued."""
        if self._copied is not None:
            self._copied.record()

    def wait(self) -> None:
        """Wait for the remembered copy."""
        if self._copied is not None:
            self._copied.synchronize()
