# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolact_ros.visualization import class_color
from yolact_ros.visualization.contact_sheet import Tile, draw_contact_sheet, fit_size


@pytest.mark.parametrize(
    ("size", "expected"),
    [((480, 640), (90, 120)), ((1000, 100), (90, 9)), ((10, 20), (40, 80)), ((1, 9000), (1, 120))],
)
def test_pictures_keep_their_shape(size, expected):
    assert fit_size(*size, (90, 120)) == expected


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(0, 7),
    columns=st.integers(1, 4),
    title=st.text(max_size=200),
    names=st.lists(st.text(max_size=60), max_size=30),
)
def test_all_pictures_are_on_the_sheet_whatever_is_written(count, columns, title, names):
    pictures = [np.full((20 + i, 50, 3), 10 * i + 7, np.uint8) for i in range(count)]
    sheet = draw_contact_sheet(
        [Tile(picture, title, "3 objects") for picture in pictures],
        title=title,
        legend=list(enumerate(names)),
        tile_size=(60, 80),
        columns=columns,
    )
    assert sheet.dtype == np.uint8
    for i, picture in enumerate(pictures):
        of_it = (sheet == 10 * i + 7).all(axis=2)
        rows, columns_ = np.nonzero(of_it)
        # the text's edges may have this grey, too
        inside = np.zeros_like(of_it)
        left, top = int(np.median(columns_)) - 25, int(np.median(rows)) - picture.shape[0] // 2
        inside[top : top + picture.shape[0], left : left + 50] = True
        assert (of_it & inside).sum() >= 0.9 * picture.shape[0] * 50


def test_tiles_stand_in_rows_and_the_legend_shows_the_classes_colours():
    tiles = [Tile(np.full((60, 80, 3), 30 * i, np.uint8), f"{i}.png", "") for i in range(1, 6)]
    sheet = draw_contact_sheet(
        tiles, title="five", legend=[(3, "cup"), (8, "mug")], tile_size=(60, 80), columns=3
    )
    middles = []
    for i in range(1, 6):
        rows, columns = np.nonzero((sheet == 30 * i).all(axis=2))
        middles.append((np.median(rows), np.median(columns)))
    (y1, x1), (y2, x2), (y3, _), (y4, x4), (y5, x5) = middles
    assert y1 == y2 == y3 < y4 == y5
    assert x1 == x4 < x2 == x5
    for class_id in (3, 8):
        assert (sheet == class_color(class_id)[::-1]).all(axis=2).sum() >= 150


def test_what_is_too_long_loses_its_middle():
    picture = np.zeros((60, 300, 3), np.uint8)

    def strip(title):
        tiles = [Tile(picture, title, "9 objects")]
        return draw_contact_sheet(tiles, title="", legend=[], tile_size=(60, 300), columns=1)

    first, second = strip("a" * 200 + "1.png"), strip("a" * 200 + "2.png")
    assert (first != second).any()
    rows, columns = np.nonzero((first != strip("b" + "a" * 199 + "1.png")).any(axis=2))
    assert columns.max() < 60
    assert len(rows)
