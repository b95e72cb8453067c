# SPDX-License-Identifier: Apache-2.0
"""Start the node yolact for one or several cameras, optionally with synthetic cameras and rviz2.

Every parameter of the node is an argument. An empty argument is not passed on: the value in the
parameter file, or the node's default, applies. A wrong value is passed on, for the node to refuse.
"""

import os
import signal
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any, List  # noqa: UP035

import launch.logging
from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, TimerAction
from launch.events.process import ProcessExited
from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from yolact_ros.ros.fastdds_profile import profile_variables
from yolact_ros.ros.parameters.from_text import list_from_text, value_from_text
from yolact_ros.ros.parameters.spec import BOOLEAN, FLOAT, LISTS
from yolact_ros.ros.parameters.suggestions import did_you_mean
from yolact_ros.ros.parameters.table import PARAMETERS, camera_parameters
from yolact_ros.ros.run import WRONG_START

PACKAGE = "yolact_ros"
CAMERAS = next(spec for spec in PARAMETERS if spec.name == "cameras")

OF_LAUNCH = (
    "launch-prefix",
    "launch-prefix-filter",
    "emulate_tty",
    "sigterm_timeout",
    "sigkill_timeout",
)
"""Arguments that launch itself reads."""

SHOWN = ("overlay", "markers", "points")
"""The results that config/yolact.rviz shows."""

TOPICS = ("image", "depth", "camera_info")
"""What a camera publishes."""

ENDED_ON_PURPOSE = (0, -signal.SIGINT, -signal.SIGTERM)

Restart = Callable[[ProcessExited, LaunchContext], list[LaunchDescriptionEntity] | None]


def text_of(context: LaunchContext, name: str) -> str:
    """Return an argument as it was given."""
    return LaunchConfiguration(name).perform(context)


def value_of(context: LaunchContext, name: str, kind: str, expected: str) -> Any:
    """Return an argument of this file's own, which no node checks, or refuse it."""
    text = text_of(context, name)
    value = value_from_text(text, kind)
    if isinstance(value, str):
        raise ValueError(f"{name}: expected {expected}, got {text!r}")
    return value


def is_true(context: LaunchContext, name: str) -> bool:
    """Return whether an argument is true."""
    return value_of(context, name, BOOLEAN, "true or false")


def cameras_of(context: LaunchContext) -> list[str]:
    """Return the names of the cameras; none for one camera without a name."""
    return list_from_text(text_of(context, "cameras"))


def topics(context: LaunchContext, kind: str = "image") -> list[tuple[str, str]]:
    """Return the node's name of each camera's topic, and the topic given for it, if any.

    Args:
        context: Of the launch.
        kind: What comes on it: "image", "depth" or "camera_info".
    """
    given = list_from_text(text_of(context, kind))
    names = [f"{camera}/{kind}" for camera in cameras_of(context)] or [kind]
    if given and len(given) != len(names):
        raise ValueError(
            f"{kind}: expected a topic for each of {len(names)} cameras, separated by commas, "
            f"got {len(given)}"
        )
    return list(zip(names, given or names, strict=True))


def clock(context: LaunchContext) -> dict[str, Any]:
    """Return the parameter `use_sim_time`, if it was given."""
    name = "use_sim_time"
    return {name: is_true(context, name)} if text_of(context, name) else {}


def parameters(context: LaunchContext) -> dict[str, Any]:
    """Return the node's parameters that were given."""
    given = {
        spec.name: value_from_text(text, spec.kind)
        for spec in (*PARAMETERS, *camera_parameters(cameras_of(context)))
        if (text := context.launch_configurations.get(spec.name, ""))
    }
    return {name: typed(value) for name, value in given.items()} | clock(context)


def typed(value: Any) -> Any:
    """Return a value that launch_ros passes on with its type: it would make a number of '123'."""
    if isinstance(value, str):
        return ParameterValue(value, value_type=str)
    if isinstance(value, list):
        # launch_ros knows this spelling of the types alone
        if value and isinstance(value[0], float):
            return ParameterValue(value, value_type=List[float])  # noqa: UP006
        if value and isinstance(value[0], int):
            return ParameterValue(value, value_type=List[int])  # noqa: UP006
        return ParameterValue(value or [""], value_type=List[str])  # noqa: UP006
    return value


def restarting(delay: float) -> Restart:
    """Return what starts a node again that ended by a fault which another start may cure.

    launch's own `respawn` starts again what ended on purpose as well.

    Args:
        delay: Time until then, s.
    """

    def restart(
        event: ProcessExited, context: LaunchContext
    ) -> list[LaunchDescriptionEntity] | None:
        code = event.returncode
        if context.is_shutdown or code in (*ENDED_ON_PURPOSE, WRONG_START):
            return None
        launch.logging.get_logger("launch.user").warning(
            f"yolact_node ended with exit code {code}, and is started again in {delay:g} s"
        )
        again = ExecuteProcess(
            cmd=event.cmd,
            cwd=event.cwd,
            env=event.env,
            name="yolact_node",
            output="screen",
            on_exit=restart,
        )
        return [TimerAction(period=delay, actions=[again])]

    return restart


