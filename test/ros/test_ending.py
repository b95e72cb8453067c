# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM end every process within 2 s, with exit code 0 and no traceback."""

import os
import random
import re
import signal
import time
from pathlib import Path

import pytest
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import Image
from yolact_ros.msg import InstanceArray

pytestmark = [pytest.mark.timeout(120), pytest.mark.paired]
LONGEST = 2.0


def assert_ended(program, code, seconds):
    print(f"ended with {code} after {seconds:.2f} s")
    assert code == 0, program.output
    assert seconds < LONGEST
    assert "Traceback" not in program.output and "ERROR" not in program.output


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_node_and_camera_at_work(start, peer, weights, by):
    own = shared_memory_of("self")
    camera = start("demo_camera", rate=15.0)
    node = start("yolact_node", **weights)
    results = peer.collect(InstanceArray, "yolact/instances")
    peer.collect(Image, "yolact/overlay")
    peer.until(lambda: len(results) >= 3, timeout=60, what="results")
    segments = shared_memory_of(node.process.pid) | shared_memory_of(camera.process.pid)
    for program in (node, camera):
        assert_ended(program, *program.interrupt(by))
    # Their shared memory is given back.
    assert len(segments - own) >= 2 or "fastrtps" not in get_rmw_implementation_identifier()
    assert not [path for path in segments - own if path.exists()]
    # They took their leave: nobody has to wait until DDS gives them up, 20 s later.
    peer.until(
        lambda: (
            not peer.node.count_publishers("/yolact/instances")
            and not peer.node.count_publishers("/image")
        ),
        timeout=3,
        what="farewell",
    )


def shared_memory_of(process):
    """The segments of Fast DDS that a process has mapped: its own and those of its peers."""
    maps = Path(f"/proc/{process}/maps").read_text()
    return {Path(path) for path in re.findall(r"/dev/shm/fast(?:rtps|dds)_(?!port)\w+", maps)}


STARTS = int(os.environ.get("YOLACT_INTERRUPTED_STARTS", "6"))
LATEST = 5.0  # s after the first line, by when it has loaded on most machines


@pytest.mark.timeout(120 + 20 * STARTS)
def test_starts_that_are_interrupted_at_any_moment(start, peer):
    """YOLACT_INTERRUPTED_STARTS=100 makes as many, at random moments."""
    own = all_shared_memory_of("self")
    moments = [LATEST * i / STARTS for i in range(STARTS)]
    if STARTS > 20:
        moments = [random.uniform(0, LATEST) for _ in range(STARTS)]
    for i, moment in enumerate(moments):
        node = start("yolact_node")
        deadline = time.monotonic() + 20
        while not catches(node.process.pid, signal.SIGTERM):  # until then it is Python that starts
            assert time.monotonic() < deadline
        time.sleep(moment)
        segments = all_shared_memory_of(node.process.pid) - own
        assert_ended(node, *node.interrupt((signal.SIGINT, signal.SIGTERM)[i % 2]))
        assert not [path for path in segments if path.exists()], f"after {moment:.2f} s"
        assert "rcl" not in node.output, node.output
        peer.until(lambda: "yolact" not in peer.node.get_node_names(), 2, what="farewell")


def all_shared_memory_of(process):
    """All that Fast DDS has in /dev/shm for a process alone, its semaphores included."""
    maps = Path(f"/proc/{process}/maps").read_text()
    found = re.findall(r"/dev/shm/(?:sem\.)?fast(?:rtps|dds)_(?!port)[\w.]+", maps)
    return {Path(path) for path in found}


def test_node_that_loads_its_network(start):
    node = start("yolact_node")
    node.wait_for("no weights given")  # said when torch has been imported
    assert_ended(node, *node.interrupt())
    assert not node.lines("active"), node.output


@pytest.mark.parametrize("delay", [0.1, 0.3, 0.6])
def test_demo_that_still_starts(start, tmp_path, delay):
    demo = start("yolact_ros.ros.demo", "--output", tmp_path / "overlay.png")
    deadline = time.monotonic() + 20
    while not catches(demo.process.pid, signal.SIGTERM):
        assert time.monotonic() < deadline
    time.sleep(delay)
    assert_ended(demo, *demo.interrupt())


def catches(pid, number):
    [line] = re.findall(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return int(line, 16) >> (number - 1) & 1


def test_node_without_configuration(start):
    node = start("yolact_node", autostart="false")
    node.wait_for("waiting to be configured")
    assert_ended(node, *node.interrupt())


def test_demo(start, tmp_path):
    demo = start("yolact_ros.ros.demo", "--output", tmp_path / "overlay.png")
    demo.wait_for(r"\d+ frames|waiting for the first result", timeout=60)
    children = demo.children()
    assert len(children) == 2
    assert_ended(demo, *demo.interrupt())
    assert not any(child.is_running() for child in children)
