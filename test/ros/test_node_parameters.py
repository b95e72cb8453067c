# SPDX-License-Identifier: Apache-2.0
"""Wrong parameters given to the real node, at the start and while it runs."""

import re
from pathlib import Path

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
from rclpy.parameter import Parameter, parameter_value_to_python

from yolact_ros.ros.demo.camera import PARAMETERS as CAMERA_PARAMETERS
from yolact_ros.ros.parameters.table import PARAMETERS
from yolact_ros.ros.run import WRONG_START

pytestmark = pytest.mark.timeout(180)

CONFIG = Path(__file__).parents[2] / "config" / "yolact.yaml"


class Client:
    """Speaks with the node as the command line tools do."""

    def __init__(self, peer):
        self._peer = peer

    def set(self, name, value):
        """Returns the reason of a refusal, or an empty string."""
        parameter = Parameter(name, value=value).to_parameter_msg()
        response = self._peer.call(SetParameters, "/yolact/set_parameters", parameters=[parameter])
        [result] = response.results
        assert result.successful == (not result.reason)
        return result.reason

    def delete(self, name):
        """Does what `ros2 param delete` does; returns the reason of a refusal."""
        deleted = Parameter(name, Parameter.Type.NOT_SET).to_parameter_msg()
        response = self._peer.call(SetParameters, "/yolact/set_parameters", parameters=[deleted])
        return response.results[0].reason

    def get(self, name):
        response = self._peer.call(GetParameters, "/yolact/get_parameters", names=[name])
        [value] = response.values
        return parameter_value_to_python(value)

    def change(self, transition):
        response = self._peer.call(
            ChangeState, "/yolact/change_state", transition=Transition(id=transition)
        )
        return response.success

    @property
    def state(self):
        return self._peer.call(GetState, "/yolact/get_state").current_state.label


def test_wrong_start_values_leave_the_node_unconfigured_until_they_are_mended(
    start, peer, weights, tmp_path
):
    node = start("yolact_node", preset="yolact_huge", score_threshold="-1.0", weights="1e5")
    client = Client(peer)
    line = node.wait_for("not configured")
    assert "preset: expected nothing, or one of" in line and "got 'yolact_huge'" in line
    assert "score_threshold: expected a number from 0 to 1, got -1.0" in line
    assert "weights: expected a path" in line and "got 100000.0 (float); put text" in line
    assert client.state == "unconfigured"

    assert client.set("score_threshold", -0.5).startswith("score_threshold: expected a number")
    assert client.set("score_threshold", 0.4) == ""
    assert client.set("preset", "yolact_demo") == ""

    missing = str(tmp_path / "missing.safetensors")
    assert client.set("weights", missing) == ""
    assert not client.change(Transition.TRANSITION_CONFIGURE)
    assert missing in node.wait_for("not configured", count=2)

    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(b"<html><title>Sign \x1b[1min</title></html>")
    assert client.set("weights", str(wrong)) == ""
    assert not client.change(Transition.TRANSITION_CONFIGURE)
    line = node.wait_for("not configured", count=3)
    assert f"weights: {wrong} is a web page ('Sign " in line and "\x1b" not in line
    assert client.state == "unconfigured"

    assert client.set("weights", str(weights.get("weights", ""))) == ""
    assert client.change(Transition.TRANSITION_CONFIGURE)
    assert client.change(Transition.TRANSITION_ACTIVATE)
    assert client.state == "active"
    assert len(node.lines("ERROR")) == 3 and "Traceback" not in node.output

    # While it runs: the old value stays.
    reason = client.set("score_threshold", -0.1)
    assert reason == "score_threshold: expected a number from 0 to 1, got -0.1 (float)"
    assert client.get("score_threshold") == 0.4
    assert "only while the node is unconfigured" in client.set("preset", "yolact_base")
    assert client.get("preset") == "yolact_demo"
    assert "classes: expected names among ball" in client.set("classes", ["ball", "cat"])
    assert client.set("classes", ["ball"]) == ""
    assert client.set("classes", [""]) == ""
    assert client.set("score_threshold", 1) == ""
    assert client.get("score_threshold") == 1

    # A transition that the state does not allow is answered.
    assert not client.change(Transition.TRANSITION_CONFIGURE)
    assert client.state == "active"

    # Down and up again.
    assert client.change(Transition.TRANSITION_DEACTIVATE)
    assert client.change(Transition.TRANSITION_CLEANUP)
    assert client.change(Transition.TRANSITION_CONFIGURE)
    assert client.state == "inactive"


