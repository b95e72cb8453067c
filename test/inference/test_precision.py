# SPDX-License-Identifier: Apache-2.0
"""What fewer bits do to the masks, with trained weights."""

import pytest

from yolact_ros.datasets.coco import read_dataset
from yolact_ros.inference import Segmenter, shipped_weights
from yolact_ros.inference.gpu.path import GpuPath
from yolact_ros.presets import get_preset
from yolact_ros.scenes.synth_set import SynthSet

pytestmark = pytest.mark.skipif(
    shipped_weights(get_preset("yolact_demo")) is None,
    reason="this checkout has no trained weights",
)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    annotations = SynthSet(images=4, seed=1_002_000).write(folder, workers=1, version="test")
    dataset = read_dataset(annotations, folder / "images")
    return [dataset.read_image(image) for image in dataset.images]


def mask_ious(expected, found):
    """Of each instance above the threshold, with the one of its class that overlaps it most."""
    return [
        max(
            (
                (one & other).sum() / (one | other).sum()
                for other, label in zip(found.masks, found.class_ids, strict=True)
                if label == wanted
            ),
            default=0.0,
        )
        for one, wanted in zip(expected.masks, expected.class_ids, strict=True)
        if one.any()
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.999), ("fp16", 0.98), ("bf16", 0.98)])
def test_masks_of_matched_instances(images, precision, least):
    plain = Segmenter(device="cpu", precision="fp32", score_threshold=0.3)
    other = Segmenter(device="cpu", precision=precision, score_threshold=0.25, make_path=GpuPath)
    ious = []
    for image in images:
        [expected], [found] = plain(image, "rgb"), other(image, "rgb")
        ious += mask_ious(expected, found)
    assert len(ious) > 10
    assert min(ious) >= least
