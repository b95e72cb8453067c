# SPDX-License-Identifier: Apache-2.0
"""What `yolact-ros bench` measures; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from yolact_ros import choices
from yolact_ros.choices import EXPORT_PRECISIONS
from yolact_ros.errors import InputError, expect_one_of
from yolact_ros.presets import get_preset


@dataclass(frozen=True)
class SpeedSettings:
    """What is measured.

    Attributes:
        preset: Name of a preset; None for that of the weights, or yolact_demo.
        weights: A file; None for the shipped ones, or seeded random weights where there are none.
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: "auto", "fp32", "fp16" or "bf16"; the baseline's is always fp32.
        image_size: (height, width) in pixels.
        instances: Detections per image: the best candidates, whatever their scores.
        batch: Images per call.
        frames: Timed calls.
        warm_up: Calls before them.
        baseline: Whether to measure the baseline, too.
        box_area: Area of every box, as a fraction of the image; None for the network's own boxes,
            and with random weights for 0.05.
        compile: "off", "on" or "auto": whether the network goes through `torch.compile`; the
            baseline's never does.
        engine: "torch", or "onnxruntime": the network is exported for it and measured in both.
        threads: CPU threads; None for torch's own number.
        overlay: Whether to measure drawing.

    Raises:
        InputError: A value is out of its range.
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

    def __post_init__(self) -> None:
        for name in ("batch", "frames", "warm_up", "threads"):
            value = getattr(self, name)
            expect(value is None or value >= 1, name, "1 or more", value)
        expect(self.instances >= 0, "instances", "0 or more", self.instances)
        expect_one_of("engine", self.engine, choices.ENGINES)
        expect_one_of("precision", self.precision, choices.PRECISIONS)
        expect_one_of("compile", self.compile, choices.COMPILE_MODES)
        if self.engine != "torch" and self.precision not in ("auto", *EXPORT_PRECISIONS):
            expected = f"{' or '.join(EXPORT_PRECISIONS)} for an exported file"
            raise InputError(f"precision: expected {expected}, got {self.precision!r}")
        if self.weights is not None:
            known = self.weights.suffix not in choices.EXPORT_FORMATS.values()
            got = f"{self.weights}; the network is exported by this command itself"
            expect(known, "weights", "a .pth or .safetensors file", got)
        if self.box_area is not None:
            expect(0 < self.box_area <= 1, "box_area", "above 0 up to 1", self.box_area)
        if self.preset is not None:
            get_preset(self.preset)


def expect(fits: bool, name: str, expected: str, got: object) -> None:
    """Check a value of the settings.

    Raises:
        InputError: It does not fit; the text names it, what was expected and what came.
    """
    if not fits:
        raise InputError(f"{name}: expected {expected}, got {got}")
