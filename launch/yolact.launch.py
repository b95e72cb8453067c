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

PACKAGE = "yolact_ros"
PASSED_ON = ("preset", "weights", "device")
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
TRANSPORT_VARIABLES = (*PROFILE_VARIABLES, "FASTDDS_BUILTIN_TRANSPORTS")


def transport_environment(share: str) -> dict[str, str]:
    """What lets large images leave a process, unless the user has settings of their own."""
    if any(os.environ.get(name) for name in TRANSPORT_VARIABLES):
        return {}
    profile = os.path.join(share, "config", "fastdds.xml")
    return dict.fromkeys(PROFILE_VARIABLES, profile)


def segmentation(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The node, with the arguments that were given."""
    share = get_package_share_directory(PACKAGE)
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
            additional_env=transport_environment(share),
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
                additional_env=transport_environment(share),
                output="screen",
                condition=IfCondition(LaunchConfiguration("demo_camera")),
            ),
            Node(
                package="rviz2",
                executable="rviz2",
                arguments=["-d", os.path.join(share, "config", "yolact.rviz")],
                output="screen",
                condition=IfCondition(LaunchConfiguration("rviz")),
            ),
        ]
    )
