# SPDX-License-Identifier: Apache-2.0
"""The policy for SROS2 allows what running nodes do, and nothing else."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from yolact_ros.msg import ObjectArray

pytestmark = pytest.mark.timeout(300)
ROOT = Path(__file__).parents[2]
POLICY = ROOT / "config" / "sros2" / "yolact.policy.xml"
RIGHTS = {
    ("topics", "publish"): "get_publisher_names_and_types_by_node",
    ("topics", "subscribe"): "get_subscriber_names_and_types_by_node",
    ("services", "reply"): "get_service_names_and_types_by_node",
    ("services", "request"): "get_client_names_and_types_by_node",
}
"""The kinds of permissions, and where rclpy tells who uses them."""


def profiles():
    """Each enclave, its node's namespace and name, and what it is allowed."""
    for enclave in ElementTree.parse(POLICY).getroot().iter("enclave"):
        [profile] = enclave.iter("profile")
        yield enclave.get("path"), profile.get("ns"), profile.get("node"), allowed(profile)


def allowed(profile):
    """(kind, right, full name) of each permission, as SROS2 reads them."""
    start = profile.get("ns").rstrip("/") + "/"
    found = set()
    for group in profile:
        for right, verdict in group.attrib.items():
            assert (group.tag, right) in RIGHTS and verdict == "ALLOW"
            for item in group:
                name = re.sub("^~/", f"{start}{profile.get('node')}/", item.text)
                full = name if name.startswith("/") else start + name
                found.add((group.tag, right, full))
    return found


def used(node, namespace, name):
    """(kind, right, full name) of everything that a node is in the graph with."""
    return {
        (*kind, topic)
        for kind, ask in RIGHTS.items()
        for topic, _ in getattr(node, ask)(name, namespace)
    }


def write_listener(folder):
    guide = (ROOT / "docs" / "subscribe.md").read_text()
    program = folder / "listener.py"
    [listener] = re.findall(r"^```python\n(.*?)^```$", guide, re.M | re.S)
    program.write_text(listener)
    return program


def test_the_policy_is_what_the_nodes_do(start, start_command, peer, weights, tmp_path):
    start("yolact_node", **weights)
    start("demo_camera", rate=2.0, width=64, height=48)
    start_command([sys.executable, write_listener(tmp_path)])
    peer.collect(ObjectArray, "/yolact/objects")  # or the node would not subscribe to depth
    for _, namespace, name, permissions in profiles():
        if os.environ.get("ROS_DISTRO") == "humble":  # it describes no types
            permissions = {each for each in permissions if "get_type_description" not in each[2]}
        # at first there is less than in the end, or another node's services are not known yet
        graph = {}

        def is_like_the_policy(name=name, namespace=namespace, wanted=permissions, graph=graph):
            if name not in peer.node.get_node_names():
                return False
            graph["used"] = used(peer.node, namespace, name)
            return graph["used"] == wanted

        try:
            peer.until(is_like_the_policy, timeout=60)
        except AssertionError:
            found = graph.get("used", set())
            missing, unused = sorted(found - permissions), sorted(permissions - found)
            pytest.fail(f"{name}: the policy lacks {missing}, and nobody uses {unused}")


def test_the_nodes_work_in_their_enclaves(start, start_command, weights, tmp_path, monkeypatch):
    ros2 = shutil.which("ros2")
    if ros2 is None or subprocess.run([ros2, "security", "-h"], capture_output=True).returncode:
        pytest.skip("no `ros2 security` here: the policy is not tried under enclaves")
    keys = tmp_path / "keys"
    for command in (["create_keystore", keys], ["generate_artifacts", "-k", keys, "-p", POLICY]):
        subprocess.run([ros2, "security", *map(str, command)], check=True)
    monkeypatch.setenv("ROS_SECURITY_KEYSTORE", str(keys))
    monkeypatch.setenv("ROS_SECURITY_ENABLE", "true")
    monkeypatch.setenv("ROS_SECURITY_STRATEGY", "Enforce")
    start("yolact_node", "--enclave", "/yolact_ros/yolact", **weights)
    start("demo_camera", "--enclave", "/yolact_ros/demo_camera", rate=2.0)
    enclave = ["--ros-args", "--enclave", "/yolact_ros/listener"]
    listener = start_command([sys.executable, write_listener(tmp_path), *enclave])
    listener.wait_for("pixels$", timeout=120)
