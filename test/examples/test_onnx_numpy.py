# SPDX-License-Identifier: Apache-2.0
"""An exported file runs with NumPy, OpenCV and ONNX Runtime alone."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolact_ros.inference import Segmenter
from yolact_ros.scenes.scene import Scene

onnx = pytest.importorskip("onnx")

EXAMPLE = Path(__file__).parents[2] / "examples" / "onnx_numpy.py"

_RUN = """
import importlib.util, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "yolact_ros", "onnx", "PIL"):
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocker())
import cv2
import numpy as np

example, model, results, *images = sys.argv[1:]
spec = importlib.util.spec_from_file_location("onnx_numpy", example)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
found = module.Model(model)([cv2.imread(image) for image in images])
np.savez(results, **{f"{name}{i}": a for i, one in enumerate(found) for name, a in one.items()})
assert "torch" not in sys.modules
"""


@pytest.mark.parametrize(
    ("preset", "sizes"),
    [("yolact_demo", [(640, 480), (320, 400)]), ("small_plus", [(160, 120)])],
)
def test_numpy_assembles_the_masks_that_segmenter_does(exported, tmp_path, preset, sizes):
    network, path = exported(preset)
    images = [
        Scene.random(2_100_000 + number, width=width, height=height).frame(0.0).image[..., ::-1]
        for number, (width, height) in enumerate(sizes)
    ]
    files = [tmp_path / f"{number}.png" for number in range(len(images))]
    for file, image in zip(files, images, strict=True):
        cv2.imwrite(str(file), image)
    results = tmp_path / "results.npz"
    command = [sys.executable, "-c", _RUN, EXAMPLE, path, results, *files]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    segmenter = Segmenter(network=network, device="cpu", precision="fp32")
    with np.load(results) as arrays:
        for i, expected in enumerate(segmenter(images)):
            assert len(expected) >= 2
            np.testing.assert_array_equal(arrays[f"class_ids{i}"], expected.class_ids)
            np.testing.assert_allclose(arrays[f"scores{i}"], expected.scores, rtol=0, atol=1e-3)
            np.testing.assert_allclose(arrays[f"boxes{i}"], expected.boxes, rtol=0, atol=0.1)
            if expected.mask_scores is not None:
                np.testing.assert_allclose(
                    arrays[f"mask_scores{i}"], expected.mask_scores, rtol=0, atol=2e-3
                )
            for one, other in zip(arrays[f"masks{i}"], expected.masks, strict=True):
                assert (one & other).sum() >= 0.99 * (one | other).sum()


def test_the_example_is_a_program(exported, tmp_path):
    path = exported("yolact_demo").path
    image = Scene.random(2_100_000, width=640, height=480).frame(0.0).image
    cv2.imwrite(str(tmp_path / "image.png"), image)
    command = [sys.executable, EXAMPLE, path, tmp_path / "image.png", "--out", tmp_path / "out.png"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert " pixels" in result.stdout
    assert (cv2.imread(str(tmp_path / "out.png")) != image[..., ::-1]).any()
    model = onnx.load(path)
    [options] = [entry for entry in model.metadata_props if entry.key == "options"]
    model.metadata_props.remove(options)
    onnx.save(model, tmp_path / "raw.onnx")
    for wrong, message in (
        ([path, "none.png"], "cannot read none.png"),
        ([tmp_path / "raw.onnx", "none.png"], "without --raw, got "),
    ):
        result = subprocess.run([sys.executable, EXAMPLE, *wrong], capture_output=True, text=True)
        assert result.returncode == 2 and message in result.stderr
