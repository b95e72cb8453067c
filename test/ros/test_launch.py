# SPDX-License-Identifier: Apache-2.0
"""The launch file, where ROS 2's launch packages can be imported."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from yolact_ros.msg import InstanceArray

MISSING = [name for name in ("launch", "launch_ros") if importlib.util.find_spec(name) is None]
FILE = Path(__file__).parents[2] / "launch" / "yolact.launch.py"
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
    wanted = {"preset", "weights", "device", "image", "rviz", "demo_camera", "params_file"}
    assert wanted | {"namespace"} == declared


def test_rviz_looks_into_the_namespace():
    from launch import LaunchContext

    module, _ = describe()
    context = LaunchContext()
    context.launch_configurations.update(namespace="robot", image="/front/rgb")
    [rviz] = module.rviz(context)
    rules = {
        "".join(part.perform(context) for part in old): "".join(
            part.perform(context) for part in new
        )
        for old, new in rviz._Node__remappings
    }
    assert rules == {"/yolact/overlay": "/robot/yolact/overlay", "/image": "/front/rgb"}


def test_launch_for_real(domain_id, peer, weights, tmp_path):
    """Camera and node come up, results flow, and Ctrl-C ends both with exit code 0."""
    script = (
        "import sys\n"
        "from launch import LaunchService\n"
        "from launch.actions import IncludeLaunchDescription\n"
        "from launch import LaunchDescription\n"
        "service = LaunchService(argv=sys.argv[2:])\n"
        "service.include_launch_description(LaunchDescription([IncludeLaunchDescription(\n"
        "    sys.argv[1], launch_arguments=[a.split(':=') for a in sys.argv[2:]])]))\n"
        "sys.exit(service.run())\n"
    )
    arguments = ["demo_camera:=true", "namespace:=robot", "device:=cpu"]
    arguments += [f"{name}:={value}" for name, value in weights.items()]
    log = tmp_path / "launch.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(FILE), *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(os.environ, ROS_DOMAIN_ID=str(domain_id)),
            start_new_session=True,
        )
    try:
        results = peer.collect(InstanceArray, "/robot/yolact/instances")
        peer.until(lambda: len(results) >= 3, timeout=60, what="results")
        # As a terminal does, which sends it to all of them.
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    text = log.read_text()
    clean = re.findall(r"\[(yolact_node|demo_camera)-\d\]: process has finished cleanly", text)
    assert sorted(clean) == ["demo_camera", "yolact_node"], text
    assert "Traceback" not in text