def test_file_of_parameters_reaches_the_node_in_every_namespace(start, peer, tmp_path):
    changed = CONFIG.read_text().replace("max_instances: 100", "max_instances: 7")
    changed = changed.replace('cameras: [""]', "cameras: [front]")
    changed += "    front.roi: [8, 4, 96, 72]\n    rear.roi: [0, 0, 9, 9]\n"
    file = tmp_path / "parameters.yaml"
    file.write_text(changed)
    arguments = ("--params-file", file, "-r", "__ns:=/robot")
    node = start("yolact_node", *arguments, autostart="false", max_rate="5")
    node.wait_for("waiting to be configured")
    node.wait_for("unknown parameter rear.roi, which is ignored")
    assert node.output.count("unknown parameter") == 1
    names = ["max_instances", "classes", "autostart", "max_rate", "front.roi", "track.buffer"]
    values = peer.call(GetParameters, "/robot/yolact/get_parameters", names=names).values
    assert values[0].integer_value == 7
    assert values[1].string_array_value == [""]
    assert values[2].bool_value is False
    assert values[3].integer_value == 5
    assert values[4].integer_array_value.tolist() == [8, 4, 96, 72]
    assert values[5].double_value == 3.0


def test_what_can_be_typed_wrongly_is_named(start, peer, tmp_path):
    file, other = tmp_path / "parameters.yaml", tmp_path / "other.yaml"
    file.write_text(
        "yolact:\n  ros__parameters:\n    score_treshold: 0.5\n    overlay: {opactiy: 0.2}\n"
        "    classes: []\n    use_sim_time: false\n    autostart: false\n"
    )
    other.write_text("yolact_node:\n  ros__parameters:\n    nms: exact\n")
    files = ("--params-file", file, "--params-file", other)
    node = start("yolact_node", *files, score_treshold="0.4")
    node.wait_for("waiting to be configured")
    near = {"score_treshold": "score_threshold", "overlay.opactiy": "overlay.opacity"}
    for name, known in near.items():
        [line] = node.lines(f"unknown parameter {name}")
        assert line.endswith(f"which is ignored; did you mean {known}?")
    [line] = node.lines("has nothing for this node")
    assert f"{other} " in line and "called /yolact, but only for /yolact_node" in line
    assert len(node.lines("WARN")) == 3

    client = Client(peer)
    reason = client.set("score_treshold", 0.4)
    assert reason == (
        "score_treshold: this node has no such parameter; did you mean score_threshold?"
    )
    for name in ("classes", "weights", "score_threshold"):
        assert client.delete(name) == (
            f"{name}: expected a value; a parameter of this node cannot be deleted"
        )
    assert client.set("classes", ["cup"]) == "" and client.get("classes") == ["cup"]
    assert "this node has no such parameter" in client.delete("score_treshold")

    described = peer.call(
        DescribeParameters, "/yolact/describe_parameters", names=["score_threshold", "nms"]
    )
    threshold, nms = described.descriptors
    [bounds] = threshold.floating_point_range
    assert (bounds.from_value, bounds.to_value) == (0.0, 1.0)
    assert nms.additional_constraints == "one of fast, cross_class, exact"


@pytest.mark.parametrize("given", ["~/missing.pth", "missing.pth"])
def test_the_path_that_was_tried_is_named(start, tmp_path, monkeypatch, given):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    node = start("yolact_node", weights=given)
    assert f" {tmp_path}/missing.pth" in node.wait_for("not configured")


@pytest.mark.parametrize("argument", ["-r __ns:=/1a", "--params-file missing.yaml", "-p device"])
def test_arguments_that_ros_refuses_end_the_node_with_a_code_of_their_own(start, argument):
    node = start("yolact_node", *argument.split())
    assert node.process.wait(30) == WRONG_START
    [line] = node.lines("not started: ")
    assert ": expected " in line or "there is no such file" in line
    assert "Traceback" not in node.output


@pytest.mark.parametrize(
    ("program", "table"), [("yolact_node", PARAMETERS), ("demo_camera", CAMERA_PARAMETERS)]
)
def test_what_is_no_argument_of_ros_starts_nothing(start, program, table):
    asked = start(program, "--", "--help")
    strange = start(program, "-p", f"{table[0].name}:=1", "--", "--rate=5")
    assert asked.process.wait(60) == 0
    parameters = re.findall(r"^  (\S+) \((.+?), .+\)$", asked.output, re.MULTILINE)
    assert parameters == [(spec.name, spec.kind) for spec in table]
    assert asked.output.startswith(f"usage: ros2 run yolact_ros {program} [--help]")
    assert strange.process.wait(60) == WRONG_START
    assert strange.output == (
        "not started: expected ROS's arguments alone, such as --ros-args -p NAME:=VALUE -r "
        "FROM:=TO, got '--rate=5'; --help lists the parameters\n"
    )


def test_a_second_node_of_the_same_name_is_noticed(start, peer):
    first = start("yolact_node", autostart="false")
    first.wait_for("waiting to be configured")
    namespace = ("-r", "__ns:=/robot")
    elsewhere = start("yolact_node", *namespace, autostart="false")
    elsewhere.wait_for("waiting to be configured")
    peer.spin(2.5)
    assert not first.lines("nodes are called")

    second = start("yolact_node", autostart="false")
    for node in (first, second):
        assert "2 nodes are called /yolact: " in node.wait_for("nodes are called")
    peer.spin(2.5)
    assert len(first.lines("nodes are called")) == 1
    assert not elsewhere.lines("nodes are called")
