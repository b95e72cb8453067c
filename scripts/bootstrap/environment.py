# SPDX-License-Identifier: Apache-2.0
"""The virtual environment: made once, filled when the requirements change."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bootstrap.lock import Lock
from bootstrap.machine import Python, describe_python
from bootstrap.steps import SetupError, Steps

REQUIREMENTS = (
    *("core.txt", "train.txt", "onnx.txt", "openvino.txt", "quantize.txt", "bag.txt"),
    *("tracking.txt", "view.txt", "test.txt"),
)
"""Files of requirements/ that an environment is made of, beside a ROS 2."""
_PIP_INSTALL = (
    *("-m", "pip", "install", "--disable-pip-version-check", "--no-input"),
    # what is used is compiled when it is, most of PyTorch never
    *("--progress-bar", "off", "--no-compile"),
)
_STAMP = "yolact_ros_requirements.json"
_MARK = "yolact_ros.lock"
"""Is made before anything else in the folder: only where it is, the folder is ours."""
_ELSEWHERE = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")
"""Variables that would have pip install to another place."""

_SYSTEM_PACKAGES = """
import importlib, json
found = {}
for name in ("numpy", "cv2"):
    try:
        found[name] = getattr(importlib.import_module(name), "__version__", "")
    except ImportError:
        pass
