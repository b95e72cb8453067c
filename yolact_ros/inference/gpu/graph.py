# SPDX-License-Identifier: Apache-2.0
"""CUDA graphs: a chain of kernels that is recorded once and then started as a whole."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch

from .step import StepOutput

_WARM_UPS = 3  # libraries choose their kernels and take their workspaces in the first calls
_CAPTURING = threading.Lock()
"""torch captures one graph at a time in a process."""

Step = Callable[[], StepOutput]


class CudaGraphs:
    """Records steps on one GPU: all in one stream, into memory that they share.

    They must not run at the same time, since each overwrites what the others left.

    Args:
        device: The GPU, with its index.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # Of this device, and the same for warming up and recording: a stream of another device
        # would record nothing, and libraries keep a workspace for each stream.
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()
        # The memory is shared for as long as one graph that took it lives: this one.
        self._first = torch.cuda.CUDAGraph()
        self._record(self._first, lambda: torch.zeros(1, device=device))

    def __call__(self, step: Step) -> Step:
        """Record a step.

        A graph reads the tensors that it was recorded with: write the next input into them, then
        call. What a call returns are always the same tensors, which the next call overwrites.
        Whatever the step reads besides, such as weights, must stay alive and in place, too; the
        step is kept for that.

        Args:
            step: Of shapes that never change, without transfers to the host. It is run a few times
                first.

        Returns:
            Runs the kernels on what the step's tensors hold now.

        Raises:
            RuntimeError: The step does something that cannot be recorded, or memory is short.
        """
        graph = torch.cuda.CUDAGraph()
        return _Replay(graph, step, self._record(graph, step, _WARM_UPS))

    def _record(
        self, graph: torch.cuda.CUDAGraph, step: Callable[[], Any], warm_ups: int = 0
    ) -> Any:
        with _CAPTURING, torch.cuda.device(self._device):
            before = torch.cuda.current_stream()
            try:
                self._stream.wait_stream(before)
                with torch.cuda.stream(self._stream):
                    for _ in range(warm_ups):
                        step()
                # Other threads may use the GPU meanwhile, for a recorder or a second node.
                how: Any = {"pool": self._pool, "capture_error_mode": "thread_local"}
                with torch.cuda.graph(graph, stream=self._stream, **how):
                    output = step()
            finally:
                # Where recording fails, older versions of torch leave its stream the current one.
                torch.cuda.set_stream(before)
            before.wait_stream(self._stream)
        return output


class _Replay:
    def __init__(self, graph: torch.cuda.CUDAGraph, step: Step, output: StepOutput) -> None:
        self._graph = graph
        self._step = step  # whose tensors the graph reads
        self._output = output

    def __call__(self) -> StepOutput:
        self._graph.replay()
        return self._output


def is_passing(error: RuntimeError) -> bool:
    """Whether recording failed for a reason that may have gone the next time."""
    out_of_memory = getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError)
    return isinstance(error, out_of_memory) or "one capture may be underway" in str(error)
