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
_OF_A_POINT = ("image_size", "instances", "batch", "box_area", "frames")


class Series(NamedTuple):
    """One quantity that grows.

    Attributes:
        title: Heading of its plot.
        unit: Unit of `x`.
        points: `x` and what is measured there.
    """

    title: str
    unit: str
    points: tuple[tuple[float, SpeedSettings], ...]


def growth_series(base: SpeedSettings) -> list[Series]:
    """Make the series around one point.

    Args:
        base: Gives all that does not grow; its `box_area` must be given.

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
    return [
        Series(
            f"instances; {here}",
            "instances",
            tuple((n, replace(base, instances=n)) for n in INSTANCES),
        ),
        Series(
            f"batch; {here}, {base.instances} instances in each image",
            "images per call",
            tuple((n, replace(base, batch=n)) for n in BATCHES),
        ),
        Series(
            f"image size; {base.instances} instances, {boxes}",
            "megapixels",
            tuple(with_size(h, w, base.box_area) for h, w in IMAGE_SIZES),
        ),
        Series(
            f"image size; {base.instances} instances, boxes of {pixels:,.0f} pixels",
            "megapixels",
            tuple(with_size(h, w, pixels / (h * w)) for h, w in sizes),
        ),
    ]


def measure_growth(
    base: SpeedSettings, on_point: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Measure all series.

    Args:
        base: As for `growth_series`.
        on_point: Called with a line about each measured point.

    Returns:
        What JSON holds: `series` with title, unit and points (x, settings that changed, stages,
        total, memory, pixels within the boxes of all instances), machine, versions and settings.
    """
    found: list[dict[str, Any]] = []
    last: dict[str, Any] = {}
    for title, unit, points in growth_series(base):
        on_point(title)
        measured = []
        for x, settings in points:
            last = measure_speed(settings, compute=False)
            measured.append(_point(x, settings, last))
            on_point(_line(measured[-1]))
        found.append({"title": title, "unit": unit, "points": measured})
    return {
        "series": found,
        "settings": last["settings"] | _changing(base),
        "machine": last["machine"],
        "versions": last["versions"],
    }


def _changing(settings: SpeedSettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in _OF_A_POINT}


def _point(x: float, settings: SpeedSettings, result: dict[str, Any]) -> dict[str, Any]:
    height, width = settings.image_size
    area = (settings.box_area or 0) * height * width * settings.instances * settings.batch
    return {
        "x": x,
        **_changing(settings),
        "box_megapixels": area / 1e6,
        **{name: result[name] for name in ("stages", "total", "after_network", "memory")},
    }


def _line(point: dict[str, Any]) -> str:
    height, width = point["image_size"]
    stages = ", ".join(f"{name} {row['p50_ms']:.2f}" for name, row in point["stages"].items())
    return (
        f"  {width}x{height}, batch {point['batch']}, {point['instances']} instances, "
        f"{point['box_megapixels']:.2f} Mpx of boxes: total {point['total']['p50_ms']:.2f} ms "
        f"({stages})"
    )
