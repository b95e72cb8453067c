# SPDX-License-Identifier: Apache-2.0
"""Builds the package with colcon, and a vision_msgs where the machine has none."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from bootstrap.environment import Environment
from bootstrap.steps import SetupError, Steps

PACKAGE = "yolact_ros"
_BUILT = (PACKAGE, "vision_msgs")
_FOLDERS = ("build", "install")


class Workspace:
    """The folders build/ and install/ of a checkout.

    Args:
        root: The checkout.
        environment: What it is built with.
    """

    def __init__(self, root: Path, environment: Environment) -> None:
        self._root = root
        self._environment = environment
        self._stamp = root / "build" / "built_with.json"

    def build(self, steps: Steps) -> None:
        """Builds what has changed; takes seconds when nothing has.

        Raises:
            SetupError: colcon fails, or the package was built here by somebody else.
        """
        sources = ["."] if self._has_vision_msgs() else [".", "overlay"]
        identity = {
            "environment": str(self._environment.folder),
            "ros": self._environment.ros,
            "sources": sources,
        }
        if not self._stamp.exists() or json.loads(self._stamp.read_text()) != identity:
            self._remove_builds()
            self._stamp.parent.mkdir(exist_ok=True)
            self._stamp.write_text(json.dumps(identity) + "\n")
        self._remove_deleted_modules()
        command: list[str | Path] = [
            *("colcon", "build", "--base-paths", *sources, "--cmake-args"),
            *(f"-DPython3_EXECUTABLE={self._environment.python}", "-DBUILD_TESTING=ON"),
        ]
        if self._environment.ros is None:
            command.append(f"-DCMAKE_PREFIX_PATH={self._environment.folder}")
        with steps.step("building messages and package"):
            steps.run(command, self._environment.variables, self._root)

    def _remove_builds(self) -> None:
        """CMake keeps the paths of the environment that it saw first.

        What else was built into these folders stays.
        """
        builds = [self._root / folder / name for folder in _FOLDERS for name in _BUILT]
        there = [build for build in builds if build.exists()]
        if there and not self._stamp.exists():
            raise SetupError(
                f"{there[0]} was not made by this script, which deletes nothing of others. Move "
                f"the folders {' and '.join(_FOLDERS)} of {self._root} away, or delete them, and "
                "run this again."
            )
        for build in there:
            shutil.rmtree(build)

    def _has_vision_msgs(self) -> bool:
        """Whether there is one already, other than this checkout's own overlay."""
        own = self._root / "install"
        prefixes = self._environment.variables.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
        return any(
            (Path(prefix) / "share" / "vision_msgs" / "package.xml").exists()
            for prefix in prefixes
            if prefix and own not in Path(prefix).parents
        )

    def _remove_deleted_modules(self) -> None:
        """CMake installs new files but never takes old ones away."""
        # site-packages or dist-packages, at a depth that depends on the distribution
        for package in self._root.glob(f"install/{PACKAGE}/**/*-packages/{PACKAGE}"):
            for file in package.rglob("*"):
                relative = file.relative_to(package)
                generated = relative.parts[0] == "msg"
                source = self._root / PACKAGE / relative
                if relative.suffix == ".py" and not generated and not source.exists():
                    file.unlink()
