# SPDX-License-Identifier: Apache-2.0
"""Pages show any text as it is, and need no other file."""

import base64
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from yolact_ros.web import (
    Html,
    bar,
    cards,
    definitions,
    image,
    paragraph,
    render_page,
    section,
    table,
)
from yolact_testing.pages import Page

TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1)


@given(text=TEXT)
@example(text='<b> & "quoted" </i>')
def test_every_part_shows_its_text_as_it_is(text):
    parts = [
        section(text, paragraph(text, "soft")),
        cards([(text, text)]),
        table([text], [[text], [bar(0.5, text)]], bars=(0,)),
        definitions([(text, text)]),
    ]
    page = Page(render_page(text, parts))
    shown = [shown for shown in page.texts if shown.strip() or shown == text]
    assert shown.count(text) == 11  # the page's title and heading, and 9 in the parts


def test_html_is_kept_and_text_is_not():
    page = render_page(
        "x",
        [
            table(
                ["head"],
                [
                    [
                        Html("<b>bold</b>"),
                    ],
                    ["<b>not</b>"],
                ],
            )
        ],
    )
    assert Page(page).tags.count("b") == 1
    assert "<td><b>bold</b></td>" in page and "<td>&lt;b&gt;not&lt;/b&gt;</td>" in page


def test_a_row_has_a_cell_for_each_title():
    with pytest.raises(ValueError, match="shorter"):
        table(["first", "second"], [["only one"]])


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.5, "--part: 50.0%"), (1, "--part: 100.0%"), (0, "none"), (-1, "none")],
)
def test_a_bar_is_as_long_as_its_share(share, expected):
    assert expected in bar(share, "text")


def test_pictures_are_embedded_and_nothing_else_is_asked_for():
    page = render_page("x", [image("png", b"\x89PNG", 'a "mug"')])
    [reference] = Page(page).references
    kind, data = re.fullmatch(r"data:image/(png);base64,(.*)", reference).groups()
    assert (kind, base64.b64decode(data)) == ("png", b"\x89PNG")
    assert 'alt="a &quot;mug&quot;"' in page
    assert not re.search(r"url\(|@import|<script|<link", page)
