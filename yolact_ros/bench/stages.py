# SPDX-License-Identifier: Apache-2.0
"""What each stage costs, beside the baseline on the same detections in the same run."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from yolact_ros.errors import InputError
from yolact_ros.inference import Segmenter
from yolact_ros.inference.timing import StageClock
from yolact_ros.provenance import versions
from yolact_ros.structures import Instances
from yolact_ros.visualization import draw_overlay

from .baseline import PlainSegmenter, draw_plainly
from .machine import describe_machine
from .memory import read_sizes, reset_peak_memory
from .settings import SpeedSettings
from .tables import CALL_STAGES
from .timings import percentiles
from .workload import SEED, Image, Workload

_AFTER_NETWORK = ("decode", "masks", "download")
_SUMS = ("total", "after_network", "outside_network")

_Times = dict[str, npt.NDArray[np.float64]]
"""Milliseconds of each call, by stage."""
_Call = Callable[[list[Image], int], dict[str, float]]
"""Segments these images, and those of the messages from this number on."""


def measure_speed(
    settings: SpeedSettings,
    surroundings: Callable[[list[Image]], AbstractContextManager[Any]] | None = None,
) -> dict[str, Any]:
    """Measure every stage, in turns with the baseline if the settings ask for it.

    Args:
        settings: What is measured.
        surroundings: Makes the messages around the segmenter from the images, such as
            `yolact_ros.ros.bench.frame.MessageFrames`; None to leave their stages out.

    Returns:
        What JSON holds: `stages`, `total` and further sums, each with p50_ms, p95_ms and p99_ms;
        the same under `baseline`, and the ratios of the medians; memory, machine, versions and
        settings; with another engine than torch under `others` network and total in the other
        engines and precisions, by their names, in turns, too. `total` is the wall clock from images
        in host memory to instances in host memory, for the whole batch.
    """
    with _arithmetic(settings.threads):
        workload = Workload(settings)
        with surroundings(workload.images) if surroundings else nullcontext() as around:
            timings, held = _take_turns(_calls(workload, around), workload)
        result = _describe(workload) | _summary(timings["segmenter"], settings)
        result["memory"] = _peak_memory(workload.segmenter, workload)
        result["growth"] = held
        if workload.others:
            result["others"] = {
                other: {name: percentiles(timings[other][name]) for name in ("network", "total")}
                for other in workload.others
            }
        if workload.baseline:
            result["baseline"] = other = _summary(timings["baseline"], settings)
            other["memory"] = _peak_memory(workload.baseline, workload)
            result["ratios"] = ratios(result, other)
    return result


def ratios(ours: Mapping[str, Any], baseline: Mapping[str, Any]) -> dict[str, float | None]:
    """Baseline over ours: medians of the sums and of every stage that both have, and memory."""
    slow, fast = (
        {name: side[name]["p50_ms"] for name in _SUMS}
        | {name: times["p50_ms"] for name, times in side["stages"].items()}
        | side["memory"]
        for side in (baseline, ours)
    )
    return {
        name: slow[name] / value if value and slow[name] is not None else None
        for name, value in fast.items()
        if name in slow
    }


def _calls(workload: Workload, around: Any) -> dict[str, _Call]:
    """What is timed, by name."""
    draw, draw_baseline = None, None
    if workload.settings.overlay:
        draw = _draw
        draw_baseline = partial(draw_plainly, class_names=workload.segmenter.class_names)
    calls: dict[str, _Call] = {
        "segmenter": partial(_time_call, workload.segmenter, draw=draw, around=around)
    }
    if workload.baseline:
        calls["baseline"] = partial(_time_call, workload.baseline, draw=draw_baseline)
    for name, segmenter in workload.others.items():
        calls[name] = partial(_time_call, segmenter)
    return calls


def _take_turns(
    calls: Mapping[str, _Call], workload: Workload
) -> tuple[dict[str, _Times], dict[str, dict[str, float]]]:
    """Time the calls; also what memory is held after the warm-up ("start") and at the "end"."""
    settings, device = workload.settings, workload.segmenter.device
    for segmenter in (workload.segmenter, *workload.others.values()):
        segmenter.warm_up(settings.image_size, batch=settings.batch)
    for number in range(settings.warm_up):
        for call in calls.values():
            call(workload.frames(number), number)
    workload.check()
    # allocated with the first call: what is held must not grow by it
    timings: dict[str, _Times] = {
        name: defaultdict(lambda: np.zeros(settings.frames)) for name in calls
    }
    start = _held_memory(device)
    for number in range(settings.frames):
        # Each goes first every other time: what else the machine does meets all alike.
        for name in list(calls)[:: -1 if number % 2 else 1]:
            for stage, milliseconds in calls[name](workload.frames(number), number).items():
                timings[name][stage][number] = milliseconds
    return timings, {"start": start, "end": _held_memory(device)}


def _time_call(
    segment: Segmenter | PlainSegmenter,
    images: list[Image],
    number: int,
    *,
    draw: Callable[[Image, Any], object] | None = None,
    around: Any = None,
) -> dict[str, float]:
    """Milliseconds of each stage of one call, and in "total" from images to instances."""
    clock = StageClock(torch.device("cpu"))
    if around:
        images = [around.arrive(number + i) for i in range(len(images))]
        clock.record("arrival")
    found: Sequence[Any] = segment(images)
    clock.record("total")
    if draw:
        for image, instances in zip(images, found, strict=True):
            draw(image, instances)
        clock.record("overlay")
    if around:
        messages = [around.make_messages(instances.without_empty_masks()) for instances in found]
        clock.record("message")
        for message in messages:
            around.publish(message)
        clock.record("publish")
    return {**segment.timings, **clock.milliseconds}


def _draw(image: Image, instances: Instances) -> None:
    draw_overlay(image, instances.without_empty_masks())


def _summary(times: _Times, settings: SpeedSettings) -> dict[str, Any]:
    total = times["total"]
    after = np.sum([times[name] for name in _AFTER_NETWORK if name in times], axis=0)
    sums = {
        "total": percentiles(total),
        "after_network": percentiles(after),
        "outside_network": percentiles(total - times["network"]),
    }
    if "message" in times:
        around = sum(times.get(name, 0.0) for name in ("arrival", "message", "publish"))
        sums["with_messages"] = percentiles(total + around)
    return {
        "stages": {name: percentiles(times[name]) for name in CALL_STAGES if name in times},
        **sums,
        "frames_per_second": settings.batch * 1000 / sums["total"]["p50_ms"],
    }


def _peak_memory(
    segment: Callable[[Sequence[Image]], Any], workload: Workload
) -> dict[str, float | None]:
    """Peak of one call, in MB above what was held before it: as a whole, and after the network.

    Measured apart from the times, since resetting the peak takes time.
    """
    images, device = workload.frames(0), workload.segmenter.device
    marks: list[int] = []
    found: dict[str, float | None] = {"host_peak_mb": None, "host_peak_after_network_mb": None}
    try:
        before = reset_peak_memory()
        segment(images)
        found["host_peak_mb"] = (read_sizes()["VmHWM"] - before) / 1e6
        if getattr(segment, "compiled", False):
            segment = workload.make_segmenter("off")  # whose network says when it is done
            segment(images)
        workload.detections.on_output = lambda: marks.append(reset_peak_memory())
        segment(images)
        # In a CUDA graph, the network's end cannot be seen.
        if marks:
            found["host_peak_after_network_mb"] = (read_sizes()["VmHWM"] - marks[-1]) / 1e6
    except InputError:
        pass  # a system that does not let its peak be reset
    finally:
        workload.detections.on_output = None
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
    held = {}
    try:
        held["host_resident_mb"] = read_sizes()["VmRSS"] / 1e6
        held["host_without_files_mb"] = read_sizes()["RssAnon"] / 1e6  # which a leak makes grow
    except OSError:
        pass  # a system without /proc
    if device.type == "cuda":
        held["device_mb"] = torch.cuda.memory_allocated(device) / 1e6
        held["device_reserved_mb"] = torch.cuda.memory_reserved(device) / 1e6
    return held


def _describe(workload: Workload) -> dict[str, Any]:
    settings, segmenter = workload.settings, workload.segmenter
    weights = workload.weights.name if workload.weights else f"random, seed {SEED}"
    return {
        "settings": {
            **asdict(settings),
            "preset": segmenter.preset.name,
            "weights": weights,
            "device": str(segmenter.device),
            "precision": segmenter.precision,
            "precision_reason": workload.precision_reason,
            "compiled": segmenter.compiled,
            "providers": list(segmenter.providers),
            "image_size": list(settings.image_size),
            "box_area": workload.box_area,
        },
        "machine": describe_machine(str(segmenter.device)),
        "versions": versions(),
    }


@contextmanager
def _arithmetic(threads: int | None) -> Iterator[None]:
    """Set the threads, and TF32 off, for as long as it lasts."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = torch.get_num_threads(), matmul.allow_tf32, cudnn.allow_tf32
    try:
        torch.set_num_threads(threads or before[0])
        matmul.allow_tf32 = cudnn.allow_tf32 = False
        yield
    finally:
        torch.set_num_threads(before[0])
        matmul.allow_tf32, cudnn.allow_tf32 = before[1:]
