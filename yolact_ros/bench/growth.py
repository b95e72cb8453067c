# SPDX-License-Identifier: Apache-2.0
"""How the cost of the stages grows with instances, image size and batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from yolact_ros.errors import InputError

from .settings import SpeedSettings
from .stages import measure_speed

INSTANCES = (0, 1, 2, 5, 10, 20, 50, 100)
IMAGE_SIZES = ((240, 320), (480, 640), (720, 1280), (1080, 1920), (1440, 2560), (2160, 3840))
BATCHES = (1, 2, 4, 8)
_CHANGING = ("image_size", "instances", "batch", "box_area")


class Series(NamedTuple):
    """One quantity that grows: title and unit of `x`, and at each `x` what is measured."""

    title: str
    unit: str
    points: tuple[tuple[float, SpeedSettings], ...]


def growth_series(base: SpeedSettings) -> list[Series]:
    """Make the series around one point, which gives all that does not grow.

    Raises:
        InputError: There is no box area.
    """
    if base.box_area is None:
        raise InputError("box_area: expected a fraction of the image, got none")
    height, width = base.image_size
    pixels = base.box_area * height * width
    # a box of constant size fits into each of these images, four of them into the smallest
    sizes = [size for size in IMAGE_SIZES if pixels <= size[0] * size[1]]
    pixels = min(pixels, min(h * w for h, w in sizes) / 4)

    def with_size(h: int, w: int, box_area: float | None) -> tuple[float, SpeedSettings]:
        return h * w / 1e6, replace(base, image_size=(h, w), box_area=box_area)

    boxes = f"boxes of {base.box_area:.0%}"
    here = f"{width}x{height}, {boxes}"
    each = f"{base.instances} instances"
    batches = tuple((n, replace(base, batch=n)) for n in BATCHES)
    same_part = tuple(with_size(h, w, base.box_area) for h, w in IMAGE_SIZES)
    same_pixels = tuple(with_size(h, w, pixels / (h * w)) for h, w in sizes)
    return [
        Series(
            f"instances; {here}",
            "instances",
            tuple((n, replace(base, instances=n)) for n in INSTANCES),
        ),
        Series(f"batch; {here}, {each} in each image", "images per call", batches),
        Series(f"image size; {each}, {boxes}", "megapixels", same_part),
        Series(f"image size; {each}, boxes of {pixels:,.0f} pixels", "megapixels", same_pixels),
    ]


def measure_growth(
    base: SpeedSettings, on_point: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Measure all series.

    Args:
        base: Around which it grows.
        on_point: Called with a line about each measured point.

    Returns:
        What JSON holds: "series" with title, unit and points ("x", "box_megapixels" within the
        boxes of all instances, what changes, stages, total and memory), and "settings", "machine"
        and "versions" of all points.
    """
    series: list[dict[str, Any]] = []
    last: dict[str, Any] = {}
    for title, unit, points in growth_series(base):
        on_point(title)
        series.append({"title": title, "unit": unit, "points": []})
        for x, settings in points:
            last = measure_speed(settings)
            height, width = settings.image_size
            boxes = (settings.box_area or 0) * height * width * settings.instances * settings.batch
            point = {"x": x, "box_megapixels": boxes / 1e6}
            point |= {name: last["settings"].pop(name) for name in _CHANGING}
            point |= {name: last[name] for name in ("stages", "total", "memory")}
            series[-1]["points"].append(point)
            on_point(_line(point))
    return {"series": series, **{name: last[name] for name in ("settings", "machine", "versions")}}


def _line(point: dict[str, Any]) -> str:
    height, width = point["image_size"]
    stages = ", ".join(f"{name} {row['p50_ms']:.2f}" for name, row in point["stages"].items())
    return (
        f"  {width}x{height}, batch {point['batch']}, {point['instances']} instances, "
        f"{point['box_megapixels']:.2f} Mpx of boxes: total {point['total']['p50_ms']:.2f} ms "
        f"({stages})"
    )
