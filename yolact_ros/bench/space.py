# SPDX-License-Identifier: Apache-2.0
"""What objects in space and points cost, beside a frame of the network in the same run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from yolact_ros.errors import InputError
from yolact_ros.provenance import processor_name, versions
from yolact_ros.scenes import DEPTH_MODELS
from yolact_ros.space import Camera, objects, organised_points, sparse_points
from yolact_ros.structures import Instances, PackedMask

from .settings import SpeedSettings
from .tables import bound, stages_and_bounds
from .timings import percentiles

_SPARSE_POINTS = 300_000
_ASKED_MS = {"objects": 8.0, "organised points": 5.0, "sparse points": 8.0}
_ASKED_SHARE = 0.05
_GROWING_INSTANCES = (1, 2, 5, 10, 20, 50, 100)
_GROWING_SHARES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.42)
_NETWORK_FRAMES = 3


@dataclass(frozen=True)
class SpaceSpeedSettings:
    """What is measured.

    Attributes:
        image_size: (height, width) in pixels.
        instances: Number of masks, 1 or more.
        covered: Share of the image that all masks together cover, above 0 up to 0.5.
        frames: Timed calls, 1 or more; the growth has a third of them.
        preset: Network to compare with, in fp32 on one thread.
        device: Where the network runs.

    Raises:
        InputError: The share is out of range.
    """

    image_size: tuple[int, int] = (720, 1280)
    instances: int = 20
    covered: float = 0.42
    frames: int = 60
    preset: str = "yolact_resnet50"
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not 0 < self.covered <= 0.5:
            raise InputError(f"covered: expected above 0 up to 0.5, got {self.covered:g}")


class SpaceWork(NamedTuple):
    """One frame's input: instances, depth (H, W) float32 in metres, camera, image."""

    instances: Instances
    depth: npt.NDArray[np.float32]
    camera: Camera
    image: npt.NDArray[np.uint8]


