# SPDX-License-Identifier: Apache-2.0
"""What is asked of CUDA and in which order, told by stand-ins: it needs no GPU."""

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from yolact_ros.inference import segmenter
from yolact_ros.inference.gpu import buffers
from yolact_ros.inference.gpu.buffers import Staging
from yolact_ros.inference.gpu.graph import CudaGraphs, is_passing
from yolact_ros.inference.timing import Marks
from yolact_ros.ops.masks import TorchSteps

CUDA = torch.device("cuda:0")


@pytest.fixture
def asked(monkeypatch):
    """The list of what was asked of torch.cuda."""
    asked = []

    class Stream:
        def __init__(self, device=None):
            self.name = "main" if device is None else f"side of {device}"

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

        def synchronize(self):
            asked.append(f"wait for event {self.number}")

        def elapsed_time(self, later):
            return later.at - self.at

    @contextlib.contextmanager
    def within(name):
        asked.append(f"begin {name}")
        yield
        asked.append(f"end {name}")

    main = Stream()
    empty, zeros = torch.empty, torch.zeros
    for name, stand_in in {
        "Stream": Stream,
        "CUDAGraph": Graph,
        "Event": Event,
        "current_stream": lambda *device: main,
        "stream": lambda stream: within(stream.name),
        "graph": lambda graph, pool, stream, **how: within(f"{pool} in {stream.name}"),
        "graph_pool_handle": lambda: "pool",
        "set_stream": lambda stream: asked.append(f"set {stream.name}"),
        "device": lambda device: within(str(device)),
        "is_current_stream_capturing": lambda: "capturing" in asked,
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(torch, "empty", lambda *size, pin_memory=False, **how: empty(*size))
    monkeypatch.setattr(torch, "zeros", lambda *size, **how: zeros(*size))
    return asked


def test_a_step_is_warmed_up_and_captured_in_one_stream_of_its_device(asked):
    outputs = []

    def step():
        asked.append("step")
        outputs.append(object())
        return outputs[-1]

    device = torch.device("cuda:1")
    graphs = CudaGraphs(device)
    asked.clear()
    replay = graphs(step)
    side = "side of cuda:1"
    assert asked == [
        "begin cuda:1", f"{side} waits for main", f"begin {side}", *["step"] * 3, f"end {side}",
        f"begin pool in {side}", "step", f"end pool in {side}",
        "set main", f"main waits for {side}", "end cuda:1",
    ]  # fmt: skip
    asked.clear()
    assert replay() is replay() is outputs[-1]
    assert asked == ["replay", "replay"]


def test_memory_is_shared_for_as_long_as_graphs_are_made(asked):
    CudaGraphs(CUDA)
    # A graph that no plan ever drops: with its last graph the pool would be gone, too.
    assert [line for line in asked if "pool" in line] == [
        "begin pool in side of cuda:0", "end pool in side of cuda:0",
    ]  # fmt: skip


def test_the_stream_is_the_one_before_when_a_capture_fails(asked):
    graphs = CudaGraphs(CUDA)
    asked.clear()

    def step():
        asked.append("step")
        if asked.count("step") > 3:
            raise RuntimeError("operation not permitted when stream is capturing")

    with pytest.raises(RuntimeError, match="not permitted"):
        graphs(step)
    assert asked[-1] == "set main"
    graphs(lambda: None)  # and the next one is not shut out


def test_reasons_that_pass():
    assert is_passing(torch.cuda.OutOfMemoryError("CUDA out of memory"))
    assert is_passing(RuntimeError("Only one capture may be underway at a time."))
    assert not is_passing(RuntimeError("operation not permitted when stream is capturing"))


@pytest.mark.parametrize("graphs", [False, True])
@pytest.mark.parametrize("steps", [TorchSteps(), "kernels"])
def test_the_segmenter_captures_steps_if_it_is_to(graphs, steps, monkeypatch):
    monkeypatch.setattr(segmenter, "GpuPath", lambda *parts: parts)
    monkeypatch.setattr(segmenter, "CudaGraphs", lambda device: f"graphs on {device}")
    monkeypatch.setattr(segmenter, "device_steps", lambda device: steps)
    prepared = SimpleNamespace(device=CUDA, cuda_graphs=graphs)
    assert segmenter.make_path(prepared, "preprocessor") == (
        prepared,
        "preprocessor",
        "graphs on cuda:0" if graphs else None,
        "kernels" if steps == "kernels" else None,
    )


def test_marks_are_events_between_which_the_gpu_counts(asked):
    marks = Marks(CUDA, graphed=["network"])
    order = ("start", "upload", "network", "masks", "download")

    def stages(record_network):
        asked.clear()
        marks.begin("start")
        for stage in order[1:3]:
            asked.extend(["work"] * len(stage))
            if stage != "network" or record_network:
                marks.record(stage)

    for _ in range(2):  # the same events again in the next call
        stages(record_network=True)
        records = [entry for entry in asked if entry.startswith("record")]
        assert len(records) == len(set(records)) == 3
        external = [entry for entry in asked if entry.endswith("is external")]
        # From the end of one stage to that of the next.
        assert marks.durations(order) == {"upload": 7, "network": 8 + len(external)}
    assert not external
    stages(record_network=False)  # a graph does it
    assert set(marks.durations(order)) == {"upload", "network"}


def test_marks_where_torch_cannot_time_within_a_graph(asked, monkeypatch):
    event = torch.cuda.Event
    monkeypatch.setattr(torch.cuda, "Event", lambda enable_timing: event(enable_timing))
    marks = Marks(CUDA, graphed=["network"])
    for _ in range(2):
        asked.clear()
        for stage in ("start", "network", "masks"):
            (marks.begin if stage == "start" else marks.record)(stage)
        assert set(marks.durations(("start", "network", "masks"))) == {"network", "masks"}
    asked.append("capturing")
    marks.record("network")
    assert asked[-1] == "capturing"
    asked.clear()
    marks.begin("start")  # and the graph is replayed
    marks.record("masks")
    assert set(marks.durations(("start", "network", "masks"))) == {"masks"}


class OnCuda(torch.Tensor):
    """Tells of copies, and says that it is on a GPU."""

    asked: list

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function is torch.Tensor.copy_:
            cls.asked.append("copy")
        return super().__torch_function__(function, types, args, kwargs)


def test_a_download_is_read_only_when_it_has_ended(asked, monkeypatch):
    monkeypatch.setattr(OnCuda, "asked", asked, raising=False)
    staging = Staging(CUDA)
    asked.clear()
    source = torch.arange(3).to(torch.uint8).as_subclass(OnCuda)
    assert staging.download(source).tolist() == [0, 1, 2]
    assert asked == ["copy", "wait for main"]


def test_a_buffer_is_written_only_when_its_upload_has_ended(asked, monkeypatch):
    copyto = np.copyto
    monkeypatch.setattr(
        buffers.np, "copyto", lambda *parts: (asked.append("write"), copyto(*parts))
    )
    staging = Staging(CUDA)
    asked.clear()
    for _ in range(2):
        staging.upload([np.zeros(3, np.uint8)])
    assert asked == ["wait for event 0", "write", "record 0"] * 2
