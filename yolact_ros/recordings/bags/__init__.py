# SPDX-License-Identifier: Apache-2.0
"""Bags: images, depth and calibrations are read from one, and results are written to another.

In: a rosbag2 (SQLite3, MCAP) or a ROS 1 bag. Out: a rosbag2 with what the node would publish.

In the order of an image: `reader` opens a bag (`cut` says what is in one that cannot be opened),
`topics` chooses which of its topics to read, `images` yields each image with its depth, `results`
makes the fields of the messages, `types` makes messages of these, and `writer` writes them in parts
that a killed run leaves whole. rosbags is imported within functions: it is an extra.
"""
