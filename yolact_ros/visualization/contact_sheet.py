# SPDX-License-Identifier: Apache-2.0
"""Arranges many pictures on one page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from .palette import class_color

Picture = npt.NDArray[np.uint8]

_FONT = cv2.FONT_HERSHEY_DUPLEX
_PAPER, _MAT, _INK, _SOFT = (250, 248, 246), (226, 222, 218), (48, 40, 34), (120, 108, 98)  # BGR
_GAP = 16
_STRIP = 30
_LINE = 30
_HEAD = 54


class Tile(NamedTuple):
    """One picture of a sheet.

    Attributes:
        picture: (H, W, 3) uint8 BGR, no larger than the tiles of the sheet.
        title: Text above it on the left.
        note: Text above it on the right.
    """

    picture: Picture
    title: str
    note: str


def fit_size(height: int, width: int, limit: tuple[int, int]) -> tuple[int, int]:
    """Return the largest (height, width) of this shape within `limit`, at most four times it."""
    scale = min(limit[0] / height, limit[1] / width, 4.0)
    return max(round(scale * height), 1), max(round(scale * width), 1)


def draw_contact_sheet(
    tiles: Sequence[Tile],
    *,
    title: str,
    legend: Sequence[tuple[int, str]],
    tile_size: tuple[int, int],
    columns: int,
) -> Picture:
    """Draw a page.

    Args:
        tiles: Pictures from left to right, top to bottom.
        title: Title of the page.
        legend: Class ids, shown by their colours, and the text beside each.
        tile_size: (height, width) of the space for each picture.
        columns: Maximum number of tiles side by side.

    Returns:
        (H, W, 3) uint8 BGR.
    """
    columns = max(min(columns, len(tiles)), 1)
    rows = -(-len(tiles) // columns)
    height, width = tile_size
    page_width = _GAP + columns * (width + _GAP)
    places, legend_height = _arrange_legend([text for _, text in legend], page_width)
    top = _HEAD + legend_height
    page = np.full((top + rows * (height + _STRIP + _GAP), page_width, 3), _PAPER, np.uint8)
    _write(page, title, (_GAP, 36), page_width - 2 * _GAP, 0.8, _INK)
    for (class_id, text), (x, y) in zip(legend, places, strict=True):
        color = class_color(class_id)[::-1]
        cv2.rectangle(page, (x, y - 13), (x + 14, y + 1), color, cv2.FILLED)
        _write(page, text, (x + 22, y), page_width - x - 22, 0.5, _INK)
    for index, tile in enumerate(tiles):
        x = _GAP + index % columns * (width + _GAP)
        y = top + index // columns * (height + _STRIP + _GAP)
        note_width = _width(tile.note, 0.45)
        room = width - note_width - 2 * _GAP
        _write(page, tile.title, (x, y + 20), room, 0.5, _INK)
        _write(page, tile.note, (x + width - note_width, y + 20), note_width + 1, 0.45, _SOFT)
        cell = page[y + _STRIP : y + _STRIP + height, x : x + width]
        cell[:] = _MAT
        picture_height, picture_width = tile.picture.shape[:2]
        down, right = (height - picture_height) // 2, (width - picture_width) // 2
        cell[down : down + picture_height, right : right + picture_width] = tile.picture
    return page


def _arrange_legend(texts: Sequence[str], page_width: int) -> tuple[list[tuple[int, int]], int]:
    """Return the position of each entry, in columns as wide as the widest, and their height."""
    if not texts:
        return [], 0
    widest = min(max(_width(text, 0.5) for text in texts) + 46, page_width - 2 * _GAP)
    columns = max((page_width - 2 * _GAP) // widest, 1)
    places = [
        (_GAP + index % columns * widest, _HEAD + 14 + index // columns * _LINE)
        for index in range(len(texts))
    ]
    return places, -(-len(texts) // columns) * _LINE + 6


def _width(text: str, scale: float) -> int:
    width: int = cv2.getTextSize(text, _FONT, scale, 1)[0][0]
    return width


def _write(
    page: Picture, text: str, origin: tuple[int, int], room: int, scale: float,
    color: tuple[int, int, int],
) -> None:  # fmt: skip
    """Write a text; one that is too long loses its middle."""
    shown = text
    for kept in range(len(text) - 1, 0, -1):
        if _width(shown, scale) <= room:
            break
        shown = f"{text[: kept // 2]}...{text[len(text) - (kept - kept // 2) :]}"
    cv2.putText(page, shown, origin, _FONT, scale, color, 1, cv2.LINE_AA)
