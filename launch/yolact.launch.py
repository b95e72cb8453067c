# SPDX-License-Identifier: Apache-2.0
"""Starts the node yolact, and on request a synthetic camera and rviz2.

An argument that is left empty is not passed on: the node's own default holds, or what the file of
parameters says.
"""

import os

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from yolact_ros.ros.transport import transport_settings

PACKAGE = "yolact_ros"
PASSED_ON = ("preset", "weights", "device")


def segmentation(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The node, with the arguments that were given."""
    given = {name: LaunchConfiguration(name).perform(context) for name in PASSED_ON}
    # As strings: a path such as 123 would arrive as a number.
    parameters = {
        name: ParameterValue(value, value_type=str) for name, value in given.items() if value
    }
    image = LaunchConfiguration("image").perform(context)
    return [
        Node(
            package=PACKAGE,
            executable="yolact_node",
            name="yolact",
            namespace=LaunchConfiguration("namespace"),
            parameters=[LaunchConfiguration("params_file"), *([parameters] if parameters else [])],
            remappings=[("image", image)] if image else [],
            additional_env=transport_settings(),
            output="screen",
        )
    ]


def rviz(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """rviz2 with the overlay and the camera's image of this namespace."""
    share = get_package_share_directory(PACKAGE)
    namespace = LaunchConfiguration("namespace").perform(context).strip("/")
    prefix = f"/{namespace}" if namespace else ""
    image = LaunchConfiguration("image").perform(context) or "image"
    image = image if image.startswith("/") else f"{prefix}/{image}"
    return [
        Node(
            package="rviz2",
            executable="rviz2",
            arguments=["-d", os.path.join(share, "config", "yolact.rviz")],
            remappings=[("/yolact/overlay", f"{prefix}/yolact/overlay"), ("/image", image)],
            output="screen",
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Declares the arguments and what they start."""
    share = get_package_share_directory(PACKAGE)
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "preset", default_value="", description="Network and class list."
            ),
            DeclareLaunchArgument(
                "weights", default_value="", description="File of the network's weights."
            ),
            DeclareLaunchArgument(
                "device", default_value="", description="auto, cpu, cuda or cuda:N."
            ),
            DeclareLaunchArgument(
                "image", default_value="", description="Topic of the camera's images."
            ),
            DeclareLaunchArgument(
                "namespace", default_value="", description="Namespace of all nodes but rviz2."
            ),
            DeclareLaunchArgument(
                "params_file",
                default_value=os.path.join(share, "config", "yolact.yaml"),
                description="File of parameters.",
            ),
            DeclareLaunchArgument(
                "demo_camera",
                default_value="false",
                description="Whether a camera that films synthetic scenes is started.",
            ),
            DeclareLaunchArgument(
                "rviz", default_value="false", description="Whether rviz2 shows the overlay."
            ),
            OpaqueFunction(function=segmentation),
            Node(
                package=PACKAGE,
                executable="demo_camera",
                name="demo_camera",
                namespace=LaunchConfiguration("namespace"),
                additional_env=transport_settings(),
                output="screen",
                condition=IfCondition(LaunchConfiguration("demo_camera")),
            ),
            OpaqueFunction(function=rviz, condition=IfCondition(LaunchConfiguration("rviz"))),
        ]
    )
