# SPDX-License-Identifier: Apache-2.0
"""What is timed: segmenter and baseline, loaded, and the images that both get."""

from __future__ import annotations

import copy
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from yolact_ros.checkpoints import choose_preset, load_checkpoint
from yolact_ros.choices import ENGINES
from yolact_ros.export import export_network, quantize_file
from yolact_ros.inference import Segmenter, shipped_weights
from yolact_ros.inference.device import resolve_device
from yolact_ros.inference.engines.prepare import load_exported
from yolact_ros.inference.engines.protocol import EngineNetwork
from yolact_ros.inference.precision import resolve_precision
from yolact_ros.inference.preprocess import Preprocessor
from yolact_ros.network import Yolact, build_network
from yolact_ros.presets import Preset, get_preset
from yolact_ros.structures import RawPredictions

from .baseline import PlainSegmenter
from .constant_detections import ConstantDetections, constant_detections
from .settings import SpeedSettings

SEED = 0
"""Seed of random weights, images and places of boxes."""
_DIFFERENT_IMAGES = 4
_RANDOM_WEIGHTS_BOX_AREA = 0.05

Image = npt.NDArray[np.uint8]


class Workload:
    """Segmenter and baseline on the same detections, with the images to segment.

    Attributes:
        segmenter: The segmenter that is measured.
        baseline: The published code's steps, or None.
        others: By engine and precision, segmenters with the network in other engines or precisions,
            if `segmenter` has it in another engine than torch.
        images: (H, W, 3) uint8 BGR each, random; the calls take turns with them.
        weights: The file the weights came from; None if they are random.
        box_area: As in the settings, with the default filled in.
        detections: What makes all of them find the same.
        precision_reason: What was measured to choose the precision; empty where nothing was.
    """

    def __init__(self, settings: SpeedSettings) -> None:
        self.settings = settings
        device = resolve_device(settings.device)
        exported = settings.engine != "torch"
        asked = settings.precision
        if exported and (asked in ("bf16", "int8") or (asked == "auto" and device.type == "cpu")):
            asked = "fp32"  # of the file, and in torch
        self._precision, _, self.precision_reason = resolve_precision(asked, device)
        self._limits: dict[str, Any] = {
            "max_instances": max(settings.instances, 1),
            "nms_iou": 1.0,
            "score_threshold": settings.score_threshold,
        }
        preset, self.weights = _choose(settings)
        self._network = _build(preset, self.weights).to(device)
        generator = np.random.default_rng(SEED)
        shape = (_DIFFERENT_IMAGES, *settings.image_size, 3)
        self.images: list[Image] = list(generator.integers(0, 256, shape, dtype=np.uint8))
        self.box_area = settings.box_area
        if self.box_area is None and self.weights is None:
            self.box_area = _RANDOM_WEIGHTS_BOX_AREA
        plain = PlainSegmenter(self._network, **self._limits)
        self.detections = self._make_constant(plain)
        self.baseline = plain if settings.baseline else None
        self.segmenter = self.make_segmenter(settings.compile)
        self.others: dict[str, Segmenter] = {}
        if exported:
            self.others["torch " + self._precision] = self.segmenter
            self._export()

    def make_segmenter(self, compile: str) -> Segmenter:
        """Make a segmenter with the network in torch."""
        return Segmenter(
            network=copy.deepcopy(self._network),
            device=self.settings.device,
            precision=self._precision,
            compile=compile,
            **self._limits,
        )

    def _export(self) -> None:
        """Make the segmenters with the network in other engines than torch."""
        settings = self.settings
        own = self._precision if settings.precision == "auto" else settings.precision
        network = _build(self._network.preset, self.weights)
        prepare = Preprocessor(network.preset, torch.device("cpu"), torch.float32)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "bench.onnx"
            export_network(network, path, precision=self._precision)
            files = {self._precision: path}
            if own == "int8":
                files[own] = path.with_name("int8.onnx")
                # How long it takes does not depend on what it was calibrated with.
                quantize_file(path, files[own], self.images, lambda image: prepare([image], "bgr"))
            for engine in ENGINES[1:]:
                is_own = engine == settings.engine
                if not is_own and find_spec(engine) is None:
                    continue
                for precision in dict.fromkeys([*files, own] if is_own else files):
                    segmenter = self._load(engine, files.get(precision, path), precision)
                    if is_own and precision == own:
                        self.segmenter = segmenter
                    else:
                        self.others[f"{engine} {precision}"] = segmenter

    def _load(self, engine: str, path: Path, precision: str) -> Segmenter:
        loaded = load_exported(engine, path, device=self.settings.device, precision=precision)
        return Segmenter(network=_ConstantNetwork(loaded, self.detections), **self._limits)

    def _make_constant(self, plain: PlainSegmenter) -> ConstantDetections:
        """Let the network find the same whatever it sees, from what it predicts for one image."""
        found: list[RawPredictions] = []
        remember = self._network.register_forward_hook(lambda *seen: found.append(seen[2]))
        plain(self.images[:1])
        remember.remove()
        detections = constant_detections(found[0], self.settings.instances, self.box_area)
        self._network.register_forward_hook(detections)
        return detections

    def frames(self, number: int) -> list[Image]:
        """The images of one call."""
        count = len(self.images)
        return [self.images[(number + i) % count] for i in range(self.settings.batch)]

    def check(self) -> None:
        """Raise an error unless segmenter and baseline find what was asked for."""
        wanted = self.detections.found_above(self.settings.score_threshold)
        checked: dict[str, Any] = {"segmenter": self.segmenter, "baseline": self.baseline}
        for name, segment in checked.items():
            for found in segment(self.frames(0)) if segment else ():
                if len(found.scores) != wanted:
                    raise RuntimeError(
                        f"the {name}: expected {wanted} instances in every image, got "
                        f"{len(found.scores)}: the two would not do the same work"
                    )


class _ConstantNetwork:
    """An exported network with the detections that the hook gives the same network in torch."""

    def __init__(self, network: EngineNetwork, detections: ConstantDetections) -> None:
        self._network = network
        self._detections = detections
        self.engine = network.engine
        self.providers = network.providers
        self.device = network.device
        self.precision = network.precision
        self.preset = network.preset
        self.maskiou_net = network.maskiou_net

    def __call__(self, x: Tensor) -> RawPredictions:
        return self._detections(self, (x,), self._network(x))


def _choose(settings: SpeedSettings) -> tuple[Preset, Path | None]:
    if settings.weights is not None:
        return choose_preset(settings.weights, settings.preset), settings.weights
    preset = get_preset(settings.preset or "yolact_demo")
    return preset, shipped_weights(preset)


def _build(preset: Preset, weights: Path | None) -> Yolact:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = build_network(preset)
    if weights is not None:
        load_checkpoint(network, weights)
    return network.eval()
