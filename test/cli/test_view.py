# SPDX-License-Identifier: Apache-2.0
"""What `yolact-ros view` says when something is missing."""

import sys

import pytest

from yolact_ros.cli.main import main


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("aiohttp", "pip install -r requirements/view.txt"),
        ("yolact_ros.ros.view.watch", "view: expected a sourced ROS 2 with this package built"),
    ],
)
def test_what_is_missing_is_named(monkeypatch, capsys, module, said):
    pytest.importorskip("aiohttp")
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["view"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert said in line
