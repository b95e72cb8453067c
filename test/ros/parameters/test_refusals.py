# SPDX-License-Identifier: Apache-2.0
"""Command lines that ROS itself refuses, and what the node says of them."""

import re

import pytest
from rclpy.context import Context

from yolact_ros.ros.parameters.refusals import refusal_in_words
from yolact_ros.ros.parameters.suggestions import unknown_parameters

HEAD = "yolact:\n  ros__parameters:\n"


def refusal(*arguments):
    with pytest.raises(Exception) as caught:
        Context().init(args=["node", "--ros-args", *arguments], initialize_logging=False)
    text = refusal_in_words(caught.value)
    assert "\n" not in text and not re.search(r"\.c:\d|rcl|lexeme|error not set", text)
    return text


@pytest.mark.parametrize(
    "arguments, text",
    [
        ("-r __ns:=/1a", "-r __ns:=/1a: expected a namespace such as __ns:=/robot"),
        ("-r __ns:=robot", "-r __ns:=robot: expected a namespace such as __ns:=/robot: it begins"),
        ("-r __node:=1a", "-r __node:=1a: expected a name such as __node:=yolact"),
        ("-r __node:=a/b", "-r __node:=a/b: expected a name such as __node:=yolact"),
        ("-r image:=/cam//image", "-r image:=/cam//image: expected FROM:=TO, .* no //"),
        ("-r image=/cam", "-r image=/cam: expected FROM:=TO, such as image:="),
        ("--remap image:=", "--remap image:=: expected FROM:=TO, such as image:="),
        ("-r", "-r: expected FROM:=TO, .* after it, got nothing"),
        ("-p nms=fast", "-p nms=fast: expected NAME:=VALUE, such as score_threshold:=0.3"),
        ("-p nms:=", "-p nms:=: expected NAME:=VALUE, such as"),
        (
            "-p classes:=[1,x]",
            r"-p classes:=\[1,x\]: the items .* different types; put .* in quotes",
        ),
        ("-p classes:=[a,", r"-p classes:=\[a,: expected a value in YAML, got brackets or quotes"),
        ("-p", "-p: expected NAME:=VALUE, .* after it, got nothing"),
        ("--log-level loud", "--log-level loud: expected one of debug, info, warn, error, fatal"),
        ("--log-level", "--log-level: expected one of debug, .* after it, got nothing"),
        ("image:=/cam", "image:=/cam: not an argument of ROS; expected -p NAME:=VALUE .* -r FROM"),
        ("--bogus -x", "--bogus, -x: not an argument of ROS"),
        ("--params-file", "--params-file: expected the path of a parameter file after it"),
    ],
)
def test_arguments(arguments, text):
    assert re.match(text, refusal(*arguments.split()))


@pytest.mark.parametrize(
    "content, text",
    [
        (HEAD + "    classes: [1, x]\n", "line 3: the items of a list are of different types"),
        (HEAD + "    overlay:\n", "line 3: expected a value; write ''"),
        (HEAD + "    classes: [a\n    nms: fast\n", "line 4, column .: not YAML: "),
        (HEAD + "\tnms: fast\n", r"line 3, column .*not YAML: found character '\\t'"),
        ("yolact:\n  ros__parameter:\n    nms: fast\n", "line 3: expected the node's name or /"),
        ("nms: fast\n", "line 1: expected the node's name or /.*`ros__parameters:`"),
        ("- nms\n", "line 1: expected the node's name or .* got a list"),
        ("a: &x\n  ros__parameters: {nms: fast}\nyolact: *x\n", "line .: parameter files have no"),
        ("/yo*:\n  ros__parameters: {nms: fast}\n", "expected names of nodes of letters"),
    ],
)
def test_parameter_files(content, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text(content)
    said = refusal("--params-file", "p.yaml")
    begin = f"parameter file {tmp_path / 'p.yaml'}: "
    assert said.startswith(begin) and re.match(text, said.removeprefix(begin))


def test_parameter_files_that_are_no_files(tmp_path):
    missing = tmp_path / "missing.yaml"
    said = refusal("--params-file", str(missing))
    assert said == f"parameter file {missing}: there is no such file"
    said = refusal("--params-file", str(tmp_path))
    assert said == f"parameter file {tmp_path}: expected a file, got a folder"


def test_other_errors_keep_their_text():
    assert (
        refusal_in_words(ValueError("rate: expected more,\n got 0")) == "rate: expected more, got 0"
    )
    assert refusal_in_words(KeyError()) == "KeyError"


def test_unknown_parameters_are_named_with_the_nearest():
    given = {
        "score_treshold": 0,
        "overlay.opactiy": 0,
        "robot_description": 0,
        "score_threshold": 0,
        "use_sim_time": 0,
        "start_type_description_service": 0,
        "qos_overrides./image.subscription.depth": 0,
    }
    assert unknown_parameters(given, ["score_threshold", "overlay.opacity"]) == [
        "unknown parameter score_treshold, which is ignored; did you mean score_threshold?",
        "unknown parameter overlay.opactiy, which is ignored; did you mean overlay.opacity?",
        "unknown parameter robot_description, which is ignored",
    ]
