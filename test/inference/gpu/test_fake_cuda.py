# SPDX-License-Identifier: Apache-2.0
"""The step of a GPU on tensors that only pretend to be on one: nothing in it may wait for the host.

FakeTensorMode gives every tensor a shape and a device and no memory. An operation whose shape or
Python value follows from contents (.item(), nonzero, if tensor) raises there; the watch finds
copies between host and GPU and work on the host, which a CUDA graph cannot hold either.
"""

import collections

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from yolact_ros.inference.gpu.step import BatchStep
from yolact_ros.inference.options import SegmenterOptions
from yolact_ros.inference.timing import Marks
from yolact_ros.network import build_network, convolution
from yolact_ros.network.folding import fold_batch_norms
from yolact_ros.ops import deformable, deformable_kernel
from yolact_ros.ops.masks import TorchSteps, assemble_batch
from yolact_ros.ops.masks import triton as triton_masks
from yolact_ros.presets import preset_names

fake_tensor = pytest.importorskip("torch._subclasses.fake_tensor")
GPU = torch.device("cuda:0")
VIEWS = {
    "view", "_unsafe_view", "permute", "transpose", "t", "slice", "select", "expand", "unsqueeze",
    "squeeze", "split", "split_with_sizes", "unbind", "detach", "alias", "empty", "as_strided",
    "_reshape_alias", "unfold", "diagonal", "empty_strided", "narrow", "lift_fresh", "empty_like",
    "device", "promote_types",
}  # fmt: skip
"""Operations that start no kernel."""


class Watch(TorchDispatchMode):
    """Notes what cannot be in a graph, and the kernels that are started."""

    def __init__(self):
        super().__init__()
        self.wrong, self.launches = [], collections.Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, kwargs, result)) if isinstance(x, torch.Tensor)]
        name = function.name().partition("::")[2].partition(".")[0]
        if name not in VIEWS:
            self.launches[name] += 1
        bools = [x for x in tree_leaves(args[1:2]) if getattr(x, "dtype", None) == torch.bool]
        if any(x.device != GPU for x in tensors) or ("index_put" in name and bools):
            self.wrong.append((name, [(str(x.device), tuple(x.shape)) for x in tensors]))
        if "deform_conv2d" in name:
            self.wrong.append((name, "not in the stream of a capture before torchvision 0.29"))
        if name.endswith(("convolution", "convolution_relu", "convolution_add_relu")):
            x, weight = args[:2]
            for part in (x, weight):
                if min(part.shape[1:]) > 1 and not part.is_contiguous(
                    memory_format=torch.channels_last
                ):
                    self.wrong.append((name, "not with channels last", tuple(part.shape)))
        return result


class Launch:
    """Stands for a kernel: takes tensors of the GPU only, and does nothing."""

    count = 0

    def __getitem__(self, grid):
        return self._check

    def _check(self, *arguments, **_):
        type(self).count += 1
        tensors = [x for x in arguments if isinstance(x, torch.Tensor)]
        assert all(x.device == GPU for x in tensors)


@pytest.fixture
def kernels(monkeypatch):
    """The kernels' stand-ins, so that all is done that a GPU with Triton does."""
    monkeypatch.setattr(Launch, "count", 0)
    for name in ("_regions", "_pack", "_rectangles", "_trim"):
        monkeypatch.setattr(triton_masks, name, Launch())
    monkeypatch.setattr(deformable_kernel, "_sample", Launch())
    monkeypatch.setattr(deformable, "_kernel_works", lambda device: True)
    monkeypatch.setattr(convolution, "_fusing_works", lambda device: True)

    def convolved(x, weight, bias, stride, padding, dilation, groups):
        return torch.conv2d(x, weight, None, stride, padding, dilation, groups)

    monkeypatch.setattr(torch, "cudnn_convolution_relu", convolved)
    monkeypatch.setattr(
        torch, "cudnn_convolution_add_relu", lambda x, w, z, alpha, *how: convolved(x, w, *how)
    )
    return Launch


def on_gpu(module, dtype):
    """Gives a module parameters on the pretended GPU; to() and deepcopy want memory."""
    for part in module.modules():
        for store in (part._parameters, part._buffers):
            for name, old in store.items():
                if old is not None:
                    new = torch.empty_strided(old.shape, old.stride(), dtype=dtype, device=GPU)
                    if store is part._parameters:
                        new = torch.nn.Parameter(new, requires_grad=False)
                    store[name] = new
    return module


def watched_step(preset, images, dtype, steps, input_size=None, **options):
    """A step's second run: what is kept for later, such as priors, is brought in the first."""
    with torch.device("meta"):
        network = build_network(preset).eval()
    network = fold_batch_norms(network).to(memory_format=torch.channels_last)
    side = network.preset.input_size
    with torch.no_grad(), fake_tensor.FakeTensorMode(allow_non_fake_inputs=True):
        on_gpu(network, dtype)
        where = (images, input_size or (side, side), dtype, GPU)
        step = BatchStep(network, *where, SegmenterOptions(**options), steps)
        step.marks = Marks(torch.device("cpu"), ())
        step()
        Launch.count = 0
        with Watch() as watch:
            output = step()
    assert watch.wrong == []
    assert output.block.device == GPU
    return watch, output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "nms", "rescoring", "dtype", "images", "input_size"),
    [
        *((name, "fast", "published", torch.float16, 3, None) for name in preset_names()),
        *(
            (name, "cross_class", "product", torch.float32, 1, (320, 544))
            for name in ("yolact_demo", "yolact_darknet53", "yolact_plus_resnet50")
        ),
    ],
)
def test_a_graph_can_hold_the_step(preset, nms, rescoring, dtype, images, input_size, kernels):
    options = {"nms": nms, "rescoring": rescoring}
    steps = triton_masks.TritonSteps()
    _, output = watched_step(preset, images, dtype, steps, input_size, **options)
    assert output.boxes.shape == (images, 100, 4)


def test_how_many_kernels_a_step_starts(kernels):
    watch, _ = watched_step("yolact_base", 1, torch.float16, triton_masks.TritonSteps())
    started = watch.launches.total() + kernels.count
    assert kernels.count == 4  # of the masks
    assert started < 290, watch.launches  # of which 137 convolutions


@pytest.mark.parametrize("count", [0, 1, 100])
@pytest.mark.parametrize("steps", [TorchSteps, triton_masks.TritonSteps])
def test_masks_do_not_wait_for_the_host(steps, count, kernels):
    with torch.no_grad(), fake_tensor.FakeTensorMode():
        shapes = ((2, 138, 138, 32), (2, count, 32), (2, count, 4))
        case = [torch.zeros(*shape, device=GPU) for shape in shapes]
        sizes = torch.zeros((2, 2), dtype=torch.int32, device=GPU)
        with Watch() as watch:
            masks = assemble_batch(*case, sizes, steps(), 115200)
    assert watch.wrong == []
    assert masks.bits.shape == (115200,)
    assert masks.rectangles.shape == (2 * count, 5)
