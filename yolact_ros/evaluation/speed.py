# SPDX-License-Identifier: Apache-2.0
"""What each stage costs, beside the plain way on the same detections in the same run."""

from __future__ import annotations

import copy
import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from yolact_ros.inference import Segmenter, shipped_weights
from yolact_ros.inference.device import resolve_device, resolve_precision
from yolact_ros.network import Yolact, build_network, choose_preset, load_checkpoint
from yolact_ros.presets import Preset, get_preset
from yolact_ros.structures import Instances
from yolact_ros.visualization import draw_overlay

from .baseline import PlainSegmenter, draw_plainly
from .complexity import count_complexity
from .fixed_work import FixedDetections, fix_detections
from .machine import describe_machine, describe_versions, measure_gemm
from .memory import held_memory, peak_memory, reset_peak_memory
from .samples import Samples, percentiles, ratio_of

STAGE_ORDER = (
    "arrival",
    "upload",
    "preprocess",
    "network",
    "decode",
    "masks",
    "download",
    "overlay",
    "message",
    "publish",
)
_AFTER_NETWORK = ("decode", "masks", "download")
_OUTSIDE_TOTAL = ("arrival", "overlay", "message", "publish")
_DIFFERENT_IMAGES = 4
_WITHOUT_WEIGHTS_BOX_AREA = 0.05

Image = npt.NDArray[np.uint8]


class Surroundings(Protocol):
    """What stands around the segmenter in the node: messages in, messages out."""

    def arrive(self, number: int) -> Image:
        """Makes an image of the message with that number."""

    def make_messages(self, instances: Instances) -> Any:
        """Makes the message of one image."""

    def publish(self, message: Any) -> None:
        """Sends it."""


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
    threads: int | None = None
    overlay: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("instances", 0), ("batch", 1), ("frames", 1), ("warm_up", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: expected {least} or more, got {getattr(self, name)}")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads: expected 1 or more, got {self.threads}")
        if self.box_area is not None and not 0 < self.box_area <= 1:
            raise ValueError(f"box_area: expected above 0 up to 1, got {self.box_area}")


class Bench:
    """Both ways, loaded, on the same detections.

    Args:
        settings: What is measured.

    Attributes:
        settings: What is measured.
        segmenter: The fast way.
        plain: The plain way, or None.
        images: That the calls take in turns.
        weights: The file they came from; None if they are random.
        box_area: As in the settings, with the default filled in.
        fixed: What makes both find the same.
    """

    def __init__(self, settings: SpeedSettings) -> None:
        device = resolve_device(settings.device)
        resolve_precision(settings.precision, device)
        preset, self.weights = _choose(settings)
        network = _build(preset, self.weights, settings.seed).to(device)
        self.images = make_images(settings)
        self.box_area = settings.box_area
        if self.box_area is None and self.weights is None:
            self.box_area = _WITHOUT_WEIGHTS_BOX_AREA
        limits: dict[str, Any] = {"max_instances": max(settings.instances, 1), "nms_iou": 1.0}
        plain = PlainSegmenter(network, **limits)
        self.fixed = self._fix(network, plain, settings)
        self.segmenter = Segmenter(
            network=copy.deepcopy(network),
            device=settings.device,
            precision=settings.precision,
            **limits,
        )
        self.plain = plain if settings.baseline else None
        self.settings = settings

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


