# SPDX-License-Identifier: Apache-2.0
"""The parts of ROS 2's launch that a launch file uses, as its documentation describes them.

They keep what they are given, and start nothing. So the functions of a launch file can be tested
where launch is not installed; test/ros/test_launch.py runs the file with the real launch.
"""

import types
from dataclasses import dataclass, field
from typing import Any


class LaunchContext:
    """What launch knows while it runs: its command line, and arguments with their values."""

    def __init__(self, *, argv=None):
        self.argv = list(argv or [])
        self.launch_configurations = {}
        self.is_shutdown = False


@dataclass
class LaunchConfiguration:
    """Stands for an argument's value until it is performed."""

    variable_name: str

    def perform(self, context):
        return context.launch_configurations[self.variable_name]


@dataclass
class DeclareLaunchArgument:
    name: str
    default_value: str | None = None
    description: str = ""

    def execute(self, context):
        context.launch_configurations.setdefault(self.name, self.default_value)


@dataclass
class OpaqueFunction:
    """Calls a function with the context; what it returns is executed."""

    function: Any

    def execute(self, context):
        return self.function(context)


@dataclass
class TimerAction:
    period: float
    actions: list


@dataclass
class ParameterValue:
    value: Any
    value_type: Any = None


class _Action:
    """Keeps its arguments as attributes, and refuses those that the real action does not take."""

    takes: tuple[str, ...] = ()

    def __init__(self, **arguments):
        unknown = arguments.keys() - set(self.takes)
        if unknown:
            raise TypeError(f"unexpected arguments {unknown}")
        self.__dict__.update(dict.fromkeys(self.takes) | arguments)


class ExecuteProcess(_Action):
    takes = ("cmd", "name", "cwd", "env", "additional_env", "output", "on_exit", "respawn")


class Node(_Action):
    takes = (
        *("package", "executable", "name", "namespace", "parameters", "remappings"),
        *("ros_arguments", "arguments"),
        *(name for name in ExecuteProcess.takes if name not in ("cmd", "name")),
    )


@dataclass
class ProcessExited:
    """The event of a process that has ended; a process that a signal ended has its number, < 0."""

    returncode: int
    cmd: list = field(default_factory=list)
    cwd: str | None = None
    env: dict | None = None


class LaunchDescription:
    def __init__(self, entities):
        self.entities = entities


def modules() -> dict[str, types.ModuleType]:
    """Return stand-ins by the name under which a launch file imports them."""
    contents = {
        "launch": {},
        "launch.actions": {
            "DeclareLaunchArgument": DeclareLaunchArgument,
            "ExecuteProcess": ExecuteProcess,
            "OpaqueFunction": OpaqueFunction,
            "TimerAction": TimerAction,
        },
        "launch.events": {},
        "launch.events.process": {"ProcessExited": ProcessExited},
        "launch.launch_context": {"LaunchContext": LaunchContext},
        "launch.launch_description": {"LaunchDescription": LaunchDescription},
        "launch.launch_description_entity": {"LaunchDescriptionEntity": object},
        "launch.logging": {},
        "launch.substitutions": {"LaunchConfiguration": LaunchConfiguration},
        "launch_ros": {},
        "launch_ros.actions": {"Node": Node},
        "launch_ros.parameter_descriptions": {"ParameterValue": ParameterValue},
    }
    made = {}
    for name, attributes in contents.items():
        made[name] = types.ModuleType(name)
        made[name].__dict__.update(attributes)
    made["launch"].logging = made["launch.logging"]
    return made


class Launch:
    """Runs a launch file's functions with given arguments.

    Args:
        file: The module of the launch file, imported with `modules()` in place.
        argv: Arguments of the command line, NAME:=VALUE.
        nodes: Where to put the nodes, for when a function raises; None: a new dictionary.

    Attributes:
        context: What the functions were called with.
        nodes: The nodes to start, by executable.
        warnings: What was logged.
    """

    def __init__(self, file, *argv, nodes=None):
        self.context = LaunchContext(argv=argv)
        self.context.launch_configurations.update(item.split(":=", 1) for item in argv)
        self.warnings = []
        file.launch.logging.get_logger = lambda name: types.SimpleNamespace(
            warning=self.warnings.append
        )
        self.nodes = {} if nodes is None else nodes
        for entity in file.generate_launch_description().entities:
            for node in entity.execute(self.context) or []:
                self.nodes.setdefault(node.executable, []).append(node)
