# SPDX-License-Identifier: Apache-2.0
"""What a node answers to `ros2 param describe`, `set` and `delete`, from its table."""

from __future__ import annotations

from collections.abc import Sequence

from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from yolact_ros.ros.parameters.spec import ParameterSpec
from yolact_ros.ros.parameters.suggestions import did_you_mean


class TableParameters(Node):
    """Goes before rclpy's class among the bases of a node that declares its parameters by a table.

    rclpy checks ranges with words of its own, deletes what is declared with dynamic typing, and
    does not name a parameter that it does not know.

    Attributes:
        parameter_table: The table.
    """

    parameter_table: tuple[ParameterSpec, ...]

    def describe_parameter(self, name: str) -> ParameterDescriptor:
        """Describe a parameter with its range, which rclpy is not told."""
        spec = self.spec(name)
        return super().describe_parameter(name) if spec is None else spec.shown_descriptor()

    def set_parameters_atomically(self, parameter_list: Sequence[Parameter]) -> SetParametersResult:
        """Set all of the parameters, or refuse them with words."""
        for parameter in parameter_list:
            if reason := self._refusal(parameter):
                self.get_logger().warning(f"parameter refused: {reason}")
                return SetParametersResult(successful=False, reason=reason)
        return super().set_parameters_atomically(list(parameter_list))

    def spec(self, name: str) -> ParameterSpec | None:
        """Return the row of the table with a name."""
        return next((spec for spec in self.parameter_table if spec.name == name), None)

    def _refusal(self, parameter: Parameter) -> str:
        """Why a parameter cannot be set, whatever its value; else nothing."""
        name = parameter.name
        if not self.has_parameter(name):
            known = [spec.name for spec in self.parameter_table]
            return f"{name}: this node has no such parameter{did_you_mean(name, known)}"
        if parameter.type_ == Parameter.Type.NOT_SET:
            return f"{name}: expected a value; a parameter of this node cannot be deleted"
        spec = self.spec(name)
        if spec is not None and spec.only_at_start:
            return f"{name}: expected a value at the start only; start the node again to change it"
        return ""
