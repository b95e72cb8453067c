# SPDX-License-Identifier: Apache-2.0
"""Which parameter files are for a node, compared with what ROS itself makes of them."""

import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node

from yolact_ros.ros.parameters.files import files_for_others, parameter_files

ENTRY = "{ros__parameters: {nms: exact}}"


@pytest.fixture
def taken_by_ros(domain_id):
    """Whether ROS gives the parameters of a file to a node."""

    def taken(file, namespace):
        context = Context()
        rclpy.init(args=["node", "--ros-args", "--params-file", str(file)], context=context)
        try:
            node = Node("yolact", namespace=namespace, context=context)
            names = set(node._parameter_overrides)
            node.destroy_node()
            return names == {"nms"}
        finally:
            rclpy.shutdown(context=context)

    return taken


@pytest.mark.parametrize("namespace", ["", "/left", "/robot/left"])
@pytest.mark.parametrize(
    "text",
    [
        f"yolact: {ENTRY}",
        f"/yolact: {ENTRY}",
        f"yolact_node: {ENTRY}",
        f"left: {{yolact: {ENTRY}}}",
        f"/left/yolact: {ENTRY}",
        f"/robot/left/yolact: {ENTRY}",
        f"/robot: {{left: {{yolact: {ENTRY}}}}}",
        f"right: {{yolact: {ENTRY}}}",
        f"/**: {ENTRY}",
        f"/*: {{yolact: {ENTRY}}}",
        f"/*/yolact: {ENTRY}",
        f"/**/yolact: {ENTRY}",
        f"/robot/*/yolact: {ENTRY}",
        f"'*': {ENTRY}",
        f"camera: {ENTRY}\nyolact: {ENTRY}",
    ],
)
def test_the_node_that_ros_gives_the_parameters_to(text, namespace, taken_by_ros, tmp_path):
    file = tmp_path / "parameters.yaml"
    file.write_text(text)
    arguments = ["node", "--ros-args", "--params-file", str(file)]
    warned = files_for_others(arguments, f"{namespace}/yolact")
    assert (not warned) == taken_by_ros(file, namespace)


def test_the_warning_names_the_file_its_nodes_and_this_node(tmp_path):
    file, good, empty = (tmp_path / name for name in ("other.yaml", "good.yaml", "empty.yaml"))
    file.write_text(f"yolact_node: {ENTRY}\nrobot: {{yolact: {ENTRY}}}")
    good.write_text(f"/**: {ENTRY}")
    empty.write_text("# nothing yet")
    arguments = ["--ros-args"]
    for path in (file, good, empty, tmp_path / "missing.yaml"):
        arguments += ["--params-file", str(path)]
    assert files_for_others(arguments, "/left/yolact") == [
        f"parameter file {file} has nothing for this node, which is called /left/yolact, but only "
        "for /yolact_node, /robot/yolact; write /left/yolact or /** instead",
        f"parameter file {empty} has nothing for this node, which is called /left/yolact, but for "
        "no node at all; write /left/yolact or /** instead",
    ]


@pytest.mark.parametrize(
    "arguments, files",
    [
        (["node", "--params-file", "a"], []),
        (
            ["node", "--ros-args", "--params-file", "a", "-p", "x:=1", "--params-file", "b"],
            ["a", "b"],
        ),
        (["node", "--ros-args", "--params-file", "a", "--", "--params-file", "b"], ["a"]),
        (["node", "--ros-args", "--", "--ros-args", "--params-file", "a"], ["a"]),
        (["node", "--ros-args", "--params-file"], []),
    ],
)
def test_files_are_read_from_the_arguments_of_ros(arguments, files):
    assert parameter_files(arguments) == files
