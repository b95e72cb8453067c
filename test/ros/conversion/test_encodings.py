# SPDX-License-Identifier: Apache-2.0
"""The guide has the table of encodings."""

import re
from fractions import Fraction
from pathlib import Path

from yolact_ros.recordings.images.encodings import ENCODINGS

GUIDE = Path(__file__).parents[3] / "docs" / "images.md"


def rows():
    table = GUIDE.read_text().split("<!-- encodings -->")[1].split("<!-- /encodings -->")[0]
    for line in table.strip().splitlines()[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def test_the_guide_has_each_encoding_once():
    names = [name for cells in rows() for name in re.findall("`(.+?)`", cells[0])]
    assert sorted(names) == sorted(ENCODINGS)


def test_the_guide_has_their_sizes_and_what_they_are_read_as():
    for names, row_bytes, data_rows, meaning in rows():
        even = re.findall(r"\b(w|h)\b", meaning.partition(";")[2])
        for name in re.findall("`(.+?)`", names):
            encoding = ENCODINGS[name]
            assert row_bytes.removesuffix("w").strip() == (
                "" if encoding.pixel_bytes == 1 else str(encoding.pixel_bytes)
            ), name
            assert Fraction(data_rows.removesuffix("h").strip() or 1) == encoding.planes, name
            assert meaning.startswith(encoding.kind), name
            assert [2 if side in even else 1 for side in "wh"] == list(encoding.even), name
            assert (f"`{name}` (bgr" in names) == ("C3" in name or "C4" in name)
