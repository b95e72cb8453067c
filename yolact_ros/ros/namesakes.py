# SPDX-License-Identifier: Apache-2.0
"""Notices other nodes of the same name: services then reach either of them."""

from __future__ import annotations

from rclpy.node import Node

REMEDY = "give one another name (-r __node:=NAME) or namespace (-r __ns:=/NAME)"


class Namesakes:
    """Counts the nodes of this node's name, and warns once whenever there are more of them.

    Args:
        node: The node.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._seen = 1

    def check(self) -> None:
        """Count, and warn if the number has grown; asks only this process, in microseconds."""
        name = (self._node.get_name(), self._node.get_namespace())
        count = self._node.get_node_names_and_namespaces().count(name)
        if count > max(self._seen, 1):
            self._node.get_logger().warning(
                f"{count} nodes are called {self._node.get_fully_qualified_name()}: services and "
                f"parameters reach any of them; {REMEDY}. A node that was killed counts for "
                "another 20 s"
            )
        self._seen = count
