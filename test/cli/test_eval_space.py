# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros eval space` on a scene of each set."""

import json

import cv2
import numpy as np
import pytest

from yolact_ros.choices import DEPTH_CAMERAS
from yolact_ros.cli.main import main
from yolact_ros.evaluation.space.sets import SpaceSettings, scene_count
from yolact_ros.scenes import DEPTH_MODELS, SEEDS


@pytest.mark.slow
def test_it_prints_tables_and_writes_them(tmp_path, capsys):
    words = ["--scenes", "1", "--seed", "10050", "--sensors", "real", "missing", "--device", "cpu"]
    assert main(["eval", "space", *words, "--out", str(tmp_path / "out"), "--quiet"]) == 0
    printed = capsys.readouterr().out
    tables, _, rest = printed.partition("\n\nreport in ")
    assert rest == f"{tmp_path / 'out' / 'tables.md'}\n"
    assert (tmp_path / "out" / "tables.md").read_text() == f"{tables}\n"
    for part in ("asked", "distance", "share that is seen", "kind", "mask", "depth camera"):
        assert f"\n| {part} " in f"\n{tables}" or f" {part} |" in tables
    for text in ("centre, true masks", "centre, network masks", "centre of a floating ring",
                 "centre behind a bottle that the mask touches", "| missing"):  # fmt: skip
        assert text in tables
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["command"].startswith("yolact-ros eval space --scenes 1")
    real = metrics["groups"]["depth camera"]["real"]
    assert real["true"]["recall"] == 1 and real["true"]["things"] == real["network"]["things"] > 2
    assert real["true"]["centre"]["median"] < 3 < real["true"]["naive"]["median"]
    assert len(metrics["bounds"]) == tables.split("\n\n")[0].count("\n") - 1
    picture = cv2.imread(str(tmp_path / "out" / "errors.png"))
    assert picture.shape[1] > 1000 and np.ptp(picture) == 255


def test_the_command_knows_the_cameras_and_the_seeds():
    assert tuple(DEPTH_MODELS) == DEPTH_CAMERAS
    settings = SpaceSettings()
    assert settings.seed == SEEDS["figures"].start
    assert settings.seed + scene_count(settings) < SEEDS["figures"].stop


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--scenes", "0"], 2, "--scenes: expected an integer of 1 or more, got '0'"),
        (["--seed", "-1"], 2, "--seed: expected an integer of 0 or more, got '-1'"),
        (["--sensors", "lidar"], 2, "--sensors: invalid choice: 'lidar'"),
        (["--weights", "nowhere.pth"], 2, "--weights: expected an existing file, got 'nowhere"),
        (["--classes", "teapot"], 1, "classes: expected names among ball"),
    ],
)
def test_wrong_arguments_give_one_line_before_anything_is_computed(
    tmp_path, refused, words, status, message
):
    refusal = refused("eval", "space", *words, "--out", tmp_path / "out")
    assert refusal[0] == status and message in refusal[1]
    assert not (tmp_path / "out").exists()


def test_without_a_part_a_data_set_is_needed(refused, tmp_path):
    status, line = refused("eval", "--out", tmp_path)
    assert status == 2
    assert line == (
        "yolact-ros eval: the following arguments are required: --annotations, --images; "
        "see yolact-ros eval --help"
    )
