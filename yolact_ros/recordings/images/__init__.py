# SPDX-License-Identifier: Apache-2.0
"""Messages to arrays: of rclpy and of bags, as their fields have the same names.

In: sensor_msgs/Image or CompressedImage, of colour or depth; CameraInfo. Out: a uint8 (H, W, 3)
`ImageArray`; float32 (H, W) metres; a `Camera`.

Read encodings.py (the table of encodings), then raw.py (bounds.py says which images are read at
all, samples.py how 16 bits become 8) and compressed.py (pictures.py reads what their bytes say
before they are decoded). For what is in space: depth.py and camera_info.py.
"""