def measure_speed(
    settings: SpeedSettings,
    surroundings: Callable[[list[Image]], Surroundings] | None = None,
    *,
    compute: bool = True,
) -> dict[str, Any]:
    """Measures every stage, in turns with the baseline if that is wanted.

    Args:
        settings: What is measured.
        surroundings: Makes the messages around the segmenter from the images; None to leave their
            rows out.
        compute: Whether to count the network's arithmetic and measure a matrix product.

    Returns:
        What JSON holds: `stages`, `total` and further sums, each with p50_ms, p95_ms and p99_ms;
        the same under `baseline` and the ratios of the medians; memory, arithmetic, machine,
        versions and settings. `total` is the wall clock from images in host memory to instances
        in host memory, for the whole batch.
    """
    with _arithmetic(settings.threads):
        bench = Bench(settings)
        around = surroundings(bench.images) if surroundings else None
        ours, plain = Samples(settings.frames), Samples(settings.frames)
        for number in range(settings.warm_up):
            _time_ours(bench, around, number)
            if bench.plain:
                _time_plain(bench, number)
        bench.check()
        start = _held_memory(bench.segmenter.device)
        for number in range(settings.frames):
            # In turns, and each first every other time: what else the machine does meets both.
            if bench.plain and number % 2:
                plain.add(_time_plain(bench, number))
            ours.add(_time_ours(bench, around, number))
            if bench.plain and number % 2 == 0:
                plain.add(_time_plain(bench, number))
        end = _held_memory(bench.segmenter.device)
        result = _describe(bench, settings)
        result |= _summary(ours, settings)
        result["memory"] = _peak_memory(bench.segmenter, bench)
        result["growth"] = {"start": start, "end": end}
        if compute:
            result["compute"] = _compute(bench, result, bench.segmenter.precision)
        if bench.plain:
            result["baseline"] = baseline = _summary(plain, settings)
            baseline["memory"] = _peak_memory(bench.plain, bench)
            if compute:
                baseline["compute"] = _compute(bench, baseline, "fp32")
            result["ratio"] = ratio_of(baseline["total"], result["total"])
            result["ratios"] = ratios(result, baseline)
    return result


def ratios(ours: Mapping[str, Any], baseline: Mapping[str, Any]) -> dict[str, float | None]:
    """Baseline over ours: medians of the sums and of every row that both have, and memory."""
    found = {
        name: ratio_of(baseline[name], ours[name])
        for name in ("total", "after_network", "outside_network")
    }
    for name, row in ours["stages"].items():
        if name in baseline["stages"]:
            found[name] = ratio_of(baseline["stages"][name], row)
    for name, megabytes in ours["memory"].items():
        other = baseline["memory"][name]
        found[name] = other / megabytes if megabytes and other is not None else None
    return found


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


def _time_ours(bench: Bench, around: Surroundings | None, number: int) -> dict[str, float]:
    clock = _Clock()
    images = bench.frames(number)
    if around:
        clock.restart()
        images = [around.arrive(number + i) for i in range(len(images))]
        clock.stop("arrival")
    clock.restart()
    found = bench.segmenter(images)
    clock.stop("total")
    taken = dict(bench.segmenter.timings)
    if bench.settings.overlay:
        clock.restart()
        for image, instances in zip(images, found, strict=True):
            draw_overlay(image, instances.without_empty_masks())
        clock.stop("overlay")
    if around:
        clock.restart()
        messages = [around.make_messages(instances.without_empty_masks()) for instances in found]
        clock.stop("message")
        for message in messages:
            around.publish(message)
        clock.stop("publish")
    return {**taken, **clock.milliseconds}


def _time_plain(bench: Bench, number: int) -> dict[str, float]:
    assert bench.plain
    clock = _Clock()
    images = bench.frames(number)
    clock.restart()
    found = bench.plain(images)
    clock.stop("total")
    taken = dict(bench.plain.timings)
    if bench.settings.overlay:
        clock.restart()
        for image, instances in zip(images, found, strict=True):
            draw_plainly(image, instances, bench.segmenter.class_names)
        clock.stop("overlay")
    return {**taken, **clock.milliseconds}


class _Clock:
    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}
        self._begin = 0.0

    def restart(self) -> None:
        self._begin = time.perf_counter()

    def stop(self, name: str) -> None:
        now = time.perf_counter()
        self.milliseconds[name] = (now - self._begin) * 1000
        self._begin = now


