# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros dataset` as it is run."""

import json
from pathlib import Path

import pytest

from yolact_ros import __version__
from yolact_ros.cli.main import main
from yolact_ros.data.objects import EXTRA_KINDS
from yolact_ros.presets import DEMO_CLASSES


def test_synth_writes_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "set"
    command = ["dataset", "synth", str(out), "--images", "3", "--seed", "5", "--width", "96"]
    command += ["--height", "64", "--workers", "2", "--quiet", "--classes", *EXTRA_KINDS]
    assert main(command) == 0
    content = json.loads((out / "annotations.json").read_text())
    assert (
        f"3 images of dumbbell, mushroom in {out / 'annotations.json'}" in capsys.readouterr().out
    )
    assert content["info"]["version"] == __version__
    assert [(c["id"], c["name"]) for c in content["categories"]] == [
        (1, "dumbbell"), (2, "mushroom")
    ]  # fmt: skip
    assert {a["category_id"] for a in content["annotations"]} <= {1, 2}
    assert sorted(p.name for p in (out / "depth").iterdir()) == [
        image["file_name"] for image in content["images"]
    ]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert error == f"yolact-ros: {out}: expected an empty folder or none, got one with files\n"


def test_the_help_of_synth_names_all_classes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["dataset", "synth", "--help"])
    words = capsys.readouterr().out.replace(",", " ").replace(")", " ").replace("(", " ").split()
    assert {*DEMO_CLASSES, *EXTRA_KINDS} <= set(words)
