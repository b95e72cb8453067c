# SPDX-License-Identifier: Apache-2.0
"""Finds what the machine has: a sourced ROS 2, a Python that fits, a compiler."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bootstrap.steps import PackagesMissing, SetupError, Steps

PYTHONS_OF_THE_WHEELS = ((3, 10), (3, 11), (3, 12), (3, 13))
"""The versions of CPython that the ROS 2 wheels exist for."""

DISTRIBUTIONS_OF_THE_WHEELS = ("jazzy", "kilted")
"""The ROS 2 distributions that there are wheels of, the usual one first."""

_DESCRIBE = """
import json, os, sys, sysconfig
try:
    import ensurepip
except ImportError:
    ensurepip = None
found = {
    "executable": sys.executable,
    "version": list(sys.version_info[:3]),
    "header": os.path.join(sysconfig.get_paths()["include"], "Python.h"),
    "prefix": sys.base_prefix,
    "venv": ensurepip is not None,
}
print(json.dumps(found))
"""

_FIND_RCLPY = """
import sys, rclpy
inside = sys.prefix != sys.base_prefix and rclpy.__file__.startswith(sys.prefix + "/")
print("environment" if inside else "system")
"""


@dataclass(frozen=True)
class Python:
    """An interpreter on this machine.

    Attributes:
        executable: Its path.
        version: Major, minor, micro.
        header: Where its Python.h is, or would be.
        prefix: Its installation: /usr for the system's own.
        has_venv: Whether it can make virtual environments.
    """

    executable: str
    version: tuple[int, ...]
    header: Path
    prefix: str
    has_venv: bool

    @property
    def name(self) -> str:
        """For example "3.12"."""
        return f"{self.version[0]}.{self.version[1]}"


def describe_python(executable: str) -> Python | None:
    """Asks an interpreter what it is; None if there is no such one or it does not run."""
    path = shutil.which(executable)
    if path is None:
        return None
    result = subprocess.run([path, "-c", _DESCRIBE], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        return None
    found = json.loads(result.stdout)
    return Python(
        executable=found["executable"],
        version=tuple(found["version"]),
        header=Path(found["header"]),
        prefix=found["prefix"],
        has_venv=found["venv"],
    )


def sourced_ros() -> str | None:
    """The name of the ROS 2 distribution that this shell has sourced, or None.

    One that a virtual environment holds, such as that of scripts/setup, does not count.

    Raises:
        SetupError: One is sourced, but python3 cannot import it.
    """
    distribution = os.environ.get("ROS_DISTRO", "")
    if not distribution and not os.environ.get("AMENT_PREFIX_PATH"):
        return None
    result = subprocess.run(
        ["python3", "-c", _FIND_RCLPY], capture_output=True, text=True, check=False
    )
    if result.returncode == 0:
        return (distribution or "of no name") if result.stdout.strip() == "system" else None
    if not distribution:
        return None
    reason = (result.stderr.strip().splitlines() or ["it was killed"])[-1]
    raise SetupError(
        f"ROS 2 {distribution} is sourced, but {shutil.which('python3')} cannot import its rclpy "
        f"({reason}).\nPut the python3 that this ROS 2 was built for first in PATH, or use a shell "
        "that has not sourced it."
    )


def distribution_of_the_wheels(ros: str | None) -> str:
    """The ROS 2 distribution that YOLACT_ROS_DISTRO asks for, or the usual one.

    Args:
        ros: The sourced one, which is used in the place of wheels.

    Raises:
        SetupError: There are no wheels of it, or another one is sourced.
    """
    wanted = os.environ.get("YOLACT_ROS_DISTRO", "")
    if ros is not None:
        if wanted not in ("", ros):
            raise SetupError(
                f"YOLACT_ROS_DISTRO asks for {wanted}, but ROS 2 {ros} is sourced. Use a shell "
                "that has not sourced it, or unset the variable."
            )
    elif wanted and wanted not in DISTRIBUTIONS_OF_THE_WHEELS:
        raise SetupError(
            f"YOLACT_ROS_DISTRO: expected {' or '.join(DISTRIBUTIONS_OF_THE_WHEELS)}, of which "
            f"there are wheels, got {wanted!r}. Others have to be installed and sourced."
        )
    return wanted or DISTRIBUTIONS_OF_THE_WHEELS[0]


def python_for_wheels() -> Python:
    """The interpreter to make the environment of: this one, else another that the wheels exist for.

    Raises:
        SetupError: None fits, or the machine is not one that the wheels exist for.
    """
    machine = f"{platform.system()} {platform.machine()}"
    if machine != "Linux x86_64":
        raise SetupError(
            f"The ROS 2 wheels exist for Linux x86_64, this is {machine}. Install ROS 2 from its "
            "packages, source it, and run this again."
        )
    names = [f"python{major}.{minor}" for major, minor in reversed(PYTHONS_OF_THE_WHEELS)]
    for executable in (sys.executable, *names):
        python = describe_python(executable)
        if python is not None and python.version[:2] in PYTHONS_OF_THE_WHEELS:
            return python
    raise SetupError(
        f"The ROS 2 wheels exist for Python 3.10 to 3.13, this is {platform.python_version()} and "
        "no other is in PATH. Install one of them (Debian, Ubuntu: python3.X and python3.X-venv), "
        "or ROS 2 itself and source it."
    )


def install_missing_tools(
    python: Python, steps: Steps, root: Path, agreed: bool, browser: bool = False
) -> None:
    """Installs the compiler, make and Python's headers through apt-get, where they are missing.

    Args:
        python: The interpreter whose headers are needed.
        steps: Tells the user what is done.
        root: The checkout.
        browser: Whether a Chromium is needed as well, for the tests of the page of `view`.
        agreed: Whether the user has agreed to it already. If not, whoever sits at a terminal is
            asked; without a terminal, root goes on, and others are told what to type.

    Raises:
        PackagesMissing: They are to be installed by the user.
        SetupError: Something is missing and cannot be installed from here; with what to do.
    """
    missing = _missing_packages(python, browser)
    if not missing:
        return
    if python.prefix != "/usr" and any(package.startswith("python") for package in missing):
        raise SetupError(
            f"{python.executable} lacks venv or its headers ({python.header}), and is not the "
            "system's own, so no package brings them. Use a complete Python 3.10 to 3.13."
        )
    if shutil.which("apt-get") is None:
        raise PackagesMissing(
            f"Missing, by Debian's names: {' '.join(missing)}. Install them and run this again."
        )
    by_hand = f"apt-get install {' '.join(missing)}"
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    if sudo and shutil.which("sudo") is None:
        raise PackagesMissing(
            f"Missing: {' '.join(missing)}. As root run\n    {by_hand}\nand then this again."
        )
    by_hand = " ".join([*sudo, by_hand])
    if not _may_install(missing, by_hand, agreed):
        raise PackagesMissing(
            f"Missing: {' '.join(missing)}. Run\n    {by_hand}\nand then this again, or "
            "let it do so with --yes."
        )
    if sudo and not _can_use_sudo():
        raise PackagesMissing(
            f"Missing: {' '.join(missing)}, and sudo asks for a password. In a terminal run\n"
            f"    {by_hand}\nand then this again."
        )
    apt_get = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    install = [*apt_get, "install", "-y", "--no-install-recommends", *missing]
    with steps.step(f"installing {' '.join(missing)}"):
        try:
            steps.run(install, os.environ, root)
        except SetupError:
            # a fresh machine has no package lists, or old ones
            steps.run([*apt_get, "update"], os.environ, root)
            steps.run(install, os.environ, root)
    still = _missing_packages(python, browser)
    if still:
        raise SetupError(
            f"After {by_hand} there is still missing: {' '.join(still)}. See {steps.log}."
        )


def _at_terminal() -> bool:
    """Whether somebody can read a question and answer it."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def _may_install(packages: Sequence[str], by_hand: str, agreed: bool) -> bool:
    if agreed:
        return True
    if not _at_terminal():
        return os.geteuid() == 0
    size = _size_to_download(packages)
    print(
        f"setup: this needs {' '.join(packages)} of the system{size}. Run `{by_hand}`? [y/N] ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _size_to_download(packages: Sequence[str]) -> str:
    """In words, for a sentence; empty where apt-get does not know it, as without package lists."""
    result = subprocess.run(
        ["apt-get", "-y", "--print-uris", "--no-install-recommends", "install", *packages],
        capture_output=True,
        text=True,
        check=False,
    )
    # 'http://.../make_4.3-4.1_amd64.deb' make_4.3-4.1_amd64.deb 395644 SHA256:...
    sizes = [int(size) for size in re.findall(r"^'[^']*' \S+ (\d+) ", result.stdout, re.MULTILINE)]
    if result.returncode != 0 or not sizes:
        return ""
    return f" ({max(1, round(sum(sizes) / 1e6))} MB to download, {len(sizes)} packages)"


def _can_use_sudo() -> bool:
    """Whether sudo needs no password now; at a terminal it asks for one first."""
    silent = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
    if silent.returncode == 0:
        return True
    return _at_terminal() and subprocess.run(["sudo", "-v"], check=False).returncode == 0


def _missing_packages(python: Python, browser: bool) -> list[str]:
    described = describe_python(python.executable)
    has_venv = described is not None and described.has_venv
    version = f"python{python.name}"
    # a system's own Python is python3 to the package manager, a second one goes by its version
    own = describe_python("/usr/bin/python3")
    if own is not None and own.version[:2] == python.version[:2]:
        version = "python3"
    wanted = {
        "g++": shutil.which("g++") is not None or shutil.which("c++") is not None,
        "make": shutil.which("make") is not None,
        f"{version}-dev": python.header.is_file(),
        f"{version}-venv": has_venv,
        "chromium": not browser or shutil.which("chromium") is not None,
    }
    return [package for package, present in wanted.items() if not present]
