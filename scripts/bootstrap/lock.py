# SPDX-License-Identifier: Apache-2.0
"""Lists of files that were tried: scripts/lock writes them, scripts/setup installs them."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bootstrap.machine import Python

_HEADER = re.compile(r"# CPython \S+, Linux x86_64, glibc (\d+)\.(\d+) or newer: (\S+ GB) in ")
_WITHOUT_VERSION = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
"""The C library that a wheel needs whose name has the old form."""


@dataclass(frozen=True)
class Lock:
    """A list of files that fits this machine.

    Attributes:
        file: For pip's option -r.
        size: Of all that is to be downloaded, such as "3.1 GB".
    """

    file: Path
    size: str


def lock_file(root: Path, python: Python) -> Path:
    """Where the list of an interpreter is, if there is one."""
    return root / "requirements" / "lock" / f"python{python.name}.txt"


def find_lock(root: Path, python: Python) -> Lock | None:
    """The list for an interpreter on this machine; None: there is none that fits."""
    file = lock_file(root, python)
    library, version = platform.libc_ver()
    header = _HEADER.match(file.read_text()) if file.exists() else None
    if header is None or library != "glibc":
        return None
    needed = (int(header[1]), int(header[2]))
    if tuple(int(number) for number in version.split(".")[:2]) < needed:
        return None
    return Lock(file, header[3])


def lock_text(report: Mapping, sizes: Mapping[str, int], python: str) -> str:
    """Writes a list of what pip would install.

    Args:
        report: Of `pip install --dry-run --report`.
        sizes: Bytes of each file, by its address.
        python: Version of the interpreter, such as "3.12".
    """
    lines, glibc = [], (2, 17)
    for each in report["install"]:
        download, metadata = each["download_info"], each["metadata"]
        digest = download["archive_info"]["hashes"]["sha256"]
        lines.append(f"{metadata['name']}=={metadata['version']} --hash=sha256:{digest}")
        glibc = max(glibc, needed_glibc(download["url"].rpartition("/")[2]))
    size = sum(sizes[each["download_info"]["url"]] for each in report["install"])
    header = (
        f"# CPython {python}, Linux x86_64, glibc {glibc[0]}.{glibc[1]} or newer: "
        f"{size / 1e9:.1f} GB in {len(lines)} files. Made by scripts/lock.\n"
    )
    return header + "".join(f"{line}\n" for line in sorted(lines, key=str.lower))


def needed_glibc(name: str) -> tuple[int, int]:
    """The oldest C library that a file, by its name, runs with; (0, 0): any."""
    found = [(int(a), int(b)) for a, b in re.findall(r"manylinux_(\d+)_(\d+)_x86_64", name)]
    found += [version for tag, version in _WITHOUT_VERSION.items() if f"{tag}_x86_64" in name]
    return min(found, default=(0, 0))
