# SPDX-License-Identifier: Apache-2.0
"""Parameters, declared once.

In: the values that ROS has for a node. Out: checked `Settings`, or one error that names every wrong
value, its range and what came. docs/parameters.md, the launch file and `ros2 param describe` show
the same table.

Read table.py (the parameters of the node yolact, each a field of `Settings`), then spec.py (what
`parameter(...)` makes of a field, and which values it takes), then reading.py (how a node declares,
reads and checks the table) and answers.py (what it answers to `ros2 param`).

The others say what was typed wrongly: suggestions.py names that nobody declared, files.py parameter
files for other nodes, refusals.py command lines that ROS refuses. command_line.py is --help, and
what is no argument of ROS; from_text.py reads the arguments of the launch file; qos.py is about
quality of service.
"""
