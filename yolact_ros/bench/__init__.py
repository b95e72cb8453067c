# SPDX-License-Identifier: Apache-2.0
"""How fast the segmenter is on this machine, and how much memory it takes.

In: `SpeedSettings`. Out: a dictionary that JSON can hold, a table and a plot of it.

Read `settings.py` (what is measured), `workload.py` (networks and images that do it, all with the
detections of `constant_detections.py`), `baseline.py` (the published code's way to segment, for
comparison) and `stages.py` (one call after another is timed); then `growth.py` (the same for many
sizes), `space.py` (objects in space and points), `tracking.py` (numbers over time), `tables.py` and
`plots.py` (for people, those of `yolact_ros.ros.bench` too). `timings.py`, `memory.py` and
`machine.py` are single measures that these use; `complexity.py` is for the presets.
"""
