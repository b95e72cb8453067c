# SPDX-License-Identifier: Apache-2.0
"""Parameters, declared once.

In: the values that ROS has for a node. Out: checked `Settings`, or one error that names every wrong
value, its range and what came. README, launch file and `ros2 param describe` show the same table.

Read reading.py (`ParameterSpec`, one row, and how a node declares and reads rows), then table.py
(the rows of the node yolact), then qos.py (quality of service).
"""
