# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 side: the only folder that imports rclpy, message packages and cv_bridge.

`yolact_ros.masks` is the exception within it: it decodes masks for consumers and needs NumPy
alone.
"""
