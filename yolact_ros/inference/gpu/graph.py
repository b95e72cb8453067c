# SPDX-License-Identifier: Apache-2.0
"""CUDA graphs: a chain of kernels that is recorded once and then started as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import torch

Result = TypeVar("Result", covariant=True)
Output = TypeVar("Output")

_WARM_UPS = 3  # libraries choose their kernels and take their workspaces in the first calls


class FixedCall(Protocol[Result]):
    """A call on tensors that stay where they are; only their contents change."""

    def __call__(self) -> Result: ...


class CapturedCall(Generic[Output]):
    """A function on the GPU as a CUDA graph.

    The graph reads the tensors that it was captured with: write the next input into them, then
    call. What a call returns are always the same tensors, which the next call overwrites. Whatever
    the function reads besides, such as weights, must stay alive and in place, too; the function is
    kept for that.

    Args:
        function: Of fixed shapes, without transfers to the host. It is run a few times first.
        device: The GPU.
        pool: Memory that graphs share which do not run at the same time.

    Raises:
        RuntimeError: The function does something that cannot be captured.
    """

    def __init__(self, function: FixedCall[Output], device: torch.device, pool: object) -> None:
        self._function = function
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(device):
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(_WARM_UPS):
                    function()
            torch.cuda.current_stream().wait_stream(side)
            # Other threads may use the GPU meanwhile, for a recorder or a second camera's node.
            with torch.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):  # type: ignore[arg-type]
                self._output = function()

    def __call__(self) -> Output:
        self._graph.replay()
        return self._output


Capture = Callable[[FixedCall[Output]], FixedCall[Output]]
"""Makes of a fixed call one that does the same faster, or raises RuntimeError."""


def cuda_capture(device: torch.device) -> Capture[Output]:
    """The `Capture` of a GPU: graphs that share one pool of memory."""
    pool = torch.cuda.graph_pool_handle()
    return lambda function: CapturedCall(function, device, pool)
