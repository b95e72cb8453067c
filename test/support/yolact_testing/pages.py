# SPDX-License-Identifier: Apache-2.0
"""Reads HTML pages."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """What a page shows; fails unless all tags are closed in their order.

    Attributes:
        tags: All tags in their order.
        references: Values of `src` and `href`.
        texts: Texts outside the style.
    """

    ALONE = ("meta", "img", "br", "link")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.references: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.ALONE:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)
