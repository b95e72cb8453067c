# SPDX-License-Identifier: Apache-2.0
"""What was recorded: a file goes in, frames come out; frames and results go into files.

Videos: read `video` first, which reads a video frame by frame, then `video_writer`, which chooses
one of the `encoders`. Bags: `images/` turns messages into arrays and `fields` turns results into
messages' fields, both for the node as well, as is `matching` (which depth belongs to which image);
`bags/` reads bags, and writes them with the results. Nothing here needs torch or ROS.
"""
