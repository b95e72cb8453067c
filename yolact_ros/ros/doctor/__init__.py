# SPDX-License-Identifier: Apache-2.0
"""The doctor's checks that need ROS: what the node meets, asked for before it is started.

In: a parameter file, a camera's topic, the ROS graph. Out: findings (findings.py of the package).

Read machine.py (middleware, its profile, shared memory), parameters.py (a parameter file),
camera.py (a camera's topic: who publishes, what arrives, how old it is), segments.py (the shared
memory of a camera on this machine), graph.py (all nodes: names, and messages that differ), and
examine.py, which runs them. They know what the node knows: they call the same functions.
"""