def _summary(samples: Samples, settings: SpeedSettings) -> dict[str, Any]:
    known = [name for name in samples.names() if name != "total"]
    order = [name for name in STAGE_ORDER if name in known]
    order += [name for name in known if name not in order]
    total = samples.row("total")
    sums = {
        "total": percentiles(total),
        "after_network": percentiles(samples.sums(_AFTER_NETWORK)),
        "outside_network": percentiles(total - samples.row("network")),
    }
    if "message" in known:
        sums["with_messages"] = percentiles(total + samples.sums(("arrival", "message", "publish")))
    return {
        "stages": {name: percentiles(samples.row(name)) for name in order},
        **sums,
        "frames_per_second": settings.batch * 1000 / sums["total"]["p50_ms"],
    }


def _compute(bench: Bench, summary: Mapping[str, Any], precision: str) -> dict[str, float]:
    device = bench.segmenter.device
    flops = count_complexity(bench.segmenter.preset).flops * bench.settings.batch
    achieved = flops * 1000 / summary["stages"]["network"]["p50_ms"]
    gemm = measure_gemm(device, resolve_precision(precision, device)[1])
    return {
        "network_flops": flops,
        "achieved_flops_per_second": achieved,
        "gemm_flops_per_second": gemm,
        "share_of_gemm": achieved / gemm,
    }


def _peak_memory(
    segment: Callable[[Sequence[Image]], Any], bench: Bench
) -> dict[str, float | None]:
    """Of one call, in MB above what was held before it: as a whole, and after the network.

    Measured by itself, since setting the peak back takes time.
    """
    images, device = bench.frames(0), bench.segmenter.device
    marks: list[int] = []
    found: dict[str, float | None] = {"host_peak_mb": None, "host_peak_after_network_mb": None}
    try:
        before = reset_peak_memory()
        held = segment(images)
        found["host_peak_mb"] = (peak_memory() - before) / 1e6
        del held
        bench.fixed.on_output = lambda: marks.append(reset_peak_memory())
        held = segment(images)
        # A network that a compiler or a graph has swallowed does not say when it is done.
        if marks:
            found["host_peak_after_network_mb"] = (peak_memory() - marks[-1]) / 1e6
        del held
    except ValueError:
        pass  # a system that does not let its peak be set back
    finally:
        bench.fixed.on_output = None
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        segment(images)
        peak = torch.cuda.max_memory_allocated(device)
        found["device_peak_mb"] = (peak - before) / 1e6
        found["device_peak_with_weights_mb"] = peak / 1e6
    return found


def _held_memory(device: torch.device) -> dict[str, float]:
    gc.collect()
    try:
        held = {f"host_{name}_mb": size / 1e6 for name, size in held_memory().items()}
    except (ValueError, OSError):
        held = {}  # a system without /proc
    if device.type == "cuda":
        held["device_mb"] = torch.cuda.memory_allocated(device) / 1e6
        held["device_reserved_mb"] = torch.cuda.memory_reserved(device) / 1e6
    return held


def _describe(bench: Bench, settings: SpeedSettings) -> dict[str, Any]:
    weights = str(bench.weights.name) if bench.weights else f"random, seed {settings.seed}"
    return {
        "settings": {
            **asdict(settings),
            "preset": bench.segmenter.preset.name,
            "weights": weights,
            "device": str(bench.segmenter.device),
            "precision": bench.segmenter.precision,
            "image_size": list(settings.image_size),
            "box_area": bench.box_area,
        },
        "machine": describe_machine(bench.segmenter.device),
        "versions": describe_versions(),
    }


@contextmanager
def _arithmetic(threads: int | None) -> Iterator[None]:
    """Sets the threads, and TF32 off, for as long as it lasts."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = torch.get_num_threads(), matmul.allow_tf32, cudnn.allow_tf32
    try:
        torch.set_num_threads(threads or before[0])
        matmul.allow_tf32 = cudnn.allow_tf32 = False
        yield
    finally:
        torch.set_num_threads(before[0])
        matmul.allow_tf32, cudnn.allow_tf32 = before[1:]
