# SPDX-License-Identifier: Apache-2.0
"""Images in, instances out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from yolact_ros.inference.device import device_guard
from yolact_ros.inference.engines.prepare import PreparedNetwork, prepare_network
from yolact_ros.inference.engines.protocol import EngineNetwork
from yolact_ros.inference.gpu.graph import CudaGraphs
from yolact_ros.inference.gpu.path import GpuPath
from yolact_ros.network import Yolact
from yolact_ros.ops.masks import TorchSteps
from yolact_ros.ops.masks.steps import device_steps
from yolact_ros.presets import Preset
from yolact_ros.structures import Instances

from .options import SegmenterOptions
from .path import Batch, PlainPath, SegmentationPath
from .preprocess import Preprocessor, channel_orders, check_image
from .timing import StageClock


def make_path(prepared: PreparedNetwork, preprocessor: Preprocessor) -> SegmentationPath:
    """The path for the device that the network is on."""
    if prepared.device.type != "cuda":
        return PlainPath(prepared, preprocessor)
    steps = device_steps(prepared.device)
    return GpuPath(
        prepared,
        preprocessor,
        CudaGraphs(prepared.device) if prepared.cuda_graphs else None,
        # Torch's operations take time for all the room there is: they wait to hear the need.
        None if isinstance(steps, TorchSteps) else steps,
    )


class Segmenter:
    """Segments images with a loaded network.

    Use it from one thread at a time. `options` may be replaced from another thread at any time; the
    next call takes them.

    Args:
        preset: A preset or its name. None: the one that the weights were made for, or
            `yolact_demo` if there are no weights either.
        weights: A `.pth` or `.safetensors` file. None: the weights that come with the package
            (for `yolact_demo`) or were downloaded (`yolact-ros weights download`). For the engines
            "onnxruntime" and "openvino", an `.onnx` file of `yolact-ros export` or `quantize`.
        network: A network to use instead of `preset` and `weights`. A `Yolact` is copied: later
            changes of its weights have no effect. A network of another engine is used as it is, on
            its own device.
        class_names: Names of the classes that the weights were trained on, by class id, if neither
            the preset nor the file has them; empty otherwise.
        engine: What runs the network: "torch", "onnxruntime", "openvino" (on a CPU) or "auto",
            which takes torch for weights, and for an `.onnx` file ONNX Runtime, or OpenVINO where
            that alone is installed.
        device: "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:N".
        precision: "auto" (fp16 on CUDA; on a CPU, bf16 if a convolution is measured to be at least
            1.3 times as fast in it, else fp32), "fp32", "tf32" (CUDA only: torch's own fp32 there,
            with products of 10 bits), "fp16" or "bf16". Decoding, boxes and masks are always
            computed in fp32. An exported file has a precision of its own, which "auto" takes;
            OpenVINO may compute in "bf16" instead.
        resize: "square" (published) or "fit", which keeps the aspect ratio; see `Preprocessor`. An
            exported file only takes "square".
        compile: Whether the network goes through `torch.compile`: "off", "on" or "auto". "auto"
            compiles where it is faster and can work: on a CPU with a C++ compiler, in fp32. The
            first call with each input size then takes about a minute.
        cuda_graphs: Whether to replay recorded CUDA graphs instead of starting kernels one by one,
            from the third call with as many images on (`warm_up` records at once). Takes GPU memory
            for up to sixteen numbers of images. Other engines do without.
        score_threshold, max_instances, nms, nms_iou, classes, rescoring: See `SegmenterOptions`.
        make_path: Makes what runs the stages from image to instances; replace it to run a CUDA
            path elsewhere, as the tests do.

    Attributes:
        preset: The preset.
        engine: What runs the network: "torch", "onnxruntime" or "openvino".
        providers: Names of the ONNX Runtime execution providers or OpenVINO devices in use, the
            preferred one first.
        device: The torch device that it runs on.
        precision: "fp32", "tf32", "fp16", "bf16" or "int8".
        precision_reason: What was measured to choose it; empty where nothing was.
        compiled: Whether the network goes through `torch.compile`.
        timings: Milliseconds that each stage of the last call took, by the names in
            `yolact_ros.inference.timing.STAGES`: preprocess, network, decode and masks, and on CUDA
            upload and download, too.

    Raises:
        InputError: A value is not among those expected; weights that do not fit raise its subclass
            `CheckpointError`. Words and numbers are checked before any weights are read.

    Example:
        >>> from yolact_ros.inference import Segmenter
        >>> from yolact_ros.scenes.scene import Scene
        >>> image = Scene.random(1, width=320, height=240).frame(0.0).image  # uint8 RGB
        >>> segmenter = Segmenter(preset="yolact_demo", device="cpu", score_threshold=0.3)
        >>> [instances] = segmenter(image, channel_order="rgb")
        >>> instances.boxes.shape == (len(instances), 4)
        True
        >>> instances.masks.shape == (len(instances), 240, 320)
        True
    """

    def __init__(
        self,
        *,
        preset: str | Preset | None = None,
        weights: str | Path | None = None,
        network: Yolact | EngineNetwork | None = None,
        class_names: Sequence[str] = (),
        engine: str = "auto",
        device: str = "auto",
        precision: str = "auto",
        resize: str = "square",
        compile: str = "off",
        cuda_graphs: bool = True,
        score_threshold: float = 0.15,
        max_instances: int = 100,
        nms: str = "fast",
        nms_iou: float = 0.5,
        classes: Sequence[str] = (),
        rescoring: str = "published",
        make_path: Callable[[PreparedNetwork, Preprocessor], SegmentationPath] = make_path,
    ) -> None:
        options = SegmenterOptions(
            score_threshold, max_instances, nms, nms_iou, tuple(classes), rescoring
        )
        prepared = prepare_network(
            preset=preset,
            weights=weights,
            network=network,
            class_names=class_names,
            engine=engine,
            device=device,
            precision=precision,
            resize=resize,
            compile=compile,
            cuda_graphs=cuda_graphs,
        )
        self.preset = prepared.network.preset
        self.engine = prepared.engine
        self.providers = prepared.providers
        self.device = prepared.device
        self.precision = prepared.precision
        self.precision_reason = prepared.precision_reason
        self.compiled = prepared.compiled
        self.options = options
        with device_guard(self.device):
            self._preprocessor = Preprocessor(self.preset, self.device, prepared.dtype, resize)
            self._path = make_path(prepared, self._preprocessor)
        self.timings: dict[str, float] = {}

    @property
    def class_names(self) -> tuple[str, ...]:
        """The preset's classes, in the order of their ids."""
        return self.preset.class_names

    @property
    def options(self) -> SegmenterOptions:
        """Which detections are kept. Assign a changed copy (`dataclasses.replace`)."""
        return self._options

    @options.setter
    def options(self, options: SegmenterOptions) -> None:
        options.class_ids(self.class_names)  # raises if a class is not among them
        self._options = options

    @torch.inference_mode()
    def __call__(
        self,
        images: npt.NDArray[np.uint8] | Sequence[npt.NDArray[np.uint8]],
        channel_order: str | Sequence[str] = "bgr",
        options: SegmenterOptions | None = None,
    ) -> list[Instances]:
        """Segment a batch.

        Args:
            images: One (H, W, 3) uint8 array, or several, of any sizes.
            channel_order: "bgr" or "rgb", for all images or one for each.
            options: For this call alone; None: the attribute `options`.

        Returns:
            One `Instances` for each image, best score first. Masks may be empty.

        Raises:
            InputError: An image has another shape or type, a channel order is neither, or the
                options name a class that the network does not know.
        """
        images = [images] if isinstance(images, np.ndarray) else list(images)
        orders = channel_orders(channel_order, len(images))
        options = self.options if options is None else options
        groups: dict[tuple[int, int], list[int]] = {}  # a batch for each size of input
        for index, image in enumerate(images):
            size = self._preprocessor.input_size(*check_image(image).shape[:2])
            groups.setdefault(size, []).append(index)
        found: dict[int, Instances] = {}
        clock = StageClock(self.device)
        for indices in groups.values():
            batch = Batch(
                [images[index] for index in indices],
                tuple(orders[index] for index in indices),
                options,
            )
            # Streams, events and kernels are those of the current device, not of the tensors'.
            with device_guard(self.device):
                found.update(zip(indices, self._path.segment(batch, clock), strict=True))
        self.timings = clock.milliseconds
        return [found[index] for index in range(len(images))]

    @torch.inference_mode()
    def warm_up(
        self,
        image_size: tuple[int, int] = (480, 640),
        *,
        batch: int = 1,
        channel_order: str = "bgr",
    ) -> None:
        """Prepare for a number of images, so that the first real ones are fast.

        On CUDA this records the graph, which serves images of all sizes that become the same input;
        on a CPU it compiles the network if that is wanted.

        Args:
            image_size: (height, width) in pixels. With `resize="square"` it does not matter.
            batch: Images in a call.
            channel_order: "bgr" or "rgb".
        """
        images = [np.full((*image_size, 3), 128, dtype=np.uint8)] * batch
        with device_guard(self.device):
            self._path.prepare(Batch(images, channel_orders(channel_order, batch), self.options))
        self(images, channel_order)
