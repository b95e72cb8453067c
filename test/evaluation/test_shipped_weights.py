# SPDX-License-Identifier: Apache-2.0
"""The weights in the repository are worth shipping."""

import json

import pytest

from yolact_ros.cli.main import main
from yolact_ros.evaluation.scenes import FIRST_UNSEEN_SEED, evaluate_scenes
from yolact_ros.inference import Segmenter
from yolact_ros.inference.segmenter import shipped_weights
from yolact_ros.network import read_metadata
from yolact_ros.presets import DEMO_CLASSES, get_preset

WEIGHTS = shipped_weights(get_preset("yolact_demo"))

pytestmark = pytest.mark.skipif(WEIGHTS is None, reason="this checkout has no trained weights")


def test_they_are_small_and_say_where_they_come_from():
    assert WEIGHTS.stat().st_size <= 8_000_000
    metadata = read_metadata(WEIGHTS)
    assert metadata["command"].startswith("yolact-ros train-demo ")
    assert len(metadata["revision"]) == 40  # and not "-dirty"
    assert float(metadata["mask_ap50"]) >= 0.75
    assert float(metadata["mask_ap"]) >= 0.45


def test_they_segment_unseen_scenes():
    # Not among the measured 300. So few scatter: hence the distance to the measured figures.
    seeds = range(FIRST_UNSEEN_SEED + 1000, FIRST_UNSEEN_SEED + 1012)
    metrics = evaluate_scenes(Segmenter(score_threshold=0.05), seeds)
    assert metrics.mask.ap50 >= 0.75
    assert metrics.mask.ap >= 0.45
    assert metrics.recall >= 0.8
    assert metrics.mean_iou >= 0.75


def test_the_command_prints_and_writes_figures(tmp_path, capsys):
    report = tmp_path / "deep" / "report.json"
    assert main(["eval-demo", "--scenes", "2", "--quiet", "--out", str(report)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("2 unseen scenes, ")
    assert all(name in printed for name in DEMO_CLASSES)
    written = json.loads(report.read_text())
    assert written["scenes"] == 2
    assert set(written["mask"]["ap_per_class"]) == set(DEMO_CLASSES)
    assert f"{written['mask']['ap']:7.3f}" in printed


def test_the_command_refuses_nothing_to_do(capsys):
    assert main(["eval-demo", "--scenes", "0"]) == 1
    assert capsys.readouterr().err == "yolact-ros: scenes: expected 1 or more, got 0\n"
