# SPDX-License-Identifier: Apache-2.0
"""How the cost of the stages grows with instances, image size and batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from yolact_ros.errors import InputError

from .stages import SpeedSettings, measure_speed

INSTANCES = (0, 1, 2, 5, 10, 20, 50, 100)
IMAGE_SIZES = ((240, 320), (480, 640), (720, 1280), (1080, 1920), (1440, 2560), (2160, 3840))
BATCHES = (1, 2, 4, 8)


@dataclass(frozen=True)
class Series:
    """One quantity that grows.

    Attributes:
        title: For the picture.
        unit: Of `x`.
        points: `x` and what is measured there.
    """

    title: str
    unit: str
    points: tuple[tuple[float, SpeedSettings], ...]


def growth_series(base: SpeedSettings) -> list[Series]:
    """The series around one point.

    Args:
        base: Gives all that does not grow; its `box_area` must be given.

    Raises:
        ValueError: There is no box area.
    """
    if base.box_area is None:
        raise InputError("box_area: expected a fraction of the image, got none")
    height, width = base.image_size
    box_pixels = base.box_area * height * width
    sizes = [size for size in IMAGE_SIZES if box_pixels <= size[0] * size[1]]
    smallest = min(sizes)[0] * min(sizes)[1]
    box_pixels = min(box_pixels, smallest / 4)
    described = f"{width}x{height}, boxes of {base.box_area:.0%}"
    return [
        Series(
            f"instances; {described}",
            "instances",
            tuple((n, replace(base, instances=n)) for n in INSTANCES),
        ),
        Series(
            f"batch; {described}, {base.instances} instances in each image",
            "images at once",
            tuple((n, replace(base, batch=n)) for n in BATCHES),
        ),
        Series(
            f"image size; {base.instances} instances, boxes of {base.box_area:.0%}",
            "megapixels",
            tuple((h * w / 1e6, replace(base, image_size=(h, w))) for h, w in IMAGE_SIZES),
        ),
        Series(
            f"image size; {base.instances} instances, boxes of {box_pixels:,.0f} pixels",
            "megapixels",
            tuple(
                (h * w / 1e6, replace(base, image_size=(h, w), box_area=box_pixels / (h * w)))
                for h, w in sizes
            ),
        ),
    ]


def measure_growth(
    base: SpeedSettings, on_point: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Measures all series.

    Args:
        base: As for `growth_series`.
        on_point: Is told of each measured point, in one line.

    Returns:
        What JSON holds: `series` with title, unit and points (x, settings that changed, stages,
        total, memory, pixels within the boxes of all instances), machine, versions and settings.
    """
    found: list[dict[str, Any]] = []
    last: dict[str, Any] = {}
    for series in growth_series(base):
        on_point(series.title)
        points = []
        for x, settings in series.points:
            last = measure_speed(settings, compute=False)
            point = _point(x, settings, last)
            points.append(point)
            on_point(_line(point))
        found.append({"title": series.title, "unit": series.unit, "points": points})
    return {
        "series": found,
        "settings": {**last["settings"], **_plain(base)},
        "machine": last["machine"],
        "versions": last["versions"],
    }


def _plain(base: SpeedSettings) -> dict[str, Any]:
    kept: Iterable[str] = ("image_size", "instances", "batch", "box_area", "frames")
    values = asdict(base)
    return {name: values[name] for name in kept}


def _point(x: float, settings: SpeedSettings, result: dict[str, Any]) -> dict[str, Any]:
    height, width = settings.image_size
    area = (settings.box_area or 0) * height * width * settings.instances * settings.batch
    return {
        "x": x,
        **_plain(settings),
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
