# SPDX-License-Identifier: Apache-2.0
import os
import runpy
import struct
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest


@pytest.fixture
def shared_golden():
    """The folder of reference outputs beside the checkout."""
    folder = Path(__file__).parents[2] / "shared" / "golden"
    if not folder.is_dir():
        pytest.skip("no reference outputs beside this checkout (../shared/golden)")
    return folder


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
    """Exports the network of a preset once: `exported("yolact_demo")` with the shipped weights,
    others with those of test/golden."""
    folder = tmp_path_factory.mktemp("exported")
    made: dict[str, Exported] = {}

    def export(preset: str) -> Exported:
        from yolact_ros.export import export_network
        from yolact_ros.inference import load_network
        from yolact_ros.network import build_network

        runtime = pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
        if preset not in made:
            if preset == "yolact_demo":
                network = load_network(preset)
            else:
                network = fill_with_recipe(build_network(preset))
            version = tuple(map(int, runtime.__version__.split(".")[:2]))
            if network.preset.mask_iou and version < (1, 25):
                pytest.skip(f"onnxruntime {runtime.__version__} has no DeformConv")
            export_network(network, folder / f"{preset}.onnx", check=False)
            made[preset] = Exported(network, folder / f"{preset}.onnx")
        return made[preset]

    return export


def fill_with_recipe(network):
    """A network with the weights that the reference outputs were made with; in evaluation mode."""
    import torch

    recipe = runpy.run_path(str(Path(__file__).parent / "golden" / "fill_weights.py"))
    entries = [[name, list(value.shape), ""] for name, value in network.state_dict().items()]
    filled = recipe["fill_state"](entries, network.preset.name)
    network.load_state_dict({name: torch.from_numpy(np.array(v)) for name, v in filled.items()})
    return network.eval()


@pytest.fixture(scope="session")
def assert_same_instances():
    """Compares what two engines found in an image, whose arithmetic rounds differently."""

    def check(found, expected, *, least: int = 1) -> None:
        assert len(found) == len(expected) >= least
        np.testing.assert_array_equal(found.class_ids, expected.class_ids)
        assert found.class_names == expected.class_names
        np.testing.assert_allclose(found.scores, expected.scores, rtol=0, atol=1e-4)
        np.testing.assert_allclose(found.boxes, expected.boxes, rtol=0, atol=0.05)
        assert (found.mask_scores is None) == (expected.mask_scores is None)
        if found.mask_scores is not None:
            np.testing.assert_allclose(found.mask_scores, expected.mask_scores, rtol=0, atol=1e-3)
        for one, other in zip(found.masks, expected.masks, strict=True):
            assert (one & other).sum() >= 0.99 * (one | other).sum()

    return check
