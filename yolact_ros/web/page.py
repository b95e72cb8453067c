# SPDX-License-Identifier: Apache-2.0
"""An HTML document and its parts. A `str` is text, which gets escaped; `Html` is kept as it is."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

from .style import STYLE

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""


class Html(str):
    """A string that is HTML already."""

    __slots__ = ()


def _html(content: str) -> str:
    return content if isinstance(content, Html) else escape(content)


def render_page(title: str, parts: Iterable[Html]) -> str:
    """Render a whole document that embeds its style.

    Args:
        title: Text of the title and of the heading.
        parts: Parts of the body from top to bottom.

    Example:
        >>> page = render_page("Mugs & balls", [section("Counts", table(["class"], [["<mug>"]]))])
        >>> "<h1>Mugs &amp; balls</h1>" in page, "<td>&lt;mug&gt;</td>" in page
        (True, True)
    """
    return _PAGE.format(title=escape(title), style=STYLE, body="\n".join(parts))


def section(title: str, content: Html) -> Html:
    """Put a heading above a part of a page."""
    return Html(f"<section>\n<h2>{escape(title)}</h2>\n{content}\n</section>")


def paragraph(text: str, kind: str = "") -> Html:
    """Set a paragraph of text; kind: "" (plain), "soft" or "notice"."""
    style = f' class="{kind}"' if kind else ""
    return Html(f"<p{style}>{escape(text)}</p>")


def cards(values: Iterable[tuple[str, str]]) -> Html:
    """Show a few values large, each with a label below it."""
    shown = (f"<b>{escape(value)}</b><span>{escape(label)}</span>" for value, label in values)
    inner = "\n".join(f'<div class="card">{card}</div>' for card in shown)
    return Html(f'<div class="cards">\n{inner}\n</div>')


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], bars: Sequence[int] = ()) -> Html:
    """Lay out a table, which scrolls sideways where it is wider than the page.

    Args:
        titles: Texts of the head.
        rows: Cells, as text or HTML.
        bars: Columns that hold `bar`.
    """
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    opening = ['<td class="bar">' if column in bars else "<td>" for column in range(len(titles))]
    lines = (
        "".join(f"{td}{_html(cell)}</td>" for td, cell in zip(opening, row, strict=True))
        for row in rows
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    inner = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return Html(f'<div class="wide"><table>{inner}</table></div>')


def bar(part: float, text: str) -> Html:
    """Draw a bar of a share, 0 to 1, with a text beside it; no bar for less than 0."""
    style = f'style="--part: {100 * part:.1f}%"' if part > 0 else 'class="none"'
    return Html(f'<div class="track"><i {style}></i><span>{escape(text)}</span></div>')


def definitions(entries: Iterable[tuple[str, str]]) -> Html:
    """List names with their values."""
    lines = (f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in entries)
    return Html(f"<dl>{''.join(lines)}</dl>")


def image(kind: str, data: bytes, alternative: str) -> Html:
    """Embed a picture.

    Args:
        kind: Subtype of its media type: "png" or "jpeg".
        data: The file.
        alternative: Text for those who cannot see it.
    """
    encoded = base64.b64encode(data).decode("ascii")
    return Html(f'<img alt="{escape(alternative)}" src="data:image/{kind};base64,{encoded}">')