print(json.dumps(found))
"""

_BUILD_FOLDERS = """
import json, sys, sysconfig, numpy
print(json.dumps([sysconfig.get_paths()["include"], numpy.get_include()]))
"""


def with_ros(distribution: str) -> tuple[str, ...]:
    """Files of requirements/ that an environment with a ROS 2 distribution in it is made of."""
    return (*REQUIREMENTS, "ros.txt", f"ros-{distribution}.txt")


class Environment:
    """A virtual environment with everything that the package needs.

    Args:
        folder: Where it is, or is to be made.
        ros: The sourced ROS 2 distribution that it stands beside; None: it holds a ROS 2 itself.
        root: The checkout.
        wheels: The distribution that it holds where none is sourced.
    """

    def __init__(self, folder: Path, ros: str | None, root: Path, wheels: str = "jazzy") -> None:
        self.folder = folder
        self.ros = ros
        self._root = root
        self._wheels = wheels
        self._stamp = folder / _STAMP
        self._mark = folder / _MARK

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables to run its programs with."""
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
        for name in _ELSEWHERE:
            variables.pop(name, None)
        variables["PIP_USER"] = "0"
        variables["VIRTUAL_ENV"] = str(self.folder)
        variables["PATH"] = f"{self.folder / 'bin'}{os.pathsep}{variables.get('PATH', '')}"
        if self.ros is None:
            # a built checkout that the caller has sourced must not count as a part of this one
            for name in ("COLCON_PREFIX_PATH", "PYTHONPATH"):
                variables.pop(name, None)
            variables["AMENT_PREFIX_PATH"] = str(self.folder)
            variables["CMAKE_PREFIX_PATH"] = str(self.folder)
        return variables

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other checkouts that share the environment from changing it at the same time.

        Raises:
            SetupError: Something stands there that scripts/setup did not make.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._mark.exists() and any(self.folder.iterdir()):
            raise SetupError(
                f"{self.folder} was not made by this script, which changes nothing in it. "
                "Give it another folder, which it makes: YOLACT_ROS_VENV=FOLDER in front of the "
                "command. Or move that one away."
            )
        with self._mark.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def is_complete(self) -> bool:
        """Whether it was filled with what the requirements say now."""
        try:
            return bool(json.loads(self._stamp.read_text())["requirements"] == self._fingerprint())
        except (OSError, ValueError, KeyError):
            return False

    def fill(self, python: Python, steps: Steps, lock: Lock | None) -> None:
        """Makes it if it is not there, and installs the requirements.

        Args:
            python: The interpreter to make it of.
            steps: Tells the user what is done.
            lock: The files to install; None: the newest that the requirements allow.

        Raises:
            SetupError: pip fails, what stands there is not a working environment, or it holds
                another ROS 2.
        """
        where = os.path.relpath(self.folder, self._root)
        where = str(self.folder) if where.startswith("..") else where
        if not (self.folder / "pyvenv.cfg").exists():
            options = ["--system-site-packages"] if self.ros else []
            with steps.step(f"making a virtual environment in {where}"):
                command = [python.executable, "-m", "venv", *options, str(self.folder)]
                steps.run(command, os.environ, self._root)
        found = describe_python(str(self.python))
        if found is None or found.version[:2] != python.version[:2]:
            raise SetupError(
                f"{self.folder} is no working environment of Python {python.name}. "
                "Delete it and run this again."
            )
        self._refuse_another_distribution()
        self._stamp.unlink(missing_ok=True)
        pip = [str(self.python), *_PIP_INSTALL]
        what = "what it needs beside ROS 2" if self.ros else "ROS 2 and PyTorch"
        size = lock.size if lock else "about 3 GB"
        with steps.step(f"installing {what} into {where}, {size} to download"):
            if lock:
                self._install_locked(lock, steps)
            else:
                steps.run([*pip, *self._pip_arguments()], self.variables, self._root)
            if not (self.folder / "bin" / "pytest").exists():
                # a pytest of the system would run with the system's Python
                steps.run([*pip, "--ignore-installed", "pytest"], self.variables, self._root)
        self._stamp.write_text(json.dumps({"requirements": self._fingerprint()}) + "\n")

    def repair_wheels(self) -> int:
        """Corrects paths in the ROS 2 wheels' CMake files that the machine had which built them.

        These are the folders of Python's and NumPy's headers. It is done before each build, as
        NumPy's folder is another one when its major version changes.

        Returns:
            The number of files that were changed.
        """
        include, numpy_include = json.loads(self._ask(_BUILD_FOLDERS))
        repairs = [
            (r"/[^;\"\s]*/include/python3\.\d+(?=[;\"\s])", include),
            (r"/[^;\"\s]*/numpy/(?:_core|core)/include", numpy_include),
        ]
        changed = 0
        for file in sorted(self.folder.glob("share/*/cmake/*.cmake")):
            text = file.read_text()
            repaired = text
            for pattern, path in repairs:
                repaired = re.sub(pattern, path.replace("\\", "\\\\"), repaired)
            if repaired != text:
                # another checkout's build may be reading it
                fresh = file.with_name(file.name + ".new")
                fresh.write_text(repaired)
                fresh.replace(file)
                changed += 1
        return changed

    def _install_locked(self, lock: Lock, steps: Steps) -> None:
        lists = [word for file in lock.files for word in ("-r", str(file))]
        command = [str(self.python), *_PIP_INSTALL, "--require-hashes", *lists]
        try:
            steps.run(command, self.variables, self._root)
        except SetupError as error:
            raise SetupError(
                f"{error}\n{' and '.join(map(str, lock.files))} name versions and files that were "
                "tried. Where your package index has others,\n    scripts/setup --unlocked\n"
                "installs the newest versions that requirements/*.txt allow."
            ) from error

    def _refuse_another_distribution(self) -> None:
        """The wheels of two would lie over each other."""
        if self.ros is not None:
            return
        packages = self.folder.glob("lib/python3*/site-packages/ros_*_rclpy-*.dist-info")
        others = {package.name.split("_")[1] for package in packages} - {self._wheels}
        if others:
            raise SetupError(
                f"{self.folder} holds a ROS 2 {others.pop()}, and {self._wheels} is asked for. "
                "Give each a folder of its own: YOLACT_ROS_VENV=FOLDER in front of the command."
            )

    def _pip_arguments(self) -> list[str]:
        folder = self._root / "requirements"
        if self.ros is None:
            return [word for name in with_ros(self._wheels) for word in ("-r", str(folder / name))]
        found = json.loads(self._ask(_SYSTEM_PACKAGES))
        lines = [line for name in REQUIREMENTS for line in _requirement_lines(folder / name)]
        if "cv2" in found:
            # the system's OpenCV has no record that pip could see
            lines = [line for line in lines if not line.startswith("opencv-python")]
        if "numpy" in found:
            # what the system's cv_bridge was built for, and what works with it: up to the next
            # major version, as Humble's 1.21 is too old for some
            major = int(found["numpy"].partition(".")[0])
            lines.append(f"numpy>={found['numpy']},<{major + 1}")
        if shutil.which("colcon", path=self.variables["PATH"]) is None:
            lines.append("colcon-common-extensions")
        return lines

    def _fingerprint(self) -> str:
        digest = hashlib.sha256(f"ROS 2 {self.ros}\n".encode())
        folder = self._root / "requirements"
        files = [folder / name for name in with_ros(self._wheels)]
        if self.ros is None:
            of_all = (folder / "lock").glob("python3.??.txt")
            files += sorted([*of_all, *(folder / "lock").glob(f"*-{self._wheels}.txt")])
        for file in files:
            digest.update(file.read_bytes())
        return digest.hexdigest()

    def _ask(self, code: str) -> str:
        result = subprocess.run(
            [self.python, "-c", code],
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise SetupError(
                f"{self.python} fails:\n{result.stderr}\nDelete {self.folder} and run this again."
            )
        return result.stdout


def _requirement_lines(file: Path) -> list[str]:
    lines = (line.strip() for line in file.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]
