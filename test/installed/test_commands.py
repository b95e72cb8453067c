# SPDX-License-Identifier: Apache-2.0
"""The installed programs, run as users run them: from a folder of theirs, with the default options.

The worker processes of `dataset synth` and `train` import the program again.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from ament_index_python.packages import get_package_prefix

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PREFIX = Path(get_package_prefix("yolact_ros"))
PROGRAMS = PREFIX / "lib" / "yolact_ros"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The user's folder."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def yolact_ros(folder):
    """Runs what `ros2 run yolact_ros yolact-ros` starts; returns what it printed."""
    # where other processes want the cores, threads that wait for each other take minutes
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def run(*words):
        result = subprocess.run(
            [PROGRAMS / "yolact-ros", *words],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        assert "Traceback" not in result.stderr
        return result.stdout

    return run


@pytest.fixture(scope="module")
def scenes(yolact_ros, folder):
    size = ("--image-size", "160x120")
    yolact_ros("dataset", "synth", "scenes", "--images", "4", *size)
    assert len(list((folder / "scenes" / "images").iterdir())) == 4
    return ("scenes/annotations.json", "scenes/images")


@pytest.fixture(scope="module")
def trained(yolact_ros, folder, scenes):
    annotations, images = scenes
    yolact_ros(
        *("train", "--preset", "yolact_demo", "--recipe", "short", "--out", "run"),
        *("--train", annotations, "--train-images", images),
        *("--val", annotations, "--val-images", images),
        *("--max-steps", "2", "--batch-size", "2"),
    )
    assert (folder / "run" / "best.safetensors").exists()
    return ("--weights", "run/best.safetensors")


def test_dataset(yolact_ros, scenes):
    annotations, images = scenes
    assert "no problems" in yolact_ros("dataset", "check", annotations, "--images", images)


def test_eval(yolact_ros, folder, scenes, trained):
    annotations, images = scenes
    data = ("--annotations", annotations, "--images", images)
    yolact_ros("eval", *data, *trained, "--out", "report")
    assert "mask" in json.loads((folder / "report" / "metrics.json").read_text())
    assert (folder / "report" / "index.html").exists()


def test_predict(yolact_ros, folder, scenes, trained):
    _, images = scenes
    yolact_ros("predict", images, *trained)
    pictures = sorted((folder / "predictions").glob("*.png"))
    assert [cv2.imread(str(picture)).shape for picture in pictures] == [(120, 160, 3)] * 4


def test_export(yolact_ros, folder, trained):
    pytest.importorskip("onnxscript")
    yolact_ros("export", *trained, "--out", "demo.onnx")
    assert (folder / "demo.onnx").stat().st_size > 100_000


def test_bench(yolact_ros, trained):
    size = ("--image-size", "160x120", "--frames", "3")
    printed = yolact_ros("bench", *trained, *size)
    assert "network" in printed and "publish" in printed


@pytest.mark.parametrize(
    "program",
    [
        *(PROGRAMS / name for name in ("yolact-ros", "yolact_node", "demo_camera")),
        PREFIX / "bin" / "yolact-ros",
    ],
    ids=lambda program: f"{program.parent.name}/{program.name}",
)
def test_a_worker_that_imports_the_program_does_not_start_it(program, tmp_path):
    again = "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__mp_main__'); print('done')"
    result = subprocess.run(
        [sys.executable, "-c", again, program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr
