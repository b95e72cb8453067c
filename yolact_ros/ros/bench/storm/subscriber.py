# SPDX-License-Identifier: Apache-2.0
"""A subscriber of a storm: takes some outputs, and now and then nothing for a while.

    python3 -m yolact_ros.ros.bench.storm.subscriber DESCRIPTOR

DESCRIPTOR is a `multiprocessing` connection's, as `helper.py` makes it. It gets {"topics": {name:
output}}, then commands {"stall": seconds} until the connection ends.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import rclpy
from sensor_msgs.msg import PointCloud2
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from yolact_ros.msg import ObjectArray
from yolact_ros.ros.bench.helper_program import connect, helper_node
from yolact_ros.ros.bench.viewer import TOPICS
from yolact_ros.ros.parameters.qos import volatile_qos

TYPES = TOPICS | {
    "objects": ObjectArray,
    "detections_3d": Detection3DArray,
    "markers": MarkerArray,
    "points": PointCloud2,
}
"""The outputs, those that need depth as well, and the type of each."""

_STEP = 0.05


def main(args: Sequence[str] | None = None) -> None:
    """Run the subscriber until its connection ends."""
    connection, settings = connect(args)
    with helper_node("storm_subscriber") as node:
        for topic, output in settings["topics"].items():
            qos = volatile_qos(depth=2, reliable=output != "points")
            node.create_subscription(TYPES[output], topic, lambda message: None, qos)
        while True:
            rclpy.spin_once(node, timeout_sec=_STEP)
            if connection.poll():
                time.sleep(connection.recv()["stall"])


if __name__ == "__main__":
    main()
