# SPDX-License-Identifier: Apache-2.0
"""What `yolact-ros dataset check --out` writes: samples of a data set as they are labelled."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np

from yolact_ros.datasets.coco import CocoDataset, CocoImage
from yolact_ros.datasets.problems import Problem
from yolact_ros.datasets.samples import choose_samples, truth_instances
from yolact_ros.datasets.statistics import DatasetStatistics
from yolact_ros.visualization import OverlayStyle, draw_overlay
from yolact_ros.visualization.contact_sheet import Tile, draw_contact_sheet, fit_size
from yolact_ros.web.style import STYLE

from .dataset_text import COLUMNS, class_rows, grouped, headline

PICTURES = (".png", ".jpg", ".jpeg")
PAGES = (".html", ".htm")

_TILE = (420, 560)
_STYLE = OverlayStyle(scores=False, boxes=False)
_SHOWN_PROBLEMS = 10


def write_page(
    path: Path,
    dataset: CocoDataset,
    statistics: DatasetStatistics,
    problems: Sequence[Problem],
    *,
    samples: int,
) -> None:
    """Writes a picture or an HTML page that needs nothing beside it.

    Args:
        path: Its suffix decides, one of `PICTURES` and `PAGES`.
        dataset: What is shown.
        statistics: Of it.
        problems: Found in it.
        samples: How many images are shown.

    Raises:
        OSError: The file cannot be written.
    """
    tiles = [_draw(dataset, image) for image in choose_samples(dataset, samples)]
    title = headline(dataset, statistics)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() in PAGES:
        path.write_text(_html(title, tiles, statistics, problems), encoding="utf-8")
        return
    legend = [
        (class_id, f"{each.name} {each.objects}")
        for class_id, each in enumerate(statistics.classes)
        if each.images
    ]
    columns = min(4, max(1, round(len(tiles) ** 0.5)))
    sheet = draw_contact_sheet(tiles, title=title, legend=legend, tile_size=_TILE, columns=columns)
    if not cv2.imwrite(str(path), sheet):
        raise OSError(f"{path}: expected to write an image, got an error")


def _draw(dataset: CocoDataset, image: CocoImage) -> Tile:
    """At the tile's size from the start, so that its labels can be read."""
    size = fit_size(image.height, image.width, _TILE)
    crowds = sum(thing.crowd for thing in image.objects)
    count = len(image.objects) - crowds
    note = f"{count} object{'s' * (count != 1)}"
    note += f", {crowds} crowd{'s' * (crowds != 1)}" if crowds else ""
    try:
        pixels = dataset.read_image(image)[:, :, ::-1]
    except ValueError:
        blank = np.full((*size, 3), 200, np.uint8)
        return Tile(blank, image.file_name, "cannot be read")
    pixels = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA)
    instances = truth_instances(image, dataset.class_names, size)
    return Tile(draw_overlay(pixels, instances, _STYLE), image.file_name, note)


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}
.sheet {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr));
  gap: 18px; }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""


def _html(
    title: str, tiles: Iterable[Tile], statistics: DatasetStatistics, problems: Sequence[Problem]
) -> str:
    sizes = ", ".join(
        f"{width}x{height} ×{count}" for (width, height), count in statistics.image_sizes.items()
    )
    sections = [
        ("Problems", _problems(problems)),
        ("Classes", _table(COLUMNS, class_rows(statistics))),
        ("Sizes of images", f"<p>{escape(sizes)}</p>"),
        ("Samples", f'<div class="sheet">{"".join(map(_figure, tiles))}</div>'),
    ]
    body = "\n".join(
        f"<section>\n<h2>{name}</h2>\n{content}\n</section>" for name, content in sections
    )
    return _PAGE.format(title=escape(title), style=STYLE, body=body)


def _problems(problems: Sequence[Problem]) -> str:
    if not problems:
        return "<p>None.</p>"
    parts = []
    for (fatal, kind), group in grouped(problems).items():
        lines = "".join(f"<li>{escape(str(problem))}</li>" for problem in group[:_SHOWN_PROBLEMS])
        more = len(group) - _SHOWN_PROBLEMS
        lines += f"<li>and {more} more</li>" if more > 0 else ""
        word = "error" if fatal else "warning"
        parts.append(
            f"<details{' open' * fatal}><summary>{word}: {escape(kind)} ({len(group)})</summary>"
            f"<ul>{lines}</ul></details>"
        )
    return "\n".join(parts)


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    lines = (f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _figure(tile: Tile) -> str:
    done, data = cv2.imencode(".jpg", tile.picture, [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert done
    encoded = base64.b64encode(data).decode("ascii")
    return (
        f"<figure><figcaption><b>{escape(tile.title)}</b> · {escape(tile.note)}</figcaption>"
        f'<img alt="{escape(tile.title)}" src="data:image/jpeg;base64,{encoded}"></figure>'
    )
