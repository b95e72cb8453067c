# SPDX-License-Identifier: Apache-2.0
"""Lists of files that were tried: scripts/lock writes them, scripts/setup installs them.

python3.12.txt has what all ROS 2 distributions need, python3.12-jazzy.txt what Jazzy adds to it.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bootstrap.machine import Python

_HEADER = re.compile(r"# CPython \S+, Linux x86_64, glibc (\d+)\.(\d+) or newer: (\S+ GB) in ")
_WITHOUT_VERSION = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
"""The C library that a wheel needs whose name has the old form."""


@dataclass(frozen=True)
class Lock:
    """Lists of files that fit this machine.

    Attributes:
        files: For pip's option -r.
        size: Of all that is to be downloaded, such as "3.1 GB".
    """

    files: tuple[Path, ...]
    size: str


def lock_files(root: Path, python: Python, distribution: str) -> tuple[Path, Path]:
    """Where the lists of an interpreter are, if there are any: of all, and of a distribution."""
    folder = root / "requirements" / "lock"
    return folder / f"python{python.name}.txt", folder / f"python{python.name}-{distribution}.txt"


def find_lock(root: Path, python: Python, distribution: str) -> Lock | None:
    """The lists for an interpreter on this machine; None: there are none that fit."""
    files = lock_files(root, python, distribution)
    library, version = platform.libc_ver()
    there = all(file.exists() for file in files)
    header = _HEADER.match(files[0].read_text()) if there else None
    if header is None or library != "glibc":
        return None
    needed = (int(header[1]), int(header[2]))
    if tuple(int(number) for number in version.split(".")[:2]) < needed:
        return None
    return Lock(files, header[3])


def lock_texts(
    reports: Mapping[str, Mapping], sizes: Mapping[str, int], python: str
) -> tuple[str, dict[str, str]]:
    """Writes lists of what pip would install.

    Args:
        reports: Of `pip install --dry-run --report`, by ROS 2 distribution.
        sizes: Bytes of each file, by its address.
        python: Version of the interpreter, such as "3.12".

    Returns:
        What all distributions need, with the header, and what each adds to it.
    """
    lines = {name: _lines(report) for name, report in reports.items()}
    shared = set.intersection(*map(set, lines.values()))
    names = {url.rpartition("/")[2] for each in lines.values() for url in each.values()}
    glibc = max([(2, 17), *map(needed_glibc, names)])
    size = max(sum(sizes[url] for url in each.values()) for each in lines.values())
    header = (
        f"# CPython {python}, Linux x86_64, glibc {glibc[0]}.{glibc[1]} or newer: "
        f"{size / 1e9:.1f} GB in {max(map(len, lines.values()))} files. Made by scripts/lock.\n"
    )
    own = {name: _text(set(each) - shared) for name, each in lines.items()}
    return header + _text(shared), own


def _lines(report: Mapping) -> dict[str, str]:
    """The line of each file, and its address."""
    found = {}
    for each in report["install"]:
        download, metadata = each["download_info"], each["metadata"]
        digest = download["archive_info"]["hashes"]["sha256"]
        line = f"{metadata['name']}=={metadata['version']} --hash=sha256:{digest}"
        found[line] = download["url"]
    return found


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in sorted(lines, key=str.lower))


def too_new(report: Mapping, python: str) -> list[str]:
    """Constraints against what pip chose and the first release of a Python's version cannot have.

    The same list serves all of them, and Debian's Python 3.11 is 3.11.2.

    Args:
        report: Of `pip install --dry-run --report`.
        python: Version of the interpreter, such as "3.12".
    """
    # not for scripts/setup, whose interpreter may lack it
    from packaging.specifiers import SpecifierSet

    metadata = [each["metadata"] for each in report["install"]]
    return [
        f"{each['name']}<{each['version']}"
        for each in metadata
        if not SpecifierSet(each.get("requires_python", "")).contains(f"{python}.0")
    ]


def needed_glibc(name: str) -> tuple[int, int]:
    """The oldest C library that a file, by its name, runs with; (0, 0): any."""
    found = [(int(a), int(b)) for a, b in re.findall(r"manylinux_(\d+)_(\d+)_x86_64", name)]
    found += [version for tag, version in _WITHOUT_VERSION.items() if f"{tag}_x86_64" in name]
    return min(found, default=(0, 0))
