# SPDX-License-Identifier: Apache-2.0
"""CUDA graphs: a chain of kernels that is recorded once and then started as a whole."""

from __future__ import annotations

from collections.abc import Callable

import torch

from .step import StepOutput

_WARM_UPS = 3  # libraries choose their kernels and take their workspaces in the first calls


class CudaGraph:
    """A step on the GPU as a CUDA graph.

    The graph reads the tensors that it was captured with: write the next input into them, then
    call. What a call returns are always the same tensors, which the next call overwrites. Whatever
    the step reads besides, such as weights, must stay alive and in place, too; the step is kept
    for that.

    Args:
        step: Of shapes that never change, without transfers to the host. It is run a few times
            first.
        device: The GPU.
        pool: Memory that graphs share which do not run at the same time.

    Raises:
        RuntimeError: The step does something that cannot be captured.
    """

    def __init__(self, step: Callable[[], StepOutput], device: torch.device, pool: object) -> None:
        self._step = step
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(device):
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(_WARM_UPS):
                    step()
            torch.cuda.current_stream().wait_stream(side)
            # Other threads may use the GPU meanwhile, for a recorder or a second camera's node.
            with torch.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):  # type: ignore[arg-type]
                self._output = step()

    def __call__(self) -> StepOutput:
        """Run the kernels on what the step's tensors hold now."""
        self._graph.replay()
        return self._output
