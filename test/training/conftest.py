# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
from pathlib import Path

import pytest

from yolact_ros.cli.main import main

COMMAND = [sys.executable, "-m", "yolact_ros.cli.main", "train"]


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """A data set of six small synthetic scenes."""
    folder = tmp_path_factory.mktemp("sets") / "scenes"
    size = ["--image-size", "160x120"]
    assert main(["dataset", "synth", str(folder), "--images", "6", "--seed", "3", *size]) == 0
    return folder


@pytest.fixture(scope="session")
def arguments(scenes):
    """Makes the arguments of `yolact-ros train` for a short run on `scenes`."""

    def make(out: Path, *more: str, data: Path = scenes) -> list[str]:
        files = [str(data / "annotations.json"), str(data / "images")]
        return [
            *("--preset", "yolact_demo", "--recipe", "short", "--out", str(out)),
            *("--train", files[0], "--train-images", files[1]),
            *("--val", files[0], "--val-images", files[1]),
            *("--device", "cpu", "--precision", "fp32", "--threads", "1", "--input-size", "96"),
            *more,
        ]

    return make


@pytest.fixture(scope="session")
def train(arguments):
    """Runs `yolact-ros train` in a process of its own, to its end."""

    def run(out: Path, *more: str) -> str:
        result = subprocess.run(
            [*COMMAND, *arguments(out, *more)],
            capture_output=True,
            text=True,
            cwd=out.parent,  # `-m` would take the source tree in the checkout
            timeout=300,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    return run
