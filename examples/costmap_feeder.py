#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Objects as obstacles for a costmap: points all over their boxes.

python3 costmap_feeder.py --ros-args -p resolution:=0.05 -p "ignored:=[ball, mug]"

Subscribes to yolact/objects and publishes `~/points` (sensor_msgs/PointCloud2, in the frame and
with the stamp of the objects), as the obstacle and voxel layers of Nav2 take it: see
nav2_obstacle_layer.yaml beside this file. Boxes grow where they are not sure.
"""

from __future__ import annotations

import signal
import sys
from array import array

import numpy as np
import numpy.typing as npt
import rclpy
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2, PointField
from yolact_ros.msg import Object, ObjectArray

LARGEST = 1e6
"""Of the numbers of a message: with larger ones, arithmetic itself may fail."""

MAX_POINTS = 200_000
"""Of one object: at 5 cm, the surface of a cube of 6 m."""


def obstacle_of(
    item: Object, resolution: float, deviations: float
) -> npt.NDArray[np.float32] | str:
    """Points on the surface of an object's box, or one sentence that says why there are none.

    Args:
        item: The object.
        resolution: Edge of the costmap's cells, metres. Points are so close to each other that
            each cell within the box's outline has one, however the box is turned.
        deviations: Standard deviations of the position by which the box grows at each end.

    Returns:
        (N, 3) float32 metres in the frame of the objects.
    """
    box = item.pose.pose
    centre = np.array([box.position.x, box.position.y, box.position.z])
    turn = np.array([box.orientation.x, box.orientation.y, box.orientation.z, box.orientation.w])
    size = np.array([item.size.x, item.size.y, item.size.z])
    covariance = np.array(item.pose.covariance).reshape(6, 6)[:3, :3]
    if not all((np.abs(part) < LARGEST).all() for part in (centre, turn, size, covariance)):
        return f"its message has numbers that are not finite, or {LARGEST:g} and more"
    if abs(np.linalg.norm(turn) - 1) > 1e-3 or size.min() < 0:
        return f"expected a unit quaternion and edges of 0 or more, got {turn}, {size}"
    axes = axes_of(turn)
    variances = np.einsum("ai,ij,aj->a", axes, covariance, axes)
    half = size / 2 + deviations * np.sqrt(np.maximum(variances, 0.0))
    # A square of this edge has the cell's inscribed circle around it: no cell is between points.
    step = resolution / np.sqrt(2)
    counts = np.ceil(2 * half / step) + 1
    number = 2 * (counts[0] * counts[1] + counts[1] * counts[2] + counts[2] * counts[0])
    if number > MAX_POINTS:
        edges = " x ".join(f"{edge:.2f}" for edge in 2 * half)
        return f"its box of {edges} m would have {number:.0f} points, expected {MAX_POINTS} at most"
    ticks = [np.linspace(-h, h, int(count)) for h, count in zip(half, counts, strict=True)]
    faces = []
    for axis in range(3):
        sides = list(ticks)
        sides[axis] = half[axis] * np.array([-1.0, 1.0])
        faces.append(np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 3))
    return (np.concatenate(faces) @ axes + centre).astype(np.float32)


def axes_of(turn: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(3, 3), a row for each axis that the unit quaternion x, y, z, w turns x, y and z into."""
    x, y, z, w = turn / np.linalg.norm(turn)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)],
            [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)],
            [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def cloud_of(points: npt.NDArray[np.float32], message: ObjectArray) -> PointCloud2:
    """The points (N, 3) as a message with the objects' header."""
    names = ("x", "y", "z")
    return PointCloud2(
        header=message.header,
        height=1,
        width=len(points),
        fields=[
            PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
            for i, name in enumerate(names)
        ],
        is_bigendian=False,
        point_step=12,
        row_step=12 * len(points),
        data=array("B", points.tobytes()),
        is_dense=True,
    )


class CostmapFeeder(Node):
    """Publishes a cloud for each message, an empty one where there is nothing."""

    def __init__(self) -> None:
        super().__init__("costmap_feeder")
        self._resolution = self.declare_parameter("resolution", 0.05).value
        self._deviations = self.declare_parameter("deviations", 2.0).value
        self._ignored = self.declare_parameter("ignored", [""]).value
        if not (self._resolution > 0 and self._deviations >= 0):
            raise ValueError(
                "expected a resolution above 0 m and 0 deviations or more, "
                f"got {self._resolution} and {self._deviations}"
            )
        self._clouds = self.create_publisher(PointCloud2, "~/points", 5)
        self.create_subscription(ObjectArray, "yolact/objects", self._on_objects, 1)

    def _on_objects(self, message: ObjectArray) -> None:
        obstacles = [np.zeros((0, 3), np.float32)]
        for item in message.objects:
            if item.class_name in self._ignored:
                continue
            obstacle = obstacle_of(item, self._resolution, self._deviations)
            if isinstance(obstacle, str):
                self.get_logger().warning(
                    f"{item.class_name} {item.instance} is not in the cloud: {obstacle}",
                    throttle_duration_sec=5.0,
                )
            else:
                obstacles.append(obstacle)
        self._clouds.publish(cloud_of(np.concatenate(obstacles), message))


def main() -> None:
    """Feed until Ctrl-C."""
    # rclpy ends the spin on Ctrl-C. Python itself would interrupt the conversion of a message.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rclpy.init()
    try:
        node = CostmapFeeder()
    except (ParameterException, ValueError) as error:
        sys.exit(f"costmap_feeder: {error}")
    try:
        rclpy.spin(node)
    except Exception:
        if rclpy.ok():  # else the end came, perhaps while a message was on its way out
            raise


if __name__ == "__main__":
    main()
