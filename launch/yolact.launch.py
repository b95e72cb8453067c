# SPDX-License-Identifier: Apache-2.0
"""Start the node yolact for one or several cameras, optionally with synthetic cameras and rviz2.

An empty argument is not passed on: the value in the parameter file, or the node's default, applies.
"""

import os
from typing import List  # noqa: UP035

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from yolact_ros.ros.fastdds_profile import profile_variables
from yolact_ros.ros.parameters.table import PARAMETERS

PACKAGE = "yolact_ros"
PASSED_ON = ("preset", "weights", "engine", "device")


def listed(context: LaunchContext, name: str) -> list[str]:
    """Return the names in a comma-separated argument."""
    text = LaunchConfiguration(name).perform(context)
    return [part.strip() for part in text.split(",") if part.strip()]


def topics(context: LaunchContext) -> list[tuple[str, str]]:
    """Return the node's name of each image topic, and the topic given for it, if any."""
    cameras, images = listed(context, "cameras"), listed(context, "image")
    names = [f"{camera}/image" for camera in cameras] or ["image"]
    if images and len(images) != len(names):
        raise ValueError(
            f"image: expected a topic for each of {len(names)} cameras, separated by commas, "
            f"got {len(images)}"
        )
    return list(zip(names, images or names, strict=True))


def segmentation(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the node with the arguments that were given."""
    given = {name: LaunchConfiguration(name).perform(context) for name in PASSED_ON}
    # As strings: a path such as 123 would arrive as a number.
    parameters = {
        name: ParameterValue(value, value_type=str) for name, value in given.items() if value
    }
    if cameras := listed(context, "cameras"):
        # launch_ros knows this spelling of the type alone
        parameters["cameras"] = ParameterValue(cameras, value_type=List[str])  # noqa: UP006
    return [
        Node(
            package=PACKAGE,
            executable="yolact_node",
            name="yolact",
            namespace=LaunchConfiguration("namespace"),
            parameters=[LaunchConfiguration("params_file"), *([parameters] if parameters else [])],
            remappings=[(name, topic) for name, topic in topics(context) if name != topic],
            additional_env=profile_variables(),
            output="screen",
        )
    ]


def demo_cameras(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return one synthetic camera per name, each in a namespace of that name."""
    namespace = LaunchConfiguration("namespace").perform(context)
    return [
        Node(
            package=PACKAGE,
            executable="demo_camera",
            name="demo_camera",
            namespace="/".join(part for part in (namespace, camera) if part),
            parameters=[{"seed": 1000 * number, "frame_id": f"{camera}_optical_frame"}]
            if camera
            else [],
            additional_env=profile_variables(),
            output="screen",
        )
        for number, camera in enumerate(listed(context, "cameras") or [""])
    ]


def rviz(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return rviz2, showing the overlay and the image of the first camera."""
    share = get_package_share_directory(PACKAGE)
    namespace = LaunchConfiguration("namespace").perform(context).strip("/")
    prefix = f"/{namespace}" if namespace else ""
    name, image = topics(context)[0]
    image = image if image.startswith("/") else f"{prefix}/{image}"
    overlay = f"{prefix}/yolact/{name.removesuffix('image')}overlay"
    return [
        Node(
            package="rviz2",
            executable="rviz2",
            arguments=["-d", os.path.join(share, "config", "yolact.rviz")],
            remappings=[("/yolact/overlay", overlay), ("/image", image)],
            output="screen",
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and what they start."""
    share = get_package_share_directory(PACKAGE)
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(spec.name, default_value="", description=spec.description)
                for spec in PARAMETERS
                if spec.name in PASSED_ON
            ),
            DeclareLaunchArgument(
                "cameras",
                default_value="",
                description="Cameras that share the network, separated by commas: front,rear.",
            ),
            DeclareLaunchArgument(
                "image",
                default_value="",
                description="Image topic of the camera; with cameras, one topic per camera: a,b.",
            ),
            DeclareLaunchArgument(
                "namespace", default_value="", description="Namespace of all nodes except rviz2."
            ),
            DeclareLaunchArgument(
                "params_file",
                default_value=os.path.join(share, "config", "yolact.yaml"),
                description="Parameter file.",
            ),
            DeclareLaunchArgument(
                "demo_camera",
                default_value="false",
                description="Start cameras that film synthetic scenes.",
            ),
            DeclareLaunchArgument(
                "rviz", default_value="false", description="Start rviz2 with the overlay."
            ),
            OpaqueFunction(function=segmentation),
            OpaqueFunction(
                function=demo_cameras, condition=IfCondition(LaunchConfiguration("demo_camera"))
            ),
            OpaqueFunction(function=rviz, condition=IfCondition(LaunchConfiguration("rviz"))),
        ]
    )
