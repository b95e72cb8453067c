# SPDX-License-Identifier: Apache-2.0
"""What it costs to recognise things from image to image, on one core, beside plain ByteTrack."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from yolact_ros.evaluation.tracking.bytetrack import ByteTrack
from yolact_ros.provenance import processor_name, versions
from yolact_ros.structures import Instances, Objects, PackedMask
from yolact_ros.tracking import SpaceTracker, Tracker, thumbnail

from .tables import bound, stages_and_bounds
from .timings import percentiles

RATE = 15.0
"""Images per second."""
_MEDIAN_MS, _P95_MS = 0.8, 2.0
"""What is asked of the time of an image."""
_GROWING = (1, 2, 5, 10, 20, 50, 100)
_CLASSES = ("ball", "bottle", "box", "can", "mug")


@dataclass(frozen=True)
class TrackingSpeedSettings:
    """What is measured.

    Attributes:
        image_size: (height, width) in pixels.
        instances: Number of things, each of which is found in each image, 1 or more.
        frames: Timed images, 1 or more.
    """

    image_size: tuple[int, int] = (720, 1280)
    instances: int = 20
    frames: int = 300


def moving_things(
    settings: TrackingSpeedSettings,
) -> Iterator[tuple[float, Instances, Objects]]:
    """Film ellipses that cross the image, with noise: stamps in seconds, instances and objects."""
    rng = np.random.default_rng(0)
    height, width = settings.image_size
    count = settings.instances
    room = np.array([width, height])
    sizes = rng.integers(room // 16, room // 6, (count, 2))
    masks = [_ellipse(w, h) for w, h in sizes.tolist()]
    corners = rng.uniform(0, room - sizes)
    speeds = rng.uniform(-60, 60, (count, 2))  # pixels per second
    class_ids = rng.integers(0, len(_CLASSES), count)
    for frame in range(settings.frames):
        moved = np.abs(corners + speeds * frame / RATE + rng.normal(0, 1, (count, 2)))
        left, top = np.minimum(moved, room - sizes).astype(int).T.tolist()
        boxes = np.hstack([np.stack([left, top], axis=1), np.stack([left, top], axis=1) + sizes])
        centres = np.column_stack([boxes[:, :2] * 1e-3, np.ones(count)])
        yield (
            frame / RATE,
            Instances(
                image_size=settings.image_size,
                boxes=boxes.astype(np.float32),
                scores=np.linspace(0.99, 0.5, count, dtype=np.float32),
                class_ids=class_ids,
                class_names=tuple(_CLASSES[k] for k in class_ids),
                packed_masks=tuple(
                    replace(mask, x_offset=x, y_offset=y)
                    for mask, x, y in zip(masks, left, top, strict=True)
                ),
            ),
            Objects(
                instances=np.arange(1, count + 1),
                centres=centres,
                sizes=np.full((count, 3), 0.1),
                orientations=np.tile([0.0, 0.0, 0.0, 1.0], (count, 1)),
                covariances=np.tile(np.eye(6) * 1e-6, (count, 1, 1)),
                coverages=np.ones(count, np.float32),
                points=np.full(count, 900),
            ),
        )


def _ellipse(width: int, height: int) -> PackedMask:
    canvas = np.zeros((height, width), np.uint8)
    cv2.ellipse(canvas, ((width / 2, height / 2), (width, height), 0), 1, cv2.FILLED)
    return PackedMask.from_array(canvas.astype(bool))


def measure_tracking(
    settings: TrackingSpeedSettings, on_point: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Measure the time of an image on one core, and how it grows with the number of things.

    Args:
        settings: What is measured.
        on_point: Called with a line about each point of the growth.

    Returns:
        What JSON holds: "stages" with p50_ms, p95_ms and p99_ms, "bounds" with what is asked and
        reached, "growth", "settings", "machine" and "versions".
    """
    stages = _times(settings)
    growth = []
    for count in _GROWING:
        times = _times(replace(settings, instances=count))
        growth.append({"instances": count, "stages": times})
        shown = ", ".join(f"{name} {row['p50_ms']:.2f}" for name, row in times.items())
        on_point(f"{count} things: {shown} ms")
    track = stages["track"]
    return {
        "stages": stages,
        "bounds": [
            bound("track, median, ms", _MEDIAN_MS, track["p50_ms"]),
            bound("track, p95, ms", _P95_MS, track["p95_ms"]),
        ],
        "growth": growth,
        "settings": asdict(settings),
        "machine": {"processor": processor_name(), "threads": 1},
        "versions": versions(),
    }


def _times(settings: TrackingSpeedSettings) -> dict[str, dict[str, float]]:
    """Processor time of each image: what else runs is not counted."""
    tracker, in_space, plain = Tracker(), SpaceTracker(), ByteTrack()
    picture: npt.NDArray[np.uint8] = np.zeros((*settings.image_size, 3), np.uint8)
    milliseconds: dict[str, list[float]] = {
        "thumbnail": [],
        "track": [],
        "in space": [],
        "plain ByteTrack": [],
    }
    for stamp, instances, objects in moving_things(settings):
        centres = objects.centres_by_instance(len(instances))
        times = [time.thread_time()]
        small = thumbnail(picture)
        times.append(time.thread_time())
        tracked = tracker.update(instances, stamp, centres, small)
        times.append(time.thread_time())
        in_space.update(tracked, objects)
        times.append(time.thread_time())
        plain.update(instances)
        times.append(time.thread_time())
        for taken, seconds in zip(milliseconds.values(), np.diff(times).tolist(), strict=True):
            taken.append(1000 * seconds)
    return {name: percentiles(np.array(times)) for name, times in milliseconds.items()}


def tracking_table(result: Mapping[str, Any]) -> str:
    """The result of `measure_tracking` for people."""
    settings = result["settings"]
    height, width = settings["image_size"]
    return "\n".join(
        [
            f"{settings['instances']} things found in each of {settings['frames']} images of "
            f"{width}x{height}; one thread of {result['machine']['processor']}",
            "",
            *stages_and_bounds(result["stages"], result["bounds"]),
        ]
    )
