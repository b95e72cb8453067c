# SPDX-License-Identifier: Apache-2.0
"""Images in, instances out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from yolact_ros.network import Yolact, build_network, choose_preset, load_checkpoint
from yolact_ros.network.download import find_weights
from yolact_ros.presets import Preset, get_preset, with_classes
from yolact_ros.structures import Instances, RawPredictions

from .assemble import assemble_instances
from .decode import detect
from .device import resolve_device, resolve_precision
from .options import SegmenterOptions
from .preprocess import Preprocessor, check_image
from .rescore import rescore

STAGES = ("preprocess", "network", "decode", "masks")


def shipped_weights(preset: Preset) -> Path | None:
    """The weights that come with the package for this preset, if any do."""
    path = resources.files("yolact_ros") / "weights" / f"{preset.name}.safetensors"
    return Path(str(path)) if path.is_file() else None


class Segmenter:
    """A loaded network with everything around it.

    Not for concurrent calls: one thread at a time. `options` may be replaced from another thread at
    any time and is taken by the next call.

    Args:
        preset: A preset or its name. None for the one that the weights were made for, or for
            `yolact_demo` if there are no weights either.
        weights: A `.pth` or `.safetensors` file; None for those that come with the package
            (`yolact_demo` has some) or were downloaded (`yolact-ros weights download`).
        network: A network that is at hand, instead of `preset` and `weights`; it is put into
            evaluation mode and converted to the device and precision.
        class_names: Names of the classes that the weights were trained on, by class id, if neither
            the preset nor the file has them; empty otherwise.
        device: "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:N".
        precision: "auto" (fp16 on CUDA, fp32 elsewhere), "fp32", "fp16" or "bf16". Decoding, boxes
            and masks are always computed in fp32.
        resize: "square" (published) or "fit", which keeps the aspect ratio; see `Preprocessor`.
        score_threshold, max_instances, nms, nms_iou, classes, rescoring: See `SegmenterOptions`.

    Attributes:
        preset: The preset.
        device: The torch device that it runs on.
        precision: "fp32", "fp16" or "bf16".
        timings: Milliseconds that each of `STAGES` took in the last call.

    Raises:
        ValueError: A value is not among those expected; weights that do not fit raise its subclass
            `CheckpointError`.
    """

    def __init__(
        self,
        *,
        preset: str | Preset | None = None,
        weights: str | Path | None = None,
        network: Yolact | None = None,
        class_names: Sequence[str] = (),
        device: str = "auto",
        precision: str = "auto",
        resize: str = "square",
        score_threshold: float = 0.15,
        max_instances: int = 100,
        nms: str = "fast",
        nms_iou: float = 0.5,
        classes: Sequence[str] = (),
        rescoring: str = "published",
    ) -> None:
        if network is None:
            chosen, path = _choose(preset, weights, class_names)
        elif preset is not None or weights is not None or class_names:
            raise ValueError("network: expected neither preset, weights nor class_names beside it")
        else:
            chosen = network.preset
        self.preset = chosen
        self.options = SegmenterOptions(
            score_threshold, max_instances, nms, nms_iou, tuple(classes), rescoring
        )
        self.device = resolve_device(device)
        self.precision, dtype = resolve_precision(precision, self.device)
        network = _load(chosen, path) if network is None else network.eval()
        network = network.to(device=self.device, dtype=dtype)
        self._network = network.to(memory_format=torch.channels_last)
        self._preprocessor = Preprocessor(self.preset, self.device, dtype, resize)
        self.timings: dict[str, float] = dict.fromkeys(STAGES, 0.0)

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
        channel_order: str = "bgr",
    ) -> list[Instances]:
        """Segments a batch.

        Args:
            images: One (H, W, 3) uint8 array, or several, of any sizes.
            channel_order: "bgr" or "rgb".

        Returns:
            One `Instances` an image, best score first. Masks may be empty.
        """
        batch = [images] if isinstance(images, np.ndarray) else list(images)
        groups: dict[tuple[int, int], list[int]] = {}  # a batch for each size of input
        for index, image in enumerate(batch):
            size = self._preprocessor.input_size(*check_image(image).shape[:2])
            groups.setdefault(size, []).append(index)
        found: dict[int, Instances] = {}
        clock = _StageClock(self.device)
        for indices in groups.values():
            group = [batch[index] for index in indices]
            found.update(zip(indices, self._segment(group, channel_order, clock), strict=True))
        self.timings = clock.milliseconds
        return [found[index] for index in range(len(batch))]

    @torch.inference_mode()
    def _segment(
        self, images: list[npt.NDArray[np.uint8]], channel_order: str, clock: _StageClock
    ) -> list[Instances]:
        """Segments images that have the same input size."""
        options, class_ids = self._options
        x = self._preprocessor(images, channel_order)
        clock.stop("preprocess")
        predictions: RawPredictions = self._network(x)
        clock.stop("network")
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
        clock.stop("decode")
        instances = [
            assemble_instances(
                kept, mask_scores, prototypes[i], (image.shape[0], image.shape[1]), self.class_names
            )
            for i, ((kept, mask_scores), image) in enumerate(zip(detections, images, strict=True))
        ]
        clock.stop("masks")
        return instances

    def warm_up(self, image_size: tuple[int, int] = (480, 640)) -> None:
        """Runs once on a grey image of that (height, width), so that the first real one is fast."""
        self(np.full((*image_size, 3), 128, dtype=np.uint8))


def _choose(
    preset: str | Preset | None, weights: str | Path | None, class_names: Sequence[str]
) -> tuple[Preset, Path]:
    """The preset to build and the file to load."""
    if weights is not None:
        return choose_preset(weights, preset, class_names), Path(weights)
    chosen = get_preset(preset or "yolact_demo") if not isinstance(preset, Preset) else preset
    if class_names:
        chosen = with_classes(chosen, class_names)
    path = shipped_weights(chosen) or find_weights(chosen)
    if path is None:
        raise ValueError(
            f"weights: expected a file for preset {chosen.name!r}, got none; `yolact-ros weights "
            f"download {chosen.name}` fetches the authors', and only yolact_demo comes with some"
        )
    return chosen, path


def _load(preset: Preset, path: Path) -> Yolact:
    network = build_network(preset)
    load_checkpoint(network, path)
    return network.eval()


class _StageClock:
    """Wall time of consecutive stages, with the device's queue emptied between them."""

    def __init__(self, device: torch.device) -> None:
        self.milliseconds = dict.fromkeys(STAGES, 0.0)
        self._device = device
        self._begin = time.perf_counter()

    def stop(self, stage: str) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        self.milliseconds[stage] += (now - self._begin) * 1000
        self._begin = now
