# SPDX-License-Identifier: Apache-2.0
"""What each stage costs, beside the plain way on the same detections in the same run."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Protocol

import torch

from yolact_ros.inference import Segmenter
from yolact_ros.inference.device import resolve_precision
from yolact_ros.provenance import versions
from yolact_ros.structures import Instances
from yolact_ros.visualization import draw_overlay

from .baseline import draw_plainly
from .complexity import count_complexity
from .machine import describe_machine, measure_gemm
from .memory import held_memory, peak_memory, reset_peak_memory
from .setup import Bench, Image, SpeedSettings
from .text import STAGE_ORDER
from .timings import Samples, percentiles, ratio_of

_AFTER_NETWORK = ("decode", "masks", "download")


class Surroundings(Protocol):
    """What stands around the segmenter in the node: messages in, messages out."""

    def arrive(self, number: int) -> Image:
        """Makes an image of the message with that number."""

    def make_messages(self, instances: Instances) -> Any:
        """Makes the message of one image."""

    def publish(self, message: Any) -> None:
        """Sends it."""


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
        versions and settings; with another engine than torch `in_torch`: network and total in
        torch, in turns, too. `total` is the wall clock from images in host memory to instances in
        host memory, for the whole batch.
    """
    with _arithmetic(settings.threads):
        bench = Bench(settings)
        around = surroundings(bench.images) if surroundings else None
        ours, plain, in_torch = (Samples(settings.frames) for _ in range(3))
        bench.segmenter.warm_up(settings.image_size, batch=settings.batch)
        if bench.torch:
            bench.torch.warm_up(settings.image_size, batch=settings.batch)
        for number in range(settings.warm_up):
            _time_ours(bench, around, number)
            if bench.plain:
                _time_plain(bench, number)
            if bench.torch:
                _time_torch(bench.torch, bench.frames(number))
        bench.check()
        start = _held_memory(bench.segmenter.device)
        for number in range(settings.frames):
            # In turns, and each first every other time: what else the machine does meets both.
            if bench.plain and number % 2:
                plain.add(_time_plain(bench, number))
            ours.add(_time_ours(bench, around, number))
            if bench.plain and number % 2 == 0:
                plain.add(_time_plain(bench, number))
            if bench.torch:
                in_torch.add(_time_torch(bench.torch, bench.frames(number)))
        end = _held_memory(bench.segmenter.device)
        result = _describe(bench, settings)
        result |= _summary(ours, settings)
        result["memory"] = _peak_memory(bench.segmenter, bench)
        result["growth"] = {"start": start, "end": end}
        if compute:
            result["compute"] = _compute(bench, result, bench.segmenter.precision)
        if bench.torch:
            result["in_torch"] = {n: percentiles(in_torch.row(n)) for n in ("network", "total")}
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


def _time_torch(segmenter: Segmenter, images: list[Image]) -> dict[str, float]:
    clock = _Clock()
    clock.restart()
    segmenter(images)
    clock.stop("total")
    return {"network": segmenter.timings["network"], **clock.milliseconds}


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
        if getattr(segment, "compiled", False):
            segment = bench.make_segmenter("off")  # whose network says when it is done
            segment(images)
        bench.fixed.on_output = lambda: marks.append(reset_peak_memory())
        held = segment(images)
        # In a CUDA graph, the network's end cannot be seen.
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
            "compiled": bench.segmenter.compiled,
            "providers": list(bench.segmenter.providers),
            "image_size": list(settings.image_size),
            "box_area": bench.box_area,
        },
        "machine": describe_machine(bench.segmenter.device),
        "versions": versions(),
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
