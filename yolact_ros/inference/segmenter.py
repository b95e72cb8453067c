# SPDX-License-Identifier: Apache-2.0
"""Images in, instances out."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from yolact_ros.inference.engines.prepare import prepare_engine
from yolact_ros.inference.engines.protocol import EngineNetwork
from yolact_ros.inference.gpu.decode import FIXED_NMS_KINDS
from yolact_ros.inference.gpu.graph import cuda_capture
from yolact_ros.inference.gpu.path import FixedPath
from yolact_ros.network import Yolact
from yolact_ros.presets import Preset
from yolact_ros.structures import Instances

from .assemble import assemble_instances
from .decode import detect
from .options import SegmenterOptions
from .preprocess import Preprocessor, channel_orders, check_image
from .rescore import rescore
from .timing import StageClock


class Segmenter:
    """A loaded network with everything around it.

    Not for concurrent calls: one thread at a time. `options` may be replaced from another thread at
    any time and is taken by the next call.

    Args:
        preset: A preset or its name. None for the one that the weights were made for, or for
            `yolact_demo` if there are no weights either.
        weights: A `.pth` or `.safetensors` file; None for those that come with the package
            (`yolact_demo` has some) or were downloaded (`yolact-ros weights download`). For the
            engine "onnxruntime" an `.onnx` file of `yolact-ros export`.
        network: A network that is at hand, instead of `preset` and `weights`. A copy of a `Yolact`
            is used: later changes of its weights have no effect. Another engine's is used itself,
            on its own device.
        engine: What runs the network: "torch" or "onnxruntime".
        class_names: Names of the classes that the weights were trained on, by class id, if neither
            the preset nor the file has them; empty otherwise.
        device: "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:N".
        precision: "auto" (fp16 on CUDA, bf16 on a CPU with AMX, fp32 elsewhere), "fp32", "fp16" or
            "bf16". Decoding, boxes and masks are always computed in fp32. An exported file has its
            own, which "auto" takes.
        resize: "square" (published) or "fit", which keeps the aspect ratio; see `Preprocessor`. An
            exported file takes "square" only.
        compile: Whether the network goes through `torch.compile`: "off" or False, "on" or True, or
            "auto", which is on where it wins and can work: on a CPU with a C++ compiler, in fp32.
            The first call with each input size then takes about a minute.
        cuda_graphs: Whether kernels that follow the same order in every call are started together,
            from the third call with the same image sizes on (`warm_up` does it at once). Takes GPU
            memory for up to sixteen combinations of image sizes. Other engines do without.
        score_threshold, max_instances, nms, nms_iou, classes, rescoring: See `SegmenterOptions`.

    Attributes:
        preset: The preset.
        engine: What runs the network: "torch" or "onnxruntime".
        providers: Names of ONNX Runtime's execution providers in use, the preferred one first.
        device: The torch device that it runs on.
        precision: "fp32", "fp16" or "bf16".
        compiled: Whether the network goes through `torch.compile`.
        timings: Milliseconds that each stage took in the last call, those of
            `yolact_ros.inference.timing.STAGES` that the device has: preprocess, network, decode
            and masks, and on CUDA upload and download.

    Raises:
        ValueError: A value is not among those expected; weights that do not fit raise its subclass
            `CheckpointError`.
    """

    def __init__(
        self,
        *,
        preset: str | Preset | None = None,
        weights: str | Path | None = None,
        network: Yolact | EngineNetwork | None = None,
        class_names: Sequence[str] = (),
        engine: str = "torch",
        device: str = "auto",
        precision: str = "auto",
        resize: str = "square",
        compile: bool | str = "off",
        cuda_graphs: bool = True,
        score_threshold: float = 0.15,
        max_instances: int = 100,
        nms: str = "fast",
        nms_iou: float = 0.5,
        classes: Sequence[str] = (),
        rescoring: str = "published",
    ) -> None:
        prepared = prepare_engine(
            preset=preset,
            weights=weights,
            network=network,
            class_names=class_names,
            engine=engine,
            device=device,
            precision=precision,
            resize=resize,
            compile=compile,
        )
        self._network = prepared.network
        self.preset = prepared.network.preset
        self.engine = prepared.name
        self.providers = prepared.providers
        self.device = prepared.device
        self.precision = prepared.precision
        self.compiled = prepared.compiled
        self.options = SegmenterOptions(
            score_threshold, max_instances, nms, nms_iou, tuple(classes), rescoring
        )
        self._preprocessor = Preprocessor(self.preset, self.device, prepared.dtype, resize)
        self._fixed_path: FixedPath | None = None
        if self.device.type == "cuda":
            captured = cuda_graphs and prepared.capturable
            self._fixed_path = FixedPath(
                self._network,
                self._preprocessor,
                self.device,
                cuda_capture(self.device) if captured else None,
            )
        self.timings: dict[str, float] = {}

    @property
    def class_names(self) -> tuple[str, ...]:
        """The preset's classes, in the order of their ids."""
        return self.preset.class_names

    @property
    def options(self) -> SegmenterOptions:
        """Which detections are kept. Assign a changed copy (`dataclasses.replace`)."""
        return self._options[0]

    @options.setter
    def options(self, options: SegmenterOptions) -> None:
        # One assignment, so that a call in another thread never sees half of a change.
        self._options = (options, options.class_ids(self.class_names))

    def __call__(
        self,
        images: npt.NDArray[np.uint8] | Sequence[npt.NDArray[np.uint8]],
        channel_order: str | Sequence[str] = "bgr",
    ) -> list[Instances]:
        """Segments a batch.

        Args:
            images: One (H, W, 3) uint8 array, or several, of any sizes.
            channel_order: "bgr" or "rgb", of all images or one an image.

        Returns:
            One `Instances` an image, best score first. Masks may be empty.
        """
        return self._call(images, channel_order)

    def _call(
        self,
        images: npt.NDArray[np.uint8] | Sequence[npt.NDArray[np.uint8]],
        channel_order: str | Sequence[str],
        *,
        capture_now: bool = False,
    ) -> list[Instances]:
        batch = [images] if isinstance(images, np.ndarray) else list(images)
        orders = channel_orders(channel_order, len(batch))
        groups: dict[tuple[int, int], list[int]] = {}  # a batch for each size of input
        for index, image in enumerate(batch):
            size = self._preprocessor.input_size(*check_image(image).shape[:2])
            groups.setdefault(size, []).append(index)
        found: dict[int, Instances] = {}
        clock = StageClock(self.device)
        for indices in groups.values():
            group = [batch[index] for index in indices]
            order = tuple(orders[index] for index in indices)
            instances = self._segment(group, order, clock, capture_now)
            found.update(zip(indices, instances, strict=True))
        self.timings = clock.milliseconds
        return [found[index] for index in range(len(batch))]

    @torch.inference_mode()
    def _segment(
        self,
        images: list[npt.NDArray[np.uint8]],
        channel_order: tuple[str, ...],
        clock: StageClock,
        capture_now: bool,
    ) -> list[Instances]:
        """Segments images that have the same input size."""
        options, class_ids = self._options
        if self._fixed_path is not None and options.nms in FIXED_NMS_KINDS:
            # Streams, events and kernels are those of the current device, not of the tensors'.
            on_cuda = self.device.type == "cuda"
            with torch.cuda.device(self.device) if on_cuda else contextlib.nullcontext():
                return self._fixed_path.segment(
                    images, channel_order, options, class_ids, clock, capture_now=capture_now
                )
        x = self._preprocessor(images, channel_order)
        clock.record("preprocess")
        predictions = self._network(x)
        clock.record("network")
        prototypes = predictions.prototypes.float()
        detections = [
            rescore(
                self._network.maskiou_net,
                prototypes[i],
                detect(predictions, i, options, class_ids),
                options,
            )
            for i in range(len(images))
        ]
        clock.record("decode")
        instances = [
            assemble_instances(
                kept, mask_scores, prototypes[i], (image.shape[0], image.shape[1]), self.class_names
            )
            for i, ((kept, mask_scores), image) in enumerate(zip(detections, images, strict=True))
        ]
        clock.record("masks")
        return instances

    def warm_up(
        self,
        image_size: tuple[int, int] = (480, 640),
        *,
        batch: int = 1,
        channel_order: str = "bgr",
    ) -> None:
        """Prepares for images of that size, so that the first real one is fast.

        On CUDA this captures the graph, on a CPU it compiles the network if that is wanted.

        Args:
            image_size: (height, width) in pixels.
            batch: Images a call.
            channel_order: "bgr" or "rgb".
        """
        grey = np.full((*image_size, 3), 128, dtype=np.uint8)
        self._call([grey] * batch, channel_order, capture_now=True)
