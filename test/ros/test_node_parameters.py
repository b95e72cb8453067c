# SPDX-License-Identifier: Apache-2.0
"""Wrong parameters given to the real node, at the start and while it runs."""

from pathlib import Path

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter, parameter_value_to_python

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
    node = start("yolact_node", preset="yolact_huge", score_threshold="-1.0", weights="123")
    client = Client(peer)
    line = node.wait_for("not configured")
    assert "preset: expected nothing, or one of" in line and "got 'yolact_huge'" in line
    assert "score_threshold: expected a number from 0 to 1, got -1.0" in line
    assert "weights: expected a path" in line and "got 123 (integer)" in line
    assert client.state == "unconfigured"

    assert client.set("score_threshold", -0.5).startswith("score_threshold: expected a number")
    assert client.set("score_threshold", 0.4) == ""
    assert client.set("preset", "yolact_demo") == ""

    missing = str(tmp_path / "missing.safetensors")
    assert client.set("weights", missing) == ""
    assert not client.change(Transition.TRANSITION_CONFIGURE)
    assert missing in node.wait_for("not configured", count=2)

    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(b"these are no weights")
    assert client.set("weights", str(wrong)) == ""
    assert not client.change(Transition.TRANSITION_CONFIGURE)
    assert str(wrong) in node.wait_for("not configured", count=3)
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
    file = tmp_path / "parameters.yaml"
    file.write_text(changed)
    arguments = ("--params-file", file, "-r", "__ns:=/robot")
    node = start("yolact_node", *arguments, autostart="false", max_rate="5")
    node.wait_for("waiting to be configured")
    names = ["max_instances", "classes", "autostart", "max_rate"]
    values = peer.call(GetParameters, "/robot/yolact/get_parameters", names=names).values
    assert values[0].integer_value == 7
    assert values[1].string_array_value == [""]
    assert values[2].bool_value is False
    assert values[3].integer_value == 5
