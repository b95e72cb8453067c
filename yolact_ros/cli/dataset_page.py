# SPDX-License-Identifier: Apache-2.0
"""Writes the page of `yolact-ros dataset check --out`: labelled samples of a data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np

from yolact_ros.choices import SHEET_PAGES
from yolact_ros.datasets.choose import choose_images
from yolact_ros.datasets.coco import CocoDataset, CocoImage
from yolact_ros.datasets.mending.causes import Problem
from yolact_ros.datasets.statistics import DatasetStatistics
from yolact_ros.datasets.truth import truth_instances
from yolact_ros.errors import InputError
from yolact_ros.visualization import TRUTH_STYLE, draw_overlay, encode_jpeg
from yolact_ros.visualization.contact_sheet import Tile, draw_contact_sheet, fit_size
from yolact_ros.web import Html, image, paragraph, render_page, section, table

from .dataset_text import COLUMNS, class_rows, grouped, heading, headline

_TILE = (420, 560)
_SHOWN_PROBLEMS = 10


def write_page(
    path: Path,
    dataset: CocoDataset,
    statistics: DatasetStatistics,
    problems: Sequence[Problem],
    hints: Mapping[str, Sequence[str]],
    *,
    samples: int,
) -> None:
    """Write a picture or an HTML page that needs no other file.

    Args:
        path: The file; its suffix, in `SHEET_PICTURES` or `SHEET_PAGES`, decides on the format.
        dataset: The data set to show.
        statistics: Its counts.
        problems: Its errors and warnings.
        hints: Guesses at their origin and the remedy, by kind of problem.
        samples: Number of images to show.

    Raises:
        InputError, OSError: The file cannot be written.
    """
    tiles = [_draw(dataset, image) for image in choose_images(dataset, samples)]
    title = headline(dataset, statistics)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() in SHEET_PAGES:
        path.write_text(
            _html(title, tiles, statistics, _problems(problems, hints)), encoding="utf-8"
        )
        return
    legend = [
        (class_id, f"{each.name} {each.objects}")
        for class_id, each in enumerate(statistics.classes)
        if each.images
    ]
    columns = min(4, max(1, round(len(tiles) ** 0.5)))
    sheet = draw_contact_sheet(tiles, title=title, legend=legend, tile_size=_TILE, columns=columns)
    if not cv2.imwrite(str(path), sheet):
        raise InputError(f"{path}: expected to write an image, got an error")


def _draw(dataset: CocoDataset, image: CocoImage) -> Tile:
    """Draw at the size of the tile from the start, so that the labels are legible."""
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
    return Tile(draw_overlay(pixels, instances, TRUTH_STYLE), image.file_name, note)


def _html(title: str, tiles: Iterable[Tile], statistics: DatasetStatistics, problems: Html) -> str:
    sizes = ", ".join(
        f"{width}x{height} ×{count}" for (width, height), count in statistics.image_sizes.items()
    )
    parts = [
        section("Problems", problems),
        section("Classes", table(COLUMNS, class_rows(statistics))),
        section("Image sizes", paragraph(sizes)),
        section("Samples", Html(f'<div class="sheet">{"".join(map(_figure, tiles))}</div>')),
    ]
    return render_page(title, parts)


def _problems(problems: Sequence[Problem], hints: Mapping[str, Sequence[str]]) -> Html:
    if not problems:
        return paragraph("None.")
    parts = []
    for (fatal, kind), group in grouped(problems).items():
        shown = [*(f"→ {hint}" for hint in hints.get(kind, ())), *group[:_SHOWN_PROBLEMS]]
        lines = "".join(f"<li>{escape(str(each))}</li>" for each in shown)
        more = len(group) - _SHOWN_PROBLEMS
        lines += f"<li>and {more} more</li>" if more > 0 else ""
        parts.append(
            f"<details{' open' * fatal}><summary>{escape(heading(group))}</summary>"
            f"<ul>{lines}</ul></details>"
        )
    return Html("\n".join(parts))


def _figure(tile: Tile) -> str:
    return (
        f"<figure><figcaption><b>{escape(tile.title)}</b> · {escape(tile.note)}</figcaption>"
        f"{image('jpeg', encode_jpeg(tile.picture), tile.title)}</figure>"
    )
