# SPDX-License-Identifier: Apache-2.0
"""What is to be measured, and both ways loaded for it."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from yolact_ros.checkpoints import choose_preset, load_checkpoint
from yolact_ros.choices import EXPORT_FORMATS, EXPORT_PRECISIONS
from yolact_ros.errors import InputError
from yolact_ros.export import export_network
from yolact_ros.inference import Segmenter, shipped_weights
from yolact_ros.inference.device import resolve_device, resolve_precision
from yolact_ros.inference.engines.onnxruntime import OnnxNetwork
from yolact_ros.inference.engines.prepare import ENGINES
from yolact_ros.network import Yolact, build_network
from yolact_ros.presets import Preset, get_preset
from yolact_ros.structures import Instances, RawPredictions

from .baseline import PlainSegmenter
from .constant_detections import FixedDetections, fix_detections

_DIFFERENT_IMAGES = 4
_WITHOUT_WEIGHTS_BOX_AREA = 0.05

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class SpeedSettings:
    """What is measured.

    Attributes:
        preset: Name of a preset; None for that of the weights, or yolact_demo.
        weights: A file; None for the shipped ones, or seeded random weights where there are none.
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: "auto", "fp32", "fp16" or "bf16"; the baseline's is always fp32.
        image_size: (height, width) in pixels.
        instances: Found in each image: the best candidates, whatever their scores.
        batch: Images at once.
        frames: Timed calls of each way.
        warm_up: Calls before them.
        baseline: Whether the plain way is measured along.
        box_area: Of each box, as a fraction of the image; None for the network's own boxes, and
            without weights for 0.05.
        compile: "off", "on" or "auto": whether the network goes through `torch.compile`; the
            baseline's never does.
        engine: "torch", or "onnxruntime": the network is exported for that and measured in both.
        threads: Of the CPU; None for torch's own number.
        overlay: Whether drawing is measured.
        seed: Of random weights, images and places of boxes.

    Raises:
        ValueError: A value is out of its range.
    """

    preset: str | None = None
    weights: Path | None = None
    device: str = "auto"
    precision: str = "auto"
    image_size: tuple[int, int] = (720, 1280)
    instances: int = 20
    batch: int = 1
    frames: int = 30
    warm_up: int = 3
    baseline: bool = False
    box_area: float | None = None
    compile: str = "off"
    engine: str = "torch"
    threads: int | None = None
    overlay: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("instances", 0), ("batch", 1), ("frames", 1), ("warm_up", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name}: expected {least} or more, got {getattr(self, name)}")
        if self.engine not in ENGINES:
            raise InputError(f"engine: expected one of {', '.join(ENGINES)}, got {self.engine!r}")
        if self.weights is not None and self.weights.suffix in EXPORT_FORMATS.values():
            raise InputError(
                f"weights: expected a .pth or .safetensors file, got {self.weights}; the network "
                "is exported by this command itself"
            )
        if self.threads is not None and self.threads < 1:
            raise InputError(f"threads: expected 1 or more, got {self.threads}")
        if self.box_area is not None and not 0 < self.box_area <= 1:
            raise InputError(f"box_area: expected above 0 up to 1, got {self.box_area}")


class Bench:
    """Both ways, loaded, on the same detections.

    Args:
        settings: What is measured.

    Attributes:
        settings: What is measured.
        segmenter: The fast way.
        plain: The plain way, or None.
        torch: The fast way with the network in torch, if that in `segmenter` is elsewhere.
        images: That the calls take in turns.
        weights: The file they came from; None if they are random.
        box_area: As in the settings, with the default filled in.
        fixed: What makes both find the same.
    """

    def __init__(self, settings: SpeedSettings) -> None:
        device = resolve_device(settings.device)
        self._precision, _ = resolve_precision(settings.precision, device)
        if settings.engine != "torch":
            if settings.precision == "auto" and device.type == "cpu":
                self._precision = "fp32"  # whatever torch would take
            if self._precision not in EXPORT_PRECISIONS:
                raise InputError(
                    f"precision: expected {' or '.join(EXPORT_PRECISIONS)} for an exported file, "
                    f"got {self._precision!r}"
                )
        preset, self.weights = _choose(settings)
        network = _build(preset, self.weights, settings.seed).to(device)
        self.images = make_images(settings)
        self.box_area = settings.box_area
        if self.box_area is None and self.weights is None:
            self.box_area = _WITHOUT_WEIGHTS_BOX_AREA
        limits: dict[str, Any] = {"max_instances": max(settings.instances, 1), "nms_iou": 1.0}
        plain = PlainSegmenter(network, **limits)
        self.fixed = self._fix(network, plain, settings)
        self._limits = limits
        self._network = network
        self.settings = settings
        self.segmenter = self.make_segmenter(settings.compile)
        self.torch: Segmenter | None = None
        if settings.engine != "torch":
            self.torch, self.segmenter = self.segmenter, self._make_exported()
        self.plain = plain if settings.baseline else None

    def make_segmenter(self, compile: str) -> Segmenter:
        """The fast way, once more."""
        return Segmenter(
            network=copy.deepcopy(self._network),
            device=self.settings.device,
            precision=self._precision,
            compile=compile,
            **self._limits,
        )

    def _make_exported(self) -> Segmenter:
        """The fast way with the network in ONNX Runtime."""
        plain = _build(self._network.preset, self.weights, self.settings.seed)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "bench.onnx"
            export_network(plain, path, precision=self._precision)
            network = OnnxNetwork(path, device=self.settings.device)
        return Segmenter(network=_Fixed(network, self.fixed), **self._limits)

    def _fix(
        self, network: Yolact, plain: PlainSegmenter, settings: SpeedSettings
    ) -> FixedDetections:
        found: list[Any] = []
        remember = network.register_forward_hook(lambda *seen: found.append(seen[2]))
        plain(self.images[:1])
        remember.remove()
        fixed = fix_detections(found[0], settings.instances, self.box_area, settings.seed)
        network.register_forward_hook(fixed)
        return fixed

    def frames(self, number: int) -> list[Image]:
        """The images of one call."""
        count = len(self.images)
        return [self.images[(number + i) % count] for i in range(self.settings.batch)]

    def check(self) -> None:
        """Raises an error unless both ways find the number of instances that was asked for."""
        wanted = self.settings.instances
        ways: dict[str, Callable[[list[Image]], Any]] = {"the segmenter": self.segmenter}
        if self.plain:
            ways["the baseline"] = self.plain
        for name, segment in ways.items():
            for found in segment(self.frames(0)):
                count = len(found) if isinstance(found, Instances) else len(found.scores)
                if count != wanted:
                    raise RuntimeError(
                        f"{name}: expected {wanted} instances in every image, got {count}: "
                        "the two ways would not do the same work"
                    )


class _Fixed:
    """An exported network with the detections that its torch twin's hook gives.

    Args:
        network: The network.
        fixed: The detections.
    """

    def __init__(self, network: OnnxNetwork, fixed: FixedDetections) -> None:
        self._network = network
        self._fixed = fixed
        self.engine = network.engine
        self.preset = network.preset
        self.device = network.device
        self.precision = network.precision
        self.maskiou_net = network.maskiou_net
        self.providers = network.providers

    def __call__(self, x: Tensor) -> RawPredictions:
        return self._fixed(self, (x,), self._network(x))


def make_images(settings: SpeedSettings) -> list[Image]:
    """Random pictures of the size."""
    generator = np.random.default_rng(settings.seed)
    shape = (*settings.image_size, 3)
    return [generator.integers(0, 256, shape, dtype=np.uint8) for _ in range(_DIFFERENT_IMAGES)]


def _choose(settings: SpeedSettings) -> tuple[Preset, Path | None]:
    if settings.weights is not None:
        return choose_preset(settings.weights, settings.preset), settings.weights
    preset = get_preset(settings.preset or "yolact_demo")
    return preset, shipped_weights(preset)


def _build(preset: Preset, weights: Path | None, seed: int) -> Yolact:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(preset)
    if weights is not None:
        load_checkpoint(network, weights)
    return network.eval()
