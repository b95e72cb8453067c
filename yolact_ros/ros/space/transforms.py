# SPDX-License-Identifier: Apache-2.0
"""Where the camera's frame is in `space.target_frame`, at the moment of an image."""

from __future__ import annotations

from typing import Any

from builtin_interfaces.msg import Time
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time as ClockTime

from yolact_ros.errors import InputError
from yolact_ros.space import Transform


class TransformError(InputError):
    """There is no usable transform; the text is tf2's."""


class Transforms:
    """Listens to /tf and /tf_static, through tf2_ros, which is imported here alone.

    Attributes:
        target_frame: The frame that everything is brought into.

    Args:
        node: Whose executor receives the transforms.
        target_frame: The same.

    Raises:
        InputError: There is no tf2_ros.
    """

    def __init__(self, node: Node, target_frame: str) -> None:
        try:
            import tf2_ros
        except ImportError as error:
            raise InputError(
                f"space.target_frame: expected tf2_ros for the transform to {target_frame}, got "
                f"{error}; install tf2_ros_py or leave the parameter empty"
            ) from error
        self.target_frame = target_frame
        self._failures: Any = tf2_ros.TransformException
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, node, spin_thread=False)

    def lookup(self, frame: str, stamp: Time, patience: float) -> Transform:
        """Return the motion from a frame to the target frame; not in the executor's thread.

        Args:
            frame: The camera's.
            stamp: The image's.
            patience: How long to wait for it, s.

        Raises:
            TransformError: It is not known, or has no meaning.
        """
        try:
            found = self._buffer.lookup_transform(
                self.target_frame,
                frame,
                ClockTime.from_msg(stamp),
                timeout=Duration(seconds=patience),
            ).transform
        except self._failures as error:
            raise TransformError(
                f"expected a transform from {frame or 'a frame without a name'} to "
                f"{self.target_frame} (space.target_frame) at the image's stamp, got "
                f"{type(error).__name__}: {error}"
            ) from None
        rotation, translation = found.rotation, found.translation
        try:
            return Transform.from_quaternion(
                (rotation.x, rotation.y, rotation.z, rotation.w),
                (translation.x, translation.y, translation.z),
            )
        except InputError as error:
            raise TransformError(str(error)) from None

    def close(self) -> None:
        """End the subscriptions."""
        self._listener.unregister()
