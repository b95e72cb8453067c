# SPDX-License-Identifier: Apache-2.0
"""Frame and style of every page that people open: texts and pictures go in, HTML comes out.

Read `page` first: the document and its parts. `style` is their CSS. A page needs no other file:
style and pictures are embedded. Only the standard library is used. live/ is the page of
`yolact-ros view`, which a small server feeds.
"""

from .page import (
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

__all__ = [
    "Html",
    "bar",
    "cards",
    "definitions",
    "image",
    "paragraph",
    "render_page",
    "section",
    "table",
]
