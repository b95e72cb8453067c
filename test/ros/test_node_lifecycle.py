# SPDX-License-Identifier: Apache-2.0
"""Transitions of the real node: in turn, out of turn, again and again, with other parameters."""

import itertools
import os
import re
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from yolact_ros.msg import InstanceArray

from yolact_ros.ros.conversion.images import array_to_image

HEAP = 64 << 20
ROUNDS = int(os.environ.get("YOLACT_LIFECYCLE_ROUNDS", "4"))
pytestmark = pytest.mark.timeout(120 + 30 * ROUNDS)


def change(peer, label, timeout=60.0):
    request = ChangeState.Request()
    request.transition.label = label
    fields = {"transition": request.transition}
    return peer.call(ChangeState, "/yolact/change_state", timeout, **fields).success


def state_of(peer):
    return peer.call(GetState, "/yolact/get_state").current_state.label


def set_parameter(peer, name, value):
    parameters = [Parameter(name, value=value).to_parameter_msg()]
    response = peer.call(SetParameters, "/yolact/set_parameters", parameters=parameters)
    return response.results[0]


def test_transitions_out_of_turn_are_refused_in_words(start, peer, weights):
    node = start("yolact_node", autostart="false", **weights)
    node.wait_for("waiting to be configured")
    for label in ("activate", "deactivate", "cleanup", "nonsense"):
        assert not change(peer, label)
        line = node.wait_for(f"transition {label} refused")
        assert "while the node is unconfigured, which allows: configure, shutdown" in line
    assert change(peer, "configure") and change(peer, "activate")
    assert not change(peer, "configure") and not change(peer, "cleanup")
    assert "which allows: deactivate, shutdown" in node.wait_for("transition cleanup refused")
    assert change(peer, "shutdown") and state_of(peer) == "finalized"
    assert not change(peer, "configure")
    assert "which allows: none" in node.lines("transition configure refused")[-1]
    assert "Traceback" not in node.output and node.process.poll() is None


def test_a_failed_transition_is_logged_and_shown_and_the_next_one_may_pass(start, peer, weights):
    node = start("yolact_node", autostart="false", class_names="[a, b]", **weights)
    statuses = peer.collect(DiagnosticArray, "/diagnostics", 10)
    node.wait_for("waiting to be configured")
    assert not change(peer, "configure") and not change(peer, "configure")
    assert len(node.lines("ERROR.*not configured: ")) == 2
    peer.until(
        lambda: (
            statuses[-1].status[0].level == DiagnosticStatus.ERROR
            and statuses[-1].status[0].message.startswith("not configured: ")
        ),
        what="reason in the diagnostics",
    )
    assert set_parameter(peer, "class_names", [""]).successful
    assert change(peer, "configure") and state_of(peer) == "inactive"
    peer.until(lambda: statuses[-1].status[0].level == DiagnosticStatus.OK, what="OK")


def test_rounds_give_memory_back_and_take_other_parameters(start, peer, weights, say):
    """YOLACT_LIFECYCLE_ROUNDS=20 makes as many."""
    node = start("yolact_node", autostart="false", **weights)
    node.wait_for("waiting to be configured")
    images = peer.publisher(Image, "image")
    picture = array_to_image(np.zeros((480, 640, 3), np.uint8), "rgb8", Header())
    peer.node.create_timer(0.1, lambda: images.publish(picture))
    results = peer.collect(InstanceArray, "yolact/instances")
    last = ("/diagnostics", "publishers")
    peer.until(lambda: last in made_by_the_node(peer), what="topics of the node")
    before, sizes = made_by_the_node(peer), []
    for number in range(ROUNDS):
        assert set_parameter(peer, "max_instances", 10 + number).successful
        assert change(peer, "configure") and change(peer, "activate")
        count = len(results)
        peer.until(lambda count=count: len(results) >= count + 3, what="results")
        refused = set_parameter(peer, "preset", "yolact_base")
        assert not refused.successful and "unconfigured" in refused.reason
        assert change(peer, "deactivate") and change(peer, "cleanup")
        assert state_of(peer) == "unconfigured"
        sizes.append(resident(node.process.pid))
        peer.until(lambda: made_by_the_node(peer) == before, what="topics removed")
    say(", ".join(f"{size / 1e6:.1f}" for size in sizes) + " MB after each round")
    assert max(sizes) <= 1.01 * sizes[0], sizes  # a network that stayed would add 2 % a round
    assert not heaps_of_threads(node.process.pid)  # they would add 3 % in time
    assert len(node.lines(r"\]: active: ")) == len(node.lines(r"\]: inactive")) == ROUNDS


def resident(pid):
    """Bytes of memory that a process has by itself."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"RssAnon:\s*(\d+) kB", status)[1]) * 1024


def made_by_the_node(peer):
    """Each publisher and subscription of the node by its topic, as others see them."""
    found = []
    for topic, _ in peer.node.get_topic_names_and_types():
        for direction in ("publishers", "subscriptions"):
            everyone = getattr(peer.node, f"get_{direction}_info_by_topic")(topic)
            found += [(topic, direction) for each in everyone if each.node_name == "yolact"]
    return sorted(found)


def heaps_of_threads(pid):
    """Addresses of glibc's heaps beside the process's own: 64 MB each, what is free reserved."""
    regions = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        addresses, access = line.split()[:2]
        regions.append((*(int(address, 16) for address in addresses.split("-")), access))
    return [
        hex(begin)
        for (begin, used, _), (reserved, end, access) in itertools.pairwise(regions)
        if used == reserved and access == "---p" and begin % HEAP == 0 and end - begin == HEAP
    ]
