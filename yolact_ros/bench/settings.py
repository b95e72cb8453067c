# SPDX-License-Identifier: Apache-2.0
"""What `yolact-ros bench` measures; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from yolact_ros.choices import FILE_PRECISIONS
from yolact_ros.errors import InputError


@dataclass(frozen=True)
class SpeedSettings:
    """What is measured; `yolact_ros.cli.options` checks each value by itself.

    Attributes:
        preset: Name of a preset; None for that of the weights, or yolact_demo.
        weights: A file; None for the shipped ones, or seeded random weights where there are none.
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: "auto", "fp32", "fp16", "bf16" or, in another engine than torch, "int8", for
            which the network is quantised; the baseline's is always fp32.
        image_size: (height, width) in pixels.
        instances: Detections per image: the best candidates, whatever their scores.
        score_threshold: Detections with a higher score are kept, 0 to 1; they have 0.5 to 0.99.
        batch: Images per call, 1 or more.
        frames: Timed calls, 1 or more.
        warm_up: Calls before them, 1 or more.
        baseline: Whether to measure the baseline, too.
        box_area: Area of every box, above 0 up to 1 of the image; None for the network's own boxes,
            and with random weights for 0.05.
        compile: "off", "on" or "auto": whether the network goes through `torch.compile`; the
            baseline's never does.
        engine: "torch", "onnxruntime" or "openvino". But for torch the network is exported and
            measured beside it in torch and in the other engine, where that is installed.
        threads: CPU threads; None for torch's own number.
        overlay: Whether to measure drawing.

    Raises:
        InputError: The weights or the precision do not fit the engine.
    """

    preset: str | None = None
    weights: Path | None = None
    device: str = "auto"
    precision: str = "auto"
    image_size: tuple[int, int] = (720, 1280)
    instances: int = 20
    score_threshold: float = 0.15
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
        if self.engine != "torch":
            also = ("bf16",) if self.engine == "openvino" else ()
            allowed = ("auto", *FILE_PRECISIONS, *also)
            if self.precision not in allowed:
                raise InputError(
                    f"precision: expected one of {', '.join(allowed)} in {self.engine}, got "
                    f"{self.precision!r}"
                )
