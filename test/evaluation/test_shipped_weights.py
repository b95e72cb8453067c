# SPDX-License-Identifier: Apache-2.0
"""The weights in the repository are worth shipping."""

import pytest

from yolact_ros.checkpoints import read_metadata
from yolact_ros.datasets.coco import read_dataset
from yolact_ros.evaluation.evaluate import evaluate
from yolact_ros.inference import Segmenter, shipped_weights
from yolact_ros.presets import get_preset
from yolact_ros.scenes.synth_set import SynthSet

WEIGHTS = shipped_weights(get_preset("yolact_demo"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(WEIGHTS is None, reason="this checkout has no trained weights"),
]


def test_they_are_small_and_say_where_they_come_from():
    assert WEIGHTS.stat().st_size <= 8_000_000
    metadata = read_metadata(WEIGHTS)
    assert metadata["command"].startswith("yolact-ros train")
    assert len(metadata["revision"]) == 40  # and not "-dirty"
    assert float(metadata["mask_ap50"]) >= 0.97
    assert float(metadata["mask_ap"]) >= 0.85


def test_they_segment_unseen_scenes_as_well_as_they_claim(tmp_path):
    # Beyond the seeds of training and of the measured 300. The bounds leave room for the scatter of
    # 12 scenes with 72 objects (measured: AP 0.877, AP50 0.980, 70 right, 5 of 75 instances wrong).
    scenes = SynthSet(images=12, seed=1_001_000)
    annotations = scenes.write(tmp_path / "scenes", workers=1, version="test")
    dataset = read_dataset(annotations, tmp_path / "scenes" / "images")
    evaluation = evaluate(Segmenter(score_threshold=0.05), dataset)
    metadata = read_metadata(WEIGHTS)
    assert evaluation.mask.ap50 == pytest.approx(float(metadata["mask_ap50"]), abs=0.03)
    assert evaluation.mask.ap == pytest.approx(float(metadata["mask_ap"]), abs=0.04)
    assert evaluation.box.ap == pytest.approx(float(metadata["box_ap"]), abs=0.04)
    assert evaluation.operating_point.recall >= 0.93
    assert evaluation.operating_point.precision >= 0.88
    assert evaluation.operating_point.mean_iou >= 0.9
