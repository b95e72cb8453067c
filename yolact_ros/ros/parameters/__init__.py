# SPDX-License-Identifier: Apache-2.0
"""Parameters, declared once.

In: the values that ROS has for a node. Out: checked `Settings`, or one error that names every wrong
value, its range and what came. README, launch file and `ros2 param describe` show the same table.

Read table.py (the parameters of the node yolact, each a field of `Settings`), then reading.py (what
`parameter(...)` makes of a field, and how a node declares, reads and checks the table), then qos.py
(quality of service).
"""
