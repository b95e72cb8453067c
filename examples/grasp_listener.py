#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where a parallel gripper takes the best object of a class, or why it should not.

python3 grasp_listener.py --ros-args -p class_name:=mug

Subscribes to yolact/objects. Publishes `grasp` (geometry_msgs/PoseStamped, in the frame and with
the stamp of the objects) and `grasp_width` (std_msgs/Float64), the opening in metres with which the
gripper comes. The axes of `grasp` are the gripper's: z is the approach, and the fingers close along
y. The node is for the two functions in it, `grasp_of` and `best_grasp`: take them into your own.
"""

from __future__ import annotations

import math
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from std_msgs.msg import Float64
from yolact_ros.msg import Object, ObjectArray

LARGEST = 1e6
"""Of the numbers of a message: with larger ones, arithmetic itself may fail."""

ENDS = 1.12
"""A disc's width by the edge of its box, which leaves out 2 % of the points at each end."""

H = math.sqrt(0.5)

TURNS = {
    # approach from above, box axis of the closing: gripper's axes in the box's, as a quaternion
    (False, 0): (0.0, 0.0, -H, H),  # x, y, z of the gripper are -y, x, z of the box
    (False, 1): (0.0, 0.0, 0.0, 1.0),  # x, y, z
    (True, 0): (H, H, 0.0, 0.0),  # y, x, -z
    (True, 1): (0.0, 1.0, 0.0, 0.0),  # -x, y, -z
}


@dataclass(frozen=True)
class Limits:
    """What is asked of a grasp; each field is a parameter of the node.

    Attributes:
        from_above: Approach against the box's third axis, which is up where the node that measures
            has `space.up` or `space.target_frame`. Else along it: boxes without such a setting are
            along the camera's axes, and the third one is where it looks.
        camera: x, y, z of the camera in the frame of the objects, metres. That is the origin
            unless `space.target_frame` is set.
        max_width: Greatest opening of the gripper, metres.
        clearance: Metres left free beside the object, on each side.
        deviations: Standard deviations of the position that are left free, on each side.
        max_closing_deviation: Standard deviation along the closing direction, metres.
        max_deviation: Standard deviation of the centre in its worst direction, metres.
        min_coverage: Share of the mask's pixels with usable depth.
        min_points: Points that the box was made of.
        max_age: Seconds between the image's stamp and now.

    Raises:
        ValueError: `camera` has not three numbers.
    """

    from_above: bool = False
    camera: Sequence[float] = (0.0, 0.0, 0.0)
    max_width: float = 0.085
    clearance: float = 0.005
    deviations: float = 2.0
    max_closing_deviation: float = 0.004
    max_deviation: float = 0.01
    min_coverage: float = 0.6
    min_points: int = 100
    max_age: float = 0.5

    def __post_init__(self) -> None:
        if len(self.camera) != 3:
            raise ValueError(f"camera: expected x, y, z, got {list(self.camera)}")


@dataclass(frozen=True, eq=False)
class Grasp:
    """Where to close the fingers.

    Attributes:
        position: (3,) metres, the box's centre.
        orientation: (4,) quaternion x, y, z, w from the gripper's axes to the frame of the objects:
            z the approach, y the closing direction.
        width: Opening with which to approach, metres.
        score: Of the object.
    """

    position: npt.NDArray[np.float64]
    orientation: npt.NDArray[np.float64]
    width: float
    score: float