def make_work(image_size: tuple[int, int], instances: int, covered: float) -> SpaceWork:
    """Make elliptic rings that stand out of a sloping table, as a depth camera sees them.

    Args:
        image_size: (height, width) in pixels.
        instances: Number of rings, in rows and columns.
        covered: Share of the image that they cover together.
    """
    height, width = image_size
    rows = max(1, round(math.sqrt(instances * height / width)))
    columns = -(-instances // rows)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    depth = 1 / (0.6 + 0.86 * y / height)
    # outside of a ring, inside of it, in half widths and half heights of its cell
    outer = math.sqrt(min(covered * rows * columns / instances / (math.pi / 4) / 0.8, 1.25))
    masks = []
    for number in range(instances):
        row, column = divmod(number, columns)
        away = ((x - (column + 0.5) * width / columns) / (0.5 * width / columns)) ** 2
        away += ((y - (row + 0.5) * height / rows) / (0.5 * height / rows)) ** 2
        mask = (away < outer**2) & (away >= 0.2 * outer**2)
        mask &= (y // (height / rows) == row) & (x // (width / columns) == column)
        if not mask.any():
            raise InputError(f"instances: expected fewer than {instances} in {width}x{height}")
        depth[mask] = depth[mask].min() - 0.05
        masks.append(mask)
    rng = np.random.default_rng(0)
    focal = 0.7 * width
    return SpaceWork(
        Instances(
            image_size=image_size,
            boxes=np.zeros((instances, 4), np.float32),
            scores=np.ones(instances, np.float32),
            class_ids=np.arange(instances, dtype=np.int64),
            class_names=("ring",) * instances,
            packed_masks=tuple(map(PackedMask.from_array, masks)),
        ),
        DEPTH_MODELS["real"].measure(depth.astype(np.float32), rng),
        Camera(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2),
        rng.integers(0, 255, (height, width, 3), dtype=np.uint8),
    )


def measure_space(
    settings: SpaceSpeedSettings, on_point: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Measure objects and points on one core, their growth, and a frame of the network.

    Args:
        settings: What is measured.
        on_point: Called with a line about each point of the growth.

    Returns:
        What JSON holds: "stages" and "network" with p50_ms, p95_ms and p99_ms, "pixels" of all
        masks, "points" of the sparse cloud, "bounds" with what is asked and reached, "growth",
        "settings", "machine" and "versions".
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        work = make_work(settings.image_size, settings.instances, settings.covered)
        height, width = settings.image_size
        share = min(settings.covered, _SPARSE_POINTS / (height * width))
        fewer = make_work(settings.image_size, settings.instances, share)
        calls = _calls(work) | {"sparse points": partial(sparse_points, *fewer)}
        calls["upright objects"] = partial(objects, *work[:3], (0.0, -1.0, 0.0))
        stages = _times(calls, settings.frames)
        growth = _growth(settings, on_point)
        network = _network_times(settings)
    finally:
        cv2.setNumThreads(threads)
    return {
        "stages": stages,
        "pixels": _pixels(work),
        "points": len(sparse_points(*fewer)),
        "network": network,
        "bounds": _bounds(stages, network["p50_ms"]),
        "growth": growth,
        "settings": asdict(settings),
        "machine": {"processor": processor_name(), "threads": 1},
        "versions": versions(),
    }


def _calls(work: SpaceWork) -> dict[str, Callable[[], object]]:
    return {
        "objects": partial(objects, *work[:3]),
        "organised points": partial(organised_points, *work),
        "sparse points": partial(sparse_points, *work),
    }


def _times(calls: Mapping[str, Callable[[], object]], frames: int) -> dict[str, dict[str, float]]:
    """Processor time of calls in turns, after one of each: what else runs is not counted."""
    milliseconds: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(frames):
        for name, call in calls.items():
            begin = time.thread_time()
            call()
            milliseconds[name].append(1000 * (time.thread_time() - begin))
    return {name: percentiles(np.array(times)) for name, times in milliseconds.items()}


def _growth(settings: SpaceSpeedSettings, on_point: Callable[[str], None]) -> list[dict[str, Any]]:
    series: list[dict[str, Any]] = []
    for title, changes in (
        (
            "instances, which cover as much together",
            [replace(settings, instances=count) for count in _GROWING_INSTANCES],
        ),
        ("pixels of all masks", [replace(settings, covered=share) for share in _GROWING_SHARES]),
    ):
        points = []
        for one in changes:
            work = make_work(one.image_size, one.instances, one.covered)
            times = _times(_calls(work), max(1, settings.frames // 3))
            points.append({"instances": one.instances, "pixels": _pixels(work), "stages": times})
            shown = ", ".join(f"{name} {row['p50_ms']:.2f}" for name, row in times.items())
            on_point(f"{one.instances} instances, {_pixels(work)} pixels: {shown} ms")
        series.append({"title": title, "points": points})
    return series


def _network_times(settings: SpaceSpeedSettings) -> dict[str, float]:
    """A frame of the network from image to instances, in fp32 on one thread."""
    from .stages import measure_speed

    result = measure_speed(
        SpeedSettings(
            preset=settings.preset,
            device=settings.device,
            precision="fp32",
            image_size=settings.image_size,
            instances=settings.instances,
            frames=_NETWORK_FRAMES,
            warm_up=1,
            threads=1,
            overlay=False,
        )
    )
    return dict(result["total"])


def _pixels(work: SpaceWork) -> int:
    return sum(mask.area for mask in work.instances.packed_masks)


def _bounds(stages: Mapping[str, Mapping[str, float]], network_ms: float) -> list[dict[str, Any]]:
    """What is asked of the medians, and what is reached."""
    together = stages["objects"]["p50_ms"] + stages["organised points"]["p50_ms"]
    return [
        *(bound(f"{name}, ms", asked, stages[name]["p50_ms"]) for name, asked in _ASKED_MS.items()),
        bound(
            "objects and organised points, share of a frame of the network",
            _ASKED_SHARE,
            together / network_ms,
        ),
    ]


def space_table(result: Mapping[str, Any]) -> str:
    """The result of `measure_space` for people."""
    settings = result["settings"]
    height, width = settings["image_size"]
    stages = {**result["stages"], f"{settings['preset']} in fp32": result["network"]}
    return "\n".join(
        [
            f"{width}x{height}, {settings['instances']} masks of {result['pixels']} pixels, "
            f"{result['points']} sparse points; one thread of {result['machine']['processor']}",
            "",
            *stages_and_bounds(stages, result["bounds"]),
        ]
    )
