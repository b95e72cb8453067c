# SPDX-License-Identifier: Apache-2.0
"""What was recorded: a file goes in, frames come out; and frames go into an overlay video.

Read `video` first, which reads a video frame by frame, then `video_writer`, which chooses one of
the `encoders`. Nothing here needs torch or ROS.
"""
