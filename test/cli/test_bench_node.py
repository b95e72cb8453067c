# SPDX-License-Identifier: Apache-2.0
"""Arguments of `yolact-ros bench node`; what it measures is tested in test/ros."""

import pytest

from yolact_ros.cli import bench_node
from yolact_ros.cli.main import build_parser, main

NODE = ["bench", "node"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cameras", "0"], "cameras: expected 1 to 64, got 0"),
        (
            ["--image-size", "480"],
            "--image-size: expected WIDTHxHEIGHT in pixels, such as 1280x720, got",
        ),
        (["--image-size", "64x8"], "image_size: expected sides of 32 to 4096 pixels, got 64x8"),
        (
            ["--cameras", "3", "--image-size", "64x48", "128x96"],
            "image_size: expected 1 or 3 for 3 cameras, got 2",
        ),
        (["--rate", "5", "10"], "rate: expected 1 or 1 for 1 cameras, got 2"),
        (["--rate", "0"], "rate: expected 0.1 to 240 Hz, got 0.0"),
        (["--rate", "nan"], "rate: expected 0.1 to 240 Hz, got nan"),
        (["--transport", "theora"], "--transport: invalid choice: 'theora' (choose from"),
        (["--reliability", "maybe"], "--reliability: invalid choice: 'maybe' (choose from"),
        (["--seconds", "0"], "seconds: expected 1 to 3600, got 0.0"),
        (["--warm-up", "-1"], "warm_up: expected 0 to 3600 s, got -1.0"),
        (["--rounds", "0"], "rounds: expected 1 or more, got 0"),
        (["--topics", "instances,masks"], "topics: expected some of instances, detections"),
        (["--topics", ""], "topics: expected some of instances"),
        (["--topics", "overlay,overlay"], "topics: expected each once, got overlay,overlay"),
        (["--domain-id", "500"], "domain_id: expected 0 to 232, got 500"),
        (["--compare"], "compare: expected 2 or more cameras, got 1"),
        (["--parameter", "max_rate=3"], "--parameter: expected NAME:=VALUE, got 'max_rate=3'"),
        (
            ["--preset", "yolact_demo", "--parameter", "preset:=yolact_base"],
            "--parameter: expected each name once, got preset again",
        ),
        (
            ["--parameter", "cameras:=[a]"],
            "parameter: expected none of cameras, image_transport, autostart, which the "
            "measurement sets itself, got cameras",
        ),
    ],
)
def test_wrong_values_are_refused_in_one_line(arguments, message, refused):
    status, line = refused(*NODE, *arguments)
    program, _, rest = line.partition(": ")
    assert rest.startswith(message)
    assert (program, status) in {("yolact-ros bench node", 2), ("yolact-ros", 1)}


@pytest.mark.parametrize("missing", ["rclpy", "yolact_ros.msg"])
def test_without_ros_it_says_so_in_one_line(missing, monkeypatch, capsys):
    monkeypatch.setattr(bench_node, "_is_there", lambda module: module != missing)
    assert main(NODE) == 1
    error = capsys.readouterr().err
    assert error == (
        "yolact-ros: bench node: expected a sourced ROS 2 with this package built in it, found no "
        f"{missing}\n"
    )


def test_what_is_there_and_what_is_not():
    assert bench_node._is_there("json.tool")
    assert not bench_node._is_there("no_such_module")
    assert not bench_node._is_there("no_such_package.msg")


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
