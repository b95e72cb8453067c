# SPDX-License-Identifier: Apache-2.0
"""Which steps a device takes: Triton's kernels where they can be built and agree with torch's."""

from __future__ import annotations

import functools

import torch

from yolact_ros.ops.kernels import works

from .torch import MaskSteps, TorchSteps, assemble_batch


@functools.cache
def device_steps(device: torch.device) -> MaskSteps:
    """Triton's kernels, or torch operations and a line in the log that says why."""
    kernels: list[MaskSteps] = []

    def by_kernels() -> torch.Tensor:
        from .triton import TritonSteps  # here, as importing Triton takes seconds

        kernels.append(TritonSteps())
        return _small_case(device, kernels[0])

    if works("masks on a GPU", by_kernels, lambda: _small_case(device, TorchSteps())):
        return kernels[0]
    return TorchSteps()


def _small_case(device: torch.device, steps: MaskSteps) -> torch.Tensor:
    """Two images with two masks each, one of them without a box, as one row of numbers."""
    rows = torch.arange(12.0, device=device)
    prototypes = ((rows[:, None] - 6) * (rows - 4)).expand(2, 12, 12)[..., None]
    boxes = torch.tensor([[[0.1, 0.2, 0.9, 0.7], [torch.nan] * 4]] * 2, device=device)
    sizes = torch.tensor([[40, 70], [33, 20]], dtype=torch.int32, device=device)
    ones = torch.ones(2, 2, 1, device=device)
    found = []
    for room in (None, 1 << 12):  # of each Triton builds a kernel of its own
        rectangles, bits = assemble_batch(prototypes, ones, boxes, sizes, steps, room)
        used = int((rectangles[:, 3] * ((rectangles[:, 2] + 7) // 8)).sum())
        found += [rectangles.flatten(), bits[:used].long()]
    return torch.cat(found)