def grasp_of(item: Object, limits: Limits) -> Grasp | str:
    """The grasp of one object, or one sentence that says why there is none.

    Of the box's two axes across the approach, the fingers close along the one that needs the
    smaller opening. The box ends where the camera sees no further: behind that, the object is
    taken to reach as far as its shadow does, but to be no deeper than it is wide.
    """
    box = item.pose.pose
    centre = np.array([box.position.x, box.position.y, box.position.z])
    turn = np.array([box.orientation.x, box.orientation.y, box.orientation.z, box.orientation.w])
    size = np.array([item.size.x, item.size.y, item.size.z])
    covariance = np.array(item.pose.covariance).reshape(6, 6)[:3, :3]
    sure = (item.score, item.depth_coverage)
    if not all((np.abs(part) < LARGEST).all() for part in (centre, turn, size, covariance, sure)):
        return f"its message has numbers that are not finite, or {LARGEST:g} and more"
    variances = np.linalg.eigvalsh(covariance)
    if abs(np.linalg.norm(turn) - 1) > 1e-3 or size.min() <= 0 or variances[0] < -1e-9:
        return (
            "expected a unit quaternion, edges above 0 and a covariance without negative "
            f"variances, got {turn.tolist()}, {size.tolist()} and {covariance.tolist()}"
        )
    if item.depth_coverage < limits.min_coverage:
        return (
            f"only {item.depth_coverage:.0%} of its mask has depth, "
            f"expected {limits.min_coverage:.0%} or more"
        )
    if item.points < limits.min_points:
        return f"its box is made of {item.points} points, expected {limits.min_points} or more"
    worst = math.sqrt(max(variances[-1], 0.0))
    if worst > limits.max_deviation:
        return (
            f"the standard deviation of its centre is {worst * 1000:.1f} mm, "
            f"expected {limits.max_deviation * 1000:.1f} mm or less"
        )

    axes = axes_of(turn)
    approach = -axes[2] if limits.from_above else axes[2]
    sight = centre - np.array(limits.camera)
    ahead = float(sight @ approach)
    if ahead <= 0:
        return (
            "the approach would lead towards the camera: set `from_above` if boxes are upright, "
            "and only then, and `camera` if they are not in the camera's frame"
        )
    widths, closing_deviations = [], []
    for closing, across in ((0, 1), (1, 0)):
        # The fingers go as deep as the box's centre, and there the shadow reaches so far sideways.
        shadow = size[2] / 2 * abs(float(sight @ axes[closing])) / ahead
        hidden = min(shadow, max(size[across] - size[closing], 0.0))
        deviation = math.sqrt(max(axes[closing] @ covariance @ axes[closing], 0.0))
        free = limits.clearance + limits.deviations * deviation
        widths.append(float(ENDS * size[closing] + 2 * (hidden + free)))
        closing_deviations.append(deviation)
    closing = int(np.argmin(widths))
    if widths[closing] > limits.max_width:
        return (
            f"it needs an opening of {widths[closing] * 1000:.0f} mm, "
            f"the gripper has {limits.max_width * 1000:.0f} mm"
        )
    if closing_deviations[closing] > limits.max_closing_deviation:
        return (
            f"its standard deviation where the fingers close is "
            f"{closing_deviations[closing] * 1000:.1f} mm, "
            f"expected {limits.max_closing_deviation * 1000:.1f} mm or less"
        )
    orientation = product(turn, np.array(TURNS[limits.from_above, closing]))
    return Grasp(centre, orientation, widths[closing], float(item.score))


def best_grasp(
    message: ObjectArray, class_name: str, limits: Limits, now: float
) -> tuple[Grasp | None, list[str]]:
    """The grasp of the object with the best score that is not refused, and what was refused.

    Args:
        message: The objects.
        class_name: Class to look at; empty: all.
        limits: What is asked.
        now: Seconds, of the clock that stamps images.

    Returns:
        The grasp, if there is one, and a sentence for each refusal.
    """
    age = now - message.header.stamp.sec - message.header.stamp.nanosec * 1e-9
    if abs(age) > limits.max_age:
        return None, [f"the objects are {age:.2f} s old, expected {limits.max_age:g} s at most"]
    wanted = [item for item in message.objects if class_name in ("", item.class_name)]
    if not wanted:
        return None, [f"no {class_name or 'object'} among {len(message.objects)} objects"]
    refusals = []
    for item in sorted(wanted, key=lambda item: -item.score):
        grasp = grasp_of(item, limits)
        if isinstance(grasp, Grasp):
            return grasp, refusals
        refusals.append(f"{item.class_name} {item.instance}: {grasp}")
    return None, refusals


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


def product(
    left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The product of two quaternions x, y, z, w: `right` turns first. Its length is 1."""
    vector = left[3] * right[:3] + right[3] * left[:3] + np.cross(left[:3], right[:3])
    turn = np.append(vector, left[3] * right[3] - left[:3] @ right[:3])
    return turn / np.linalg.norm(turn)


class GraspListener(Node):
    """Publishes the best grasp of each message, and says every 5 s at most why there is none."""

    def __init__(self) -> None:
        super().__init__("grasp_listener")
        self._class_name = self.declare_parameter("class_name", "").value
        self._limits = Limits(
            **{
                field.name: self.declare_parameter(field.name, field.default).value
                for field in fields(Limits)
            }
        )
        self._grasps = self.create_publisher(PoseStamped, "grasp", 1)
        self._widths = self.create_publisher(Float64, "grasp_width", 1)
        self.create_subscription(ObjectArray, "yolact/objects", self._on_objects, 1)

    def _on_objects(self, message: ObjectArray) -> None:
        now = self.get_clock().now().nanoseconds * 1e-9
        grasp, refusals = best_grasp(message, self._class_name, self._limits, now)
        if refusals:
            beginning = "no grasp: " if grasp is None else "refused: "
            self.get_logger().info(beginning + "; ".join(refusals), throttle_duration_sec=5.0)
        if grasp is None:
            return
        pose = PoseStamped(header=message.header)
        position, orientation = pose.pose.position, pose.pose.orientation
        position.x, position.y, position.z = grasp.position.tolist()
        orientation.x, orientation.y, orientation.z, orientation.w = grasp.orientation.tolist()
        self._grasps.publish(pose)
        self._widths.publish(Float64(data=grasp.width))


def main() -> None:
    """Listen until Ctrl-C."""
    # rclpy ends the spin on Ctrl-C. Python itself would interrupt the conversion of a message.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rclpy.init()
    try:
        node = GraspListener()
    except (ParameterException, ValueError) as error:
        sys.exit(f"grasp_listener: {error}")
    try:
        rclpy.spin(node)
    except Exception:
        if rclpy.ok():  # else the end came, perhaps while a message was on its way out
            raise


if __name__ == "__main__":
    main()
