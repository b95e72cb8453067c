# SPDX-License-Identifier: Apache-2.0
"""Checks of a machine, each with its remedy in one line: what `yolact-ros doctor` prints.

In: facts about this machine. Out: a `Finding` (findings.py of the package) for each check.

A check is a function of facts, so that it can be tried with those of another machine; the facts are
gathered beside it. Read software.py (Python, ROS, messages, NumPy and OpenCV), then gpu.py (torch,
torchvision and what Triton needs), weights.py, and report.py (text, JSON, exit status). The checks
that need ROS are in ros/doctor/.
"""
