# SPDX-License-Identifier: Apache-2.0
"""Arguments of `yolact-ros bench node`; what it measures is tested in test/ros."""

import subprocess
import sys

import pytest

from yolact_ros.cli import bench_node
from yolact_ros.cli.main import build_parser

NODE = ["bench", "node"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cameras", "0"], "--cameras: expected an integer from 1 to 64, got '0'"),
        (
            ["--image-size", "480"],
            "--image-size: expected WIDTHxHEIGHT of 32 to 4096 pixels each, such as 1280x720, got",
        ),
        (["--image-size", "64x8"], "--image-size: expected WIDTHxHEIGHT of 32 to 4096 pixels each"),
        (["--image-size", "64x4097"], "--image-size: expected WIDTHxHEIGHT of 32 to 4096 pixels"),
        (
            ["--cameras", "3", "--image-size", "64x48", "128x96"],
            "image_size: expected 1 or 3 for 3 cameras, got 2",
        ),
        (["--rate", "5", "10"], "rate: expected 1 or 1 for 1 cameras, got 2"),
        (["--rate", "0"], "--rate: expected a number from 0.1 to 240, got '0'"),
        (["--rate", "nan"], "--rate: expected a number from 0.1 to 240, got 'nan'"),
        (["--transport", "theora"], "--transport: invalid choice: 'theora' (choose from"),
        (["--reliability", "maybe"], "--reliability: invalid choice: 'maybe' (choose from"),
        (["--seconds", "0"], "--seconds: expected a number from 1 to 3600, got '0'"),
        (["--warm-up", "-1"], "--warm-up: expected a number from 0 to 3600, got '-1'"),
        (["--rounds", "0"], "--rounds: expected an integer of 1 or more, got '0'"),
        (["--domain-id", "500"], "--domain-id: expected an integer from 0 to 232, got '500'"),
        (["--compare"], "compare: expected 2 or more cameras, got 1"),
        (["--storm", "1"], "--storm: expected a number from 4 to 86400, got '1'"),
        (["--soak", "long"], "--soak: expected a number from 4 to 86400, got 'long'"),
        (["--seed", "-1"], "--seed: expected an integer of 0 or more, got '-1'"),
        (["--storm", "--soak"], "storm: expected it without soak, got both"),
        (
            ["--cameras", "2", "--soak", "--compare"],
            "soak: expected it without compare, got both",
        ),
        (["--storm", "9", "--rounds", "2"], "rounds: expected 1 with storm, got 2"),
        (["--parameter", "max_rate=3"], "--parameter: expected NAME:=VALUE, got 'max_rate=3'"),
        (
            ["--preset", "yolact_demo", "--parameter", "preset:=yolact_base"],
            "--parameter: expected each name once, got preset again",
        ),
    ],
)
def test_wrong_values_are_refused_in_one_line(arguments, message, refused):
    status, line = refused(*NODE, *arguments)
    program, _, rest = line.partition(": ")
    assert rest.startswith(message)
    assert (program, status) in {("yolact-ros bench node", 2), ("yolact-ros", 1)}


@pytest.mark.parametrize("missing", ["rclpy", "yolact_ros.msg"])
def test_without_ros_it_says_so_in_one_line(missing):
    code = f"""
import sys
from yolact_ros.cli.main import main
sys.modules[{missing!r}] = None
sys.exit(main({NODE}))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr == (
        "yolact-ros: bench node: expected a sourced ROS 2 with this package built in it, found no "
        f"{missing}\n"
    )


def test_the_node_s_parameters(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "it's.pth").touch()
    arguments = build_parser().parse_args(
        [
            *NODE,
            "--preset",
            "yolact_base",
            "--weights",
            "it's.pth",
            "--score-threshold",
            "0.3",
            "--device",
            "cuda:1",
            "--parameter",
            "max_rate:=5.0",
            "--parameter",
            "classes:=[cup, fork]",
        ]
    )
    assert bench_node._parameters(arguments) == {
        "preset": "yolact_base",
        "device": "cuda:1",
        "score_threshold": "0.3",
        "weights": f"'{tmp_path}/it''s.pth'",
        "max_rate": "5.0",
        "classes": "[cup, fork]",
    }
    assert bench_node._parameters(build_parser().parse_args(NODE)) == {}