def segmentation(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the node with the arguments that were given."""
    passed_on: list[Any] = []
    ros_arguments = []
    if file := text_of(context, "params_file"):
        path = os.path.abspath(os.path.expanduser(file))
        if os.path.isfile(path):
            passed_on.append(path)
        else:
            # launch_ros would drop it, and the node go on without it
            ros_arguments += ["--params-file", path]
    if level := text_of(context, "log_level"):
        ros_arguments += ["--log-level", level]
    if given := parameters(context):
        passed_on.append(given)
    delay = value_of(context, "respawn_delay", FLOAT, "a number of seconds")
    return [
        Node(
            package=PACKAGE,
            executable="yolact_node",
            name="yolact",
            namespace=text_of(context, "namespace"),
            ros_arguments=ros_arguments,
            parameters=passed_on,
            remappings=[
                (name, topic)
                for kind in TOPICS
                for name, topic in topics(context, kind)
                if name != topic
            ],
            additional_env=profile_variables(),
            output="screen",
            on_exit=restarting(delay) if is_true(context, "respawn") else None,
        )
    ]


def demo_cameras(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return one synthetic camera per name, each in a namespace of that name, if wanted."""
    if not is_true(context, "demo_camera"):
        return []
    # Only a camera that is started needs a namespace: else the node refuses a wrong name.
    cameras = CAMERAS.check(cameras_of(context))
    namespace = text_of(context, "namespace")
    prefix = f"{namespace.rstrip('/')}/" if namespace else ""
    own = [
        {"seed": 1000 * number, "frame_id": f"{camera}_optical_frame"}
        for number, camera in enumerate(cameras)
    ]
    return [
        Node(
            package=PACKAGE,
            executable="demo_camera",
            name="demo_camera",
            namespace=place,
            parameters=[given | clock(context)] if given or clock(context) else [],
            additional_env=profile_variables(),
            output="screen",
        )
        for place, given in zip(
            [prefix + camera for camera in cameras] or [namespace], own or [{}], strict=True
        )
    ]


def rviz(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return rviz2, showing the results and the image of the first camera, if wanted."""
    if not is_true(context, "rviz"):
        return []
    try:
        get_package_prefix("rviz2")
    except PackageNotFoundError:
        raise ValueError("rviz: rviz2 is not installed: install it, or leave rviz out") from None
    share = get_package_share_directory(PACKAGE)
    namespace = text_of(context, "namespace").strip("/")
    prefix = f"/{namespace}" if namespace else ""
    name, image = topics(context)[0]
    image = image if image.startswith("/") else f"{prefix}/{image}"
    results = f"{prefix}/yolact/{name.removesuffix('image')}"
    return [
        Node(
            package="rviz2",
            executable="rviz2",
            arguments=["-d", os.path.join(share, "config", "yolact.rviz")],
            parameters=[clock(context)] if clock(context) else [],
            remappings=[
                *((f"/yolact/{topic}", f"{results}{topic}") for topic in SHOWN),
                ("/image", image),
            ],
            output="screen",
        )
    ]


def nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the nodes; whatever can be refused is refused before one of them is started.

    At an error launch ends, and what it was about to start comes up nevertheless, and stays.
    """
    return [*segmentation(context), *demo_cameras(context), *rviz(context)]


def is_launched() -> bool:
    """Return whether this file stands on the command line; else another launch file includes it."""
    return any(
        (before, here) == (PACKAGE, os.path.basename(__file__))
        or os.path.realpath(here) == os.path.realpath(__file__)
        for before, here in pairwise(sys.argv)
    )


def warn_of_unknown(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Warn of arguments that nobody declared: launch takes any, and does nothing with them."""
    known = [argument.name for argument in arguments()]
    known += [spec.name for spec in camera_parameters(cameras_of(context))]
    given = [argument.partition(":=")[0] for argument in context.argv]
    for name in given if is_launched() else []:  # else they are arguments of the other file
        if name not in (*known, *OF_LAUNCH):
            launch.logging.get_logger("launch.user").warning(
                f"unknown argument {name}, which is ignored{did_you_mean(name, known)}"
            )
    return []


def arguments() -> list[DeclareLaunchArgument]:
    """Return the arguments: the node's parameters, and those of this file."""
    of_node = {
        spec.name: (
            "",
            f"{spec.description} Allowed: {spec.constraint}"
            + (", separated by commas." if spec.kind in LISTS else "."),
        )
        for spec in PARAMETERS
    }
    config = os.path.join(get_package_share_directory(PACKAGE), "config", "yolact.yaml")
    of_this_file = {
        "image": ("", "Image topic of the camera; with cameras, one topic per camera: a,b."),
        "depth": ("", "Topic of the camera's registered depth images; with cameras: a,b."),
        "camera_info": ("", "Topic of the camera's calibration; with cameras: a,b."),
        "namespace": ("", "Namespace of all nodes except rviz2."),
        "params_file": (config, "Parameter file."),
        "use_sim_time": ("", "Whether the nodes take the time from /clock."),
        "log_level": ("", "Least severity that the node logs: debug, info, warn, error or fatal."),
        "respawn": (
            "true",
            "Start the node again if a fault ends it; not if it is told to end, nor if its "
            "arguments are refused.",
        ),
        "respawn_delay": ("2.0", "Seconds until the node is started again."),
        "demo_camera": ("false", "Start cameras that film synthetic scenes."),
        "rviz": ("false", "Start rviz2 with the overlay."),
    }
    return [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in (of_node | of_this_file).items()
    ]


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and what they start."""
    steps = (warn_of_unknown, nodes)
    return LaunchDescription([*arguments(), *(OpaqueFunction(function=step) for step in steps)])
