# SPDX-License-Identifier: Apache-2.0
"""What the guides name is there: links, headings, files, and the rows of imports."""

import re
from pathlib import Path

import pytest
from PIL import Image

from yolact_ros.cli.main import main

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "yolact_ros"
GUIDES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
README = ROOT / "README.md"
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
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


def _prose(guide: Path) -> str:
    """A guide without its blocks of code, whose brackets are no links."""
    return re.sub(r"```.*?```", "", guide.read_text(), flags=re.DOTALL)


def _anchors(guide: Path) -> set[str]:
    """What the headings of a guide are called in links, as GitHub makes it of their text."""
    headings = re.findall(r"^#+ +(.*?) *$", _prose(guide), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: str(guide.relative_to(ROOT)))
def test_links_lead_somewhere(guide):
    missing = []
    for link, anchor in LINK.findall(_prose(guide)):
        target = guide.parent / link if link else guide
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            missing.append(f"{link}#{anchor}" if anchor else link)
    assert not missing


def test_the_readme_is_short_and_its_picture_moves():
    assert len(README.read_text().split()) <= 900
    [name] = re.findall(r"!\[[^]]*\]\((.*?)\)", README.read_text())
    assert (ROOT / name).stat().st_size < 2_000_000
    with Image.open(ROOT / name) as picture:
        assert picture.n_frames > 24 and picture.info["loop"] == 0


def test_the_index_has_each_page_once():
    index = ROOT / "docs" / "README.md"
    listed = re.findall(r"^- \[.*?\]\((.*?)\): ", index.read_text(), re.MULTILINE)
    pages = {str(guide.relative_to(index.parent)) for guide in index.parent.glob("**/*.md")}
    assert sorted(listed) == sorted(pages - {"README.md"} | {"../CONTRIBUTING.md"})


def _python_blocks(guide: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", guide.read_text(), re.MULTILINE | re.DOTALL)


def test_the_readme_has_the_listener_of_the_guide():
    assert _python_blocks(ROOT / "docs" / "subscribe.md") == _python_blocks(README)[:1]


@pytest.mark.slow
def test_the_blocks_of_python_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    """Those of README.md and docs/python.md, with the pictures that both name."""
    guide = ROOT / "docs" / "python.md"
    command = re.compile(r"yolact-ros (dataset synth pictures .*?)(?:`|  )")
    [words] = {*command.findall(README.read_text()), *command.findall(guide.read_text())}
    monkeypatch.chdir(tmp_path)
    assert main([*words.split(), "--workers", "1"]) == 0
    capsys.readouterr()
    *blocks, with_supervision = _python_blocks(guide)  # which is no requirement
    assert "supervision." in with_supervision
    for block in (_python_blocks(README)[1:], blocks):
        names: dict[str, object] = {}
        exec("\n".join(block), names)
        assert len(capsys.readouterr().out.splitlines()) > 3


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


def _definitions(names: list[str], folder: Path) -> str:
    """The text of files and folders, whose names are relative to a folder or to the package."""
    paths = [path for name in names for path in (folder / name, PACKAGE / name) if path.exists()]
    files = [file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path])]
    return "\n".join(file.read_text() for file in files)


def _undefined(text: str, folder: Path) -> list[str]:
    """Names in a text (`name`, `Class.name`) that no file defines which it names as well."""
    files = re.findall(r"(?<![\w./])(?:[\w.]+/)*(?:\w+\.py|\w+/)(?!\w)", text)
    names = {name.split(".")[-1] for name in re.findall(r"`([A-Za-z_]\w*(?:\.(?!py`)\w+)?)`", text)}
    found = _definitions(files, folder)
    define = r"^ *(?:(?:def|class) {0}\b|{0}\b(?:: [^=\n]+)? =)"
    return [name for name in names if not re.search(define.format(name), found, re.MULTILINE)]


def test_functions_that_are_named_are_in_the_files_that_are_named_with_them():
    """Of the map in docs/design.md, by its rows, and of that of the node, by its lines."""
    table = (ROOT / "docs" / "design.md").read_text().split("## What is in the folders")[0]
    rows = [row.split("|")[2] for row in table.splitlines() if row.startswith("| W")]
    assert len(rows) > 20
    node = PACKAGE / "ros"
    docstring = (node / "__init__.py").read_text().split('"""')[1]
    docstring = docstring.partition("The other files")[0]
    path, _, rest = docstring.partition("The executor's thread")
    lines = path.replace("\n" + " " * 53, " ").splitlines()
    sentences = re.split(r"[.;] ", rest.replace("\n", " "))
    undefined = {row: _undefined(row, PACKAGE) for row in rows}
    undefined |= {
        line: _undefined(line, node) for line in [*lines, *sentences] if re.search(r"\.py|/", line)
    }
    assert not {text: names for text, names in undefined.items() if names}


def test_files_that_docstrings_of_folders_name_are_there():
    missing = []
    for init in PACKAGE.rglob("__init__.py"):
        for name in re.findall(r"(?<![\w*])[\w./]+\.py\b", init.read_text().split('"""')[1]):
            if not any((base / name).exists() for base in (init.parent, PACKAGE, ROOT)):
                missing.append(f"{init.relative_to(ROOT)}: {name}")
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
