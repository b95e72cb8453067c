# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the real node over DDS, with every process of its own.

In: `NodeBenchSettings`. Out: a dictionary that JSON can hold, for the tables and plots of
`yolact_ros.bench`.

Read `settings.py` (cameras, and the nodes that serve them), `measure.py` (all sessions, and what
they amount to) and `session.py` (one from the start of its processes to their end); then the
programs it starts through `helper.py`: `camera.py`, which publishes, and `viewer.py`, which
subscribes. `counts.py` adds up frames, `statuses.py` keeps the diagnostics, `process_use.py`
reads processor, memory and GPU. `frame.py` belongs to `yolact-ros bench` without DDS in between.
"""
