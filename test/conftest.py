# SPDX-License-Identifier: Apache-2.0
import fcntl
import os
import resource
import struct
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import numpy as np
import pytest

# A busy machine takes its time: what is slow is found by benchmarks, not by chance.
# Each run has the same examples; `--hypothesis-profile=explore` draws others.
hypothesis.settings.register_profile("yolact_ros", deadline=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None)
hypothesis.settings.load_profile("yolact_ros")

TEST = Path(__file__).parent
SLOW_FOLDERS = ("ros", "training", "cpp", "examples", "scripts")
"""What --fast leaves out, with the tests marked as slow: ROS, training, processes of their own."""


def pytest_addoption(parser):
    parser.addoption(
        "--fast",
        action="store_true",
        help=f"leave out test/{', test/'.join(SLOW_FOLDERS)} and the tests marked as slow",
    )
    parser.addoption(
        "--hostile",
        type=int,
        default=0,
        metavar="COUNT",
        help="hostile messages that test/ros/test_node_hostile.py sends; 0: a few",
    )
    parser.addoption(
        "--power-cuts",
        type=int,
        default=2,
        metavar="COUNT",
        help="copies of a running training's folder that test/training/test_resume.py resumes",
    )


def pytest_ignore_collect(collection_path, config):
    """Leave folders out before they are imported: test/ros needs rclpy."""
    if config.getoption("--fast") and collection_path in [TEST / name for name in SLOW_FOLDERS]:
        return True
    return None


def pytest_collection_modifyitems(config, items):
    if config.getoption("--fast"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


@pytest.fixture(scope="session", autouse=True)
def user_cache(tmp_path_factory):
    """What commands keep in the user's cache goes away with the tests."""
    with pytest.MonkeyPatch.context() as changes:
        changes.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def shared_golden():
    """The folder of reference outputs beside the checkout."""
    folder = Path(__file__).parents[2] / "shared" / "golden"
    if not folder.is_dir():
        pytest.skip("no reference outputs beside this checkout (../shared/golden)")
    return folder


@pytest.fixture
def files_end_at():
    """Limits the size of files, as a full disk does: what is beyond cannot be written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def mpeg4(monkeypatch):
    """Videos are written in MPEG-4: every OpenCV has it, it is quick, and it holds few rates."""
    from yolact_ros.recordings import video_writer

    worst = list(video_writer.codecs((1, 1)))[-1]
    monkeypatch.setattr(video_writer, "codecs", lambda size: [worst])


@pytest.fixture(scope="session")
def cpp_program() -> Callable[[str], Path]:
    """Finds an installed test program that was built from test/cpp by its name."""

    def find(name: str) -> Path:
        for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
            program = Path(prefix) / "lib" / "yolact_ros" / "test" / name
            if program.exists():
                return program
        pytest.skip(f"no {name} in AMENT_PREFIX_PATH: built with BUILD_TESTING=OFF, or not sourced")

    return find


@dataclass
class CppMask:
    """A mask as C++ decoded it: its place in the image, `pixels` (height, width) bool, area."""

    x_offset: int
    y_offset: int
    pixels: np.ndarray
    area: int


@dataclass
class CppInstances:
    """An InstanceArray as C++ decoded it, with its `instance_map` (image height, width) uint16."""

    masks: list[CppMask]
    instance_map: np.ndarray


@pytest.fixture(scope="session")
def decode_in_cpp(cpp_program) -> Callable[[Sequence[bytes]], list[CppInstances]]:
    """Decodes serialised InstanceArray messages in C++, with test/cpp/mask_decode_tool.cpp."""

    def decode(messages: Sequence[bytes]) -> list[CppInstances]:
        stream = b"".join(struct.pack("<I", len(data)) + bytes(data) for data in messages)
        program = cpp_program("mask_decode_tool")
        result = subprocess.run([program], input=stream, capture_output=True, timeout=120)
        assert result.returncode == 0, result.stderr.decode()
        output = memoryview(result.stdout)
        position = 0

        def take(count: int, kind: str) -> np.ndarray:
            nonlocal position
            values = np.frombuffer(output, kind, count, position)
            position += values.nbytes
            return values

        decoded = []
        while position < len(output):
            count, height, width = take(3, "<u4").tolist()
            masks = []
            for _ in range(count):
                x_offset, y_offset, columns, rows, area = take(5, "<u4").tolist()
                pixels = take(rows * columns, "u1").reshape(rows, columns).astype(bool)
                masks.append(CppMask(x_offset, y_offset, pixels, area))
            image = take(height * width, "<u2").reshape(height, width)
            decoded.append(CppInstances(masks, image))
        return decoded

    return decode


class Exported(NamedTuple):
    """A `Yolact` in evaluation mode and the ONNX file made of it."""

    network: Any
    path: Path


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> Callable[[str], Exported]:
    """Exports the network of a preset once, also for tests in another process of pytest-xdist:
    `exported("yolact_demo")` with the shipped weights, others with those of test/golden; and
    `exported("small_plus")` the small YOLACT++ of `yolact_testing.networks`."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    made: dict[str, Exported] = {}

    def export(preset: str) -> Exported:
        from yolact_ros.export import export_network
        from yolact_ros.inference import load_network
        from yolact_ros.network import build_network
        from yolact_testing.networks import fill_with_recipe, small_plus

        runtime = pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
        if preset not in made:
            if preset == "yolact_demo":
                network = load_network(preset)
            elif preset == "small_plus":
                network = small_plus()
            else:
                network = fill_with_recipe(build_network(preset))
            version = tuple(map(int, runtime.__version__.split(".")[:2]))
            if network.preset.mask_iou and version < (1, 25):
                pytest.skip(f"onnxruntime {runtime.__version__} has no DeformConv")
            path = folder / f"{preset}.onnx"
            with path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not path.exists():
                    export_network(network, path, check=False)
            made[preset] = Exported(network, path)
        return made[preset]

    return export
