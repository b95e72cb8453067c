# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the real node over DDS: cameras and nodes are processes of their own.

In: `NodeBenchSettings`. Out: a dictionary that JSON can hold, for the tables and plots of
`yolact_ros.bench`.

Read `settings.py` (cameras, and the nodes that serve them), `measure.py` (all sessions, and what
they amount to), `session.py` (one of them) and `stand.py` (its processes); then `camera.py`, which
runs as a program and publishes, `helper.py`, which talks to it, `helper_program.py`, which is its
end of that, and `viewer.py`, which subscribes.
`counts.py` adds up frames, `process_use.py` reads processor, memory and GPU. Of minutes of soak or
storm, `recorder.py` records every second and `timeline.py` says what that amounts to; `storm/` is
what happens in a storm. `frame.py` belongs to `yolact-ros bench` without DDS in between.
"""
