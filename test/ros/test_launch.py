# SPDX-License-Identifier: Apache-2.0
"""The launch file, where ROS 2's launch packages can be imported."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from yolact_ros.msg import InstanceArray

from yolact_ros.ros.parameters.table import PARAMETERS

MISSING = [name for name in ("launch", "launch_ros") if importlib.util.find_spec(name) is None]
FILE = Path(__file__).parents[2] / "launch" / "yolact.launch.py"
SCRIPT = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription

service = LaunchService(argv=sys.argv[2:])
arguments = [argument.split(":=") for argument in sys.argv[2:]]
included = IncludeLaunchDescription(sys.argv[1], launch_arguments=arguments)
service.include_launch_description(LaunchDescription([included]))
sys.exit(service.run())
"""
"""What `ros2 launch FILE NAME:=VALUE ...` does."""

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        bool(MISSING), reason=f"cannot import {', '.join(MISSING)}, which the wheels do not have"
    ),
]


def describe():
    spec = importlib.util.spec_from_file_location("yolact_launch", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, module.generate_launch_description()


def test_arguments():
    from launch.actions import DeclareLaunchArgument

    _, description = describe()
    declared = {
        entity.name for entity in description.entities if isinstance(entity, DeclareLaunchArgument)
    }
    assert {spec.name for spec in PARAMETERS} | {"image", "rviz", "respawn"} <= declared


def context_with(**arguments):
    from launch import LaunchContext

    context = LaunchContext()
    empty = dict.fromkeys(("cameras", "image", "namespace", "use_sim_time"), "")
    context.launch_configurations.update(empty | {"rviz": "true"} | arguments)
    return context


def rules(context, node):
    return {
        "".join(part.perform(context) for part in old): "".join(
            part.perform(context) for part in new
        )
        for old, new in node._Node__remappings
    }


@pytest.mark.parametrize(
    "arguments, results, image",
    [
        ({"image": "/front/rgb"}, "/robot/yolact", "/front/rgb"),
        ({}, "/robot/yolact", "/robot/image"),
        ({"cameras": "front,rear"}, "/robot/yolact/front", "/robot/front/image"),
    ],
)
def test_rviz_looks_into_the_namespace_and_at_the_first_camera(
    monkeypatch, arguments, results, image
):
    module, _ = describe()
    monkeypatch.setattr(module, "get_package_prefix", lambda name: f"/opt/{name}")  # installed
    context = context_with(namespace="robot", **arguments)
    [rviz] = module.rviz(context)
    shown = {f"/yolact/{name}": f"{results}/{name}" for name in ("overlay", "markers", "points")}
    assert rules(context, rviz) == shown | {"/image": image}


def test_each_camera_has_its_topic():
    module, _ = describe()
    given = {"cameras": "front, rear", "image": "/a/rgb,/b/rgb"}
    assert module.topics(context_with(**given)) == [
        ("front/image", "/a/rgb"),
        ("rear/image", "/b/rgb"),
    ]
    with pytest.raises(ValueError, match="image: expected a topic for each of 2 cameras"):
        module.topics(context_with(cameras="front,rear", image="/a/rgb"))


@pytest.mark.parametrize("cameras", [[], ["front", "rear"]], ids=["one", "two"])
def test_launch_for_real(domain_id, peer, weights, tmp_path, cameras):
    """Cameras and node come up, results flow, and Ctrl-C ends all with exit code 0."""
    arguments = ["demo_camera:=true", "namespace:=robot", "device:=cpu"]
    arguments += [f"{name}:={value}" for name, value in weights.items()]
    arguments += [f"cameras:={','.join(cameras)}"] * bool(cameras)
    log = tmp_path / "launch.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(FILE), *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(os.environ, ROS_DOMAIN_ID=str(domain_id)),
            start_new_session=True,
        )
    try:
        topics = [f"{camera}/instances" for camera in cameras] or ["instances"]
        results = [peer.collect(InstanceArray, f"/robot/yolact/{topic}") for topic in topics]
        peer.until(lambda: all(len(got) >= 3 for got in results), timeout=60, what="results")
        frames = [got[0].header.frame_id for got in results]
        expected = [f"{camera}_optical_frame" for camera in cameras]
        assert frames == (expected or ["camera_optical_frame"])
        # As a terminal does, which sends it to all of them.
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    text = log.read_text()
    clean = re.findall(r"\[(yolact_node|demo_camera)-\d\]: process has finished cleanly", text)
    assert sorted(clean) == ["demo_camera"] * len(topics) + ["yolact_node"], text
    assert "Traceback" not in text


@pytest.mark.parametrize("code, starts", [(signal.SIGKILL, 2), (signal.SIGINT, 1)])
def test_a_node_is_started_again_after_a_fault_alone(domain_id, tmp_path, code, starts):
    log = tmp_path / "launch.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(FILE), "autostart:=false", "respawn_delay:=0.5"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(os.environ, ROS_DOMAIN_ID=str(domain_id)),
            start_new_session=True,
        )
    try:
        wait_for(log, "waiting to be configured", 1)
        [pid] = re.findall(r"process started with pid \[(\d+)\]", log.read_text())
        os.kill(int(pid), code)
        wait_for(log, "process has (died|finished cleanly)", 1)
        if starts == 2:
            wait_for(log, "waiting to be configured", 2)
            os.killpg(process.pid, signal.SIGINT)
        # launch ends by itself when nothing is left to run
        assert process.wait(10) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert log.read_text().count("process started with pid") == starts


@pytest.mark.parametrize(
    "arguments",
    [["rviz:=yess"], ["demo_camera:=true", "cameras:=front,re-ar"], ["namespace:=1a"]],
    ids=lambda arguments: arguments[-1],
)
def test_a_launch_that_is_refused_leaves_nothing_running(domain_id, tmp_path, arguments):
    log = tmp_path / "launch.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(FILE), "autostart:=false", *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(os.environ, ROS_DOMAIN_ID=str(domain_id)),
            start_new_session=True,
        )
    assert process.wait(30) == 1 and "Caught exception in launch" in log.read_text()
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)


def wait_for(log, pattern, count):
    deadline = time.monotonic() + 60
    while len(re.findall(pattern, log.read_text())) < count:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
