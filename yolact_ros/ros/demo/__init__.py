# SPDX-License-Identifier: Apache-2.0
"""`scripts/demo`: synthetic cameras and the real node in processes of their own.

In: nothing but a seed. Out: lines about results, rate and latency, an overlay picture, and an exit
code that says whether the results agree with the truth.

Read main.py (starts, watches, judges), camera.py (the node demo_camera, also an executable by
itself), truth.py (what the camera knows of its scene, as messages), viewer.py (the subscriber) and
truth_score.py (results against truth).
"""
