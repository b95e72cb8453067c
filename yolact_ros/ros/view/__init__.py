# SPDX-License-Identifier: Apache-2.0
"""What `yolact-ros view` knows of a node: its topics, diagnostics and parameters.

In: the name of a node. Out: values on a `web.live.board.Board`, by name:

    watch              {"node", "changes"}: the node's name, and whether parameters may be changed
    node               its status (statuses.py) and the names of its cameras
    parameters         those that may change at run time (parameters.py)
    status:CAMERA      a camera's status (statuses.py); the only camera's name is empty
    picture:CAMERA     JPEG of the overlay     |
    result:CAMERA      instances and objects   | only while somebody looks
    note:CAMERA        why there are no objects

Read watch.py first, which subscribes, then results.py (which instance is which object).
"""
