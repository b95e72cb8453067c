# SPDX-License-Identifier: Apache-2.0
"""Messages to and from arrays; no publishers, no threads.

In: sensor_msgs/Image or CompressedImage, of colour or depth; CameraInfo; `Instances`, `Objects` and
points. Out: a uint8 (H, W, 3) `ImageArray`; float32 (H, W) metres; a `Camera`; the messages of the
result topics.

Read encodings.py (the table of encodings), then images.py (messages to arrays and back; bounds.py
says which are read at all, samples.py how 16 bits become 8), compressed.py (pictures.py
reads what their bytes say before they are decoded) and instances.py (`Instances` to messages). For
what is in space: depth.py and camera_info.py (messages to arrays and models), objects.py and
points.py (`Objects` and points to messages).
"""
