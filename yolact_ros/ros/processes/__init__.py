# SPDX-License-Identifier: Apache-2.0
"""Starting nodes as processes and ending them; used by demo/, bench/ and tests, never by the node.

In: an executable and its parameters. Out: a running process that ends with its parent.

Read domain_id.py (a ROS domain that nobody else on this machine uses), parent.py (ends a process
with its parent, even if that is killed) and children.py (`Child`, `Children`).
"""
