# SPDX-License-Identifier: Apache-2.0
"""Messages to and from arrays; no publishers, no threads.

In: sensor_msgs/Image or CompressedImage, of colour or depth; CameraInfo; `Instances`, `Objects` and
points. Out: a uint8 (H, W, 3) `ImageArray`; float32 (H, W) metres; a `Camera`; the messages of the
result topics.

Read images.py (messages to arrays and back), then instances.py (`Instances` to messages). For what
is in space: depth.py and camera_info.py (messages to arrays and models), objects.py and points.py
(`Objects` and points to messages).
"""
