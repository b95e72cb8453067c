# SPDX-License-Identifier: Apache-2.0
"""What is asked of CUDA and in which order, told by stand-ins: it needs no GPU."""

import contextlib
from types import SimpleNamespace

import pytest
import torch

from yolact_ros.inference import segmenter
from yolact_ros.inference.gpu.buffers import download
from yolact_ros.inference.gpu.graph import CudaGraph
from yolact_ros.inference.timing import Marks

CUDA = torch.device("cuda:0")


@pytest.fixture
def asked(monkeypatch):
    """The list of what was asked of torch.cuda."""
    asked = []

    class Stream:
        def __init__(self, name="side"):
            self.name = name

        def wait_stream(self, other):
            asked.append(f"{self.name} waits for {other.name}")

        def synchronize(self):
            asked.append(f"wait for {self.name}")

    class Graph:
        def replay(self):
            asked.append("replay")

    class Event:
        made = 0

        def __init__(self, enable_timing=False, external=False):
            self.number, Event.made = Event.made, Event.made + 1
            if external:
                asked.append(f"{self.number} is external")

        def record(self):
            self.at = len(asked)
            asked.append(f"record {self.number}")

        def elapsed_time(self, later):
            return later.at - self.at

    @contextlib.contextmanager
    def within(name):
        asked.append(f"begin {name}")
        yield
        asked.append(f"end {name}")

    main = Stream("main")
    empty = torch.empty
    for name, stand_in in {
        "Stream": Stream,
        "CUDAGraph": Graph,
        "Event": Event,
        "current_stream": lambda *device: main,
        "stream": lambda stream: within(stream.name),
        "graph": lambda graph, pool, **how: within(f"capture into {pool}"),
        "device": lambda device: contextlib.nullcontext(),
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(torch, "empty", lambda *size, pin_memory=False, **how: empty(*size, **how))
    return asked


def test_a_step_is_warmed_up_captured_once_and_replayed(asked):
    outputs = []

    def step():
        asked.append("step")
        outputs.append(object())
        return outputs[-1]

    graph = CudaGraph(step, CUDA, pool="pool")
    assert asked == [
        "side waits for main", "begin side", *["step"] * 3, "end side", "main waits for side",
        "begin capture into pool", "step", "end capture into pool",
    ]  # fmt: skip
    asked.clear()
    assert graph() is graph() is outputs[-1]
    assert asked == ["replay", "replay"]


@pytest.mark.parametrize("graphs", [False, True])
def test_the_segmenter_captures_steps_if_it_is_to(graphs, monkeypatch):
    monkeypatch.setattr(segmenter, "GpuPath", lambda *parts: parts)
    monkeypatch.setattr(segmenter, "CudaGraph", lambda step, device, pool: (step, device, pool))
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
    prepared = SimpleNamespace(device=CUDA, cuda_graphs=graphs)
    of, preprocessor, *captures = segmenter.make_path(prepared, "preprocessor")
    assert (of, preprocessor) == (prepared, "preprocessor")
    assert [capture("step") for capture in captures] == [("step", CUDA, "pool")] * graphs


def test_marks_are_events_between_which_the_gpu_counts(asked):
    marks = Marks(CUDA, graphed=["network"])
    order = ("start", "upload", "network", "masks", "download")
    for _ in range(2):  # the same events again in the next call
        asked.clear()
        for stage in order[:3]:
            marks.record(stage)
            asked.extend(["work"] * len(stage))
        assert [entry for entry in asked if entry.startswith("record")] == [
            "record 0", "record 1", "record 2",
        ]  # fmt: skip
        external = asked.count("2 is external")
        # From the end of one stage to that of the next.
        assert marks.durations(order) == {"upload": 6, "network": 7 + external}
    assert external == 0


def test_a_download_is_read_only_when_it_has_ended(asked):
    class OnCuda(torch.Tensor):
        is_cuda = True

        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            if function is torch.Tensor.copy_:
                asked.append("copy")
            return super().__torch_function__(function, types, args, kwargs)

    assert download(torch.arange(3).as_subclass(OnCuda)).tolist() == [0, 1, 2]
    assert asked == ["copy", "wait for main"]
