# SPDX-License-Identifier: Apache-2.0
"""Copies through pinned host memory, which a GPU reads and writes by itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_ALIGNED = 256
"""Bytes to a multiple of which arrays begin: Triton builds a kernel of its own for others."""
_MOST_PINNED = 1 << 24
"""Bytes of a download that go through pinned memory, which is never given back: masks that take
more are rare, and the slower way is good enough for them."""


class Staging:
    """One pinned buffer for each direction, as large as what last came through.

    Args:
        device: The other end. On a CPU the buffers are ordinary memory, and copies are made all
            the same.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._cuda = device.type == "cuda"
        self._up = self._buffer(0)
        self._down = self._buffer(0)
        self._uploaded = torch.cuda.Event() if self._cuda else None

    def upload(self, arrays: Sequence[npt.NDArray[np.uint8]]) -> list[Tensor]:
        """Copy arrays to the device in one transfer.

        Args:
            arrays: uint8 of any memory layout; read before this returns.

        Returns:
            Tensors of the same shapes. The copy is queued on the current stream.
        """
        sizes = [-(-array.size // _ALIGNED) * _ALIGNED for array in arrays]
        if self._uploaded is not None:
            self._uploaded.synchronize()  # the buffer may still be read, after a failed batch
        if not sum(sizes) <= len(self._up) <= 4 * sum(sizes):
            self._up = self._buffer(sum(sizes))
        staged = self._up[: sum(sizes)]
        for array, part in zip(arrays, staged.split(sizes), strict=True):
            np.copyto(part[: array.size].numpy().reshape(array.shape), array)
        target = torch.empty(len(staged), dtype=torch.uint8, device=self._device)
        target.copy_(staged, non_blocking=True)
        if self._uploaded is not None:
            self._uploaded.record()
        parts = target.split(sizes)
        return [
            part[: array.size].view(array.shape) for array, part in zip(arrays, parts, strict=True)
        ]

    def download(self, source: Tensor) -> npt.NDArray[np.uint8]:
        """Copy (M,) uint8 from the device; waits for it and all that was queued before.

        Returns:
            (M,) uint8, which the next download may overwrite.
        """
        if len(source) > _MOST_PINNED:
            return source.cpu().numpy()
        if len(self._down) < len(source):
            self._down = self._buffer(1 << (len(source) - 1).bit_length())
        staged = self._down[: len(source)]
        staged.copy_(source, non_blocking=True)
        if self._cuda:
            torch.cuda.current_stream(self._device).synchronize()
        return staged.numpy()

    def _buffer(self, size: int) -> Tensor:
        return torch.empty(size, dtype=torch.uint8, pin_memory=self._cuda)
