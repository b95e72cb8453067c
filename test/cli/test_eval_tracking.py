# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros eval tracking` on a few scenes."""

import json
import sys

import pytest

from yolact_ros.cli.main import main
from yolact_ros.evaluation.tracking import report
from yolact_ros.evaluation.tracking.report import TrackingSettings, scene_count
from yolact_ros.scenes import SEEDS


@pytest.mark.slow
def test_it_prints_tables_and_writes_them(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(report, "_LANE_SECONDS", 3)
    monkeypatch.setattr(report, "_DEMO_SECONDS", 1)
    words = ["--scenes", "1", "--demo-scenes", "1", "--cuts", "2", "--seed", "10950"]
    folder = tmp_path / "out"
    options = ["--device", "cpu", "--quiet", "--out", str(folder)]
    assert main(["eval", "tracking", *words, *options]) == 0
    printed = capsys.readouterr().out
    tables, _, rest = printed.partition("\n\nreport in ")
    assert rest == f"{folder / 'tables.md'}\n"
    assert (folder / "tables.md").read_text() == f"{tables}\n"
    assert "2 cuts: 2 seen, 0 detections with a number from before" in tables
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["command"].startswith("yolact-ros eval tracking --scenes 1")
    assert metrics["figures"]["lanes, true, yolact_ros"]["idf1"] > 0.9


def test_the_seeds_are_those_of_figures():
    settings = TrackingSettings()
    assert settings.seed == SEEDS["figures"].start
    assert settings.seed + scene_count(settings) < SEEDS["figures"].stop


def test_a_missing_package_is_named(monkeypatch, refused):
    monkeypatch.setitem(sys.modules, "motmetrics", None)
    for name in ("report", "measure"):
        monkeypatch.delitem(sys.modules, f"yolact_ros.evaluation.tracking.{name}", raising=False)
    monkeypatch.delattr("yolact_ros.evaluation.tracking.report", raising=False)
    status, line = refused("eval", "tracking")
    assert status == 1 and "pip install -r requirements/tracking.txt" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--scenes", "0"], "--scenes: expected an integer of 1 or more, got '0'"),
        (["--cuts", "few"], "--cuts: expected an integer of 1 or more, got 'few'"),
        (["--seed", "-1"], "--seed: expected an integer of 0 or more, got '-1'"),
    ],
)
def test_wrong_arguments_give_one_line(refused, words, message):
    status, line = refused("eval", "tracking", *words)
    assert status == 2 and message in line
