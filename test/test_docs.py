# SPDX-License-Identifier: Apache-2.0
"""What the guides name is there: links, files, and the rows of imports."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "yolact_ros"
GUIDES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
FILE = re.compile(r"`([\w./-]+/|[\w./-]+\.(?:py|md|yaml|bash|rst|xml|hpp))`")


def _rows(text: str, part: re.Pattern[str]) -> list[set[str]]:
    """The parts of each row of a table whose lines begin with the row's number."""
    lines = re.findall(r"^[|\s]*(\d+)[ |]+(.*)$", text, re.MULTILINE)
    assert [int(number) for number, _ in lines] == list(range(1, len(lines) + 1))
    return [set(part.findall(line)) for _, line in lines]


def _parts() -> set[str]:
    return {
        file.stem
        for file in PACKAGE.iterdir()
        if (file / "__init__.py").exists() or (file.suffix == ".py" and file.stem[0] != "_")
    }


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: str(guide.relative_to(ROOT)))
def test_links_lead_somewhere(guide):
    prose = re.sub(r"```.*?```", "", guide.read_text(), flags=re.DOTALL)
    missing = [link for link in LINK.findall(prose) if not (guide.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("guide", ["CONTRIBUTING.md", "docs/design.md"])
def test_files_that_are_named_are_there(guide):
    names = FILE.findall((ROOT / guide).read_text())
    assert len(names) > 10
    # a file beside the one that was named before it may be named alone
    folders = [ROOT, PACKAGE, *(folder for folder in PACKAGE.rglob("*") if folder.is_dir())]
    missing = [
        name
        for name in names
        if not any((folder / name).exists() for folder in folders[: 2 if "/" in name else None])
        and name not in ("build/", "install/")
    ]
    assert not missing


def test_the_maps_have_the_parts_in_the_rows_of_the_import_test():
    text = (ROOT / "test" / "test_imports.py").read_text()
    [table] = re.findall(r"^ROWS = \((.*?)^\)", text, re.MULTILINE | re.DOTALL)
    rows = [set(re.findall(r'"(\w+)"', row)) & _parts() for row in table.strip().splitlines()]
    design = (ROOT / "docs" / "design.md").read_text()
    section = design.split("## Who may import whom")[1].split("\n## ")[0]
    first_cells = re.sub(r"^(\| \d+ \|[^|]*\|).*$", r"\1", section, flags=re.MULTILINE)
    assert _rows(first_cells, re.compile(r"`(\w+)`")) == rows
    docstring = (PACKAGE / "__init__.py").read_text().split('"""')[1]
    names = re.sub(r"(\s\d+ .*?)\s{3,}\S.*$", r"\1", docstring, flags=re.MULTILINE)
    assert _rows(names, re.compile(r"[a-z]+")) == rows
