# SPDX-License-Identifier: Apache-2.0
"""What rclpy does not guard."""

import threading

import pytest
import rclpy
from rclpy.exceptions import InvalidHandle
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn

from yolact_ros.ros.compat import destroy_state_machine, lifecycle_state


def test_a_node_may_be_destroyed_within_a_transition(domain_id):
    """The transition's thread goes on with freed memory otherwise, and the process crashes."""
    begun, go_on, raised = threading.Event(), threading.Event(), []

    class Slow(LifecycleNode):
        def on_configure(self, state):
            begun.set()
            assert go_on.wait(20)
            return TransitionCallbackReturn.SUCCESS

    def configure():
        try:
            node.trigger_configure()
        except Exception as error:
            raised.append(error)

    rclpy.init(args=[], domain_id=domain_id)
    try:
        node = Slow("slow")
        assert lifecycle_state(node) == "unconfigured"
        thread = threading.Thread(target=configure)
        thread.start()
        assert begun.wait(20)
        node.destroy_node()
        destroy_state_machine(node)
        go_on.set()
        thread.join(20)
    finally:
        rclpy.shutdown()
    [error] = raised
    assert isinstance(error, InvalidHandle)
    with pytest.raises(InvalidHandle, match="current_state"):
        lifecycle_state(node)
