# SPDX-License-Identifier: Apache-2.0
"""Messages to and from arrays; no publishers, no threads.

In: sensor_msgs/Image or CompressedImage; `Instances`. Out: a uint8 (H, W, 3) `ImageArray`; the
messages of the result topics.

Read images.py (messages to arrays and back), then instances.py (`Instances` to messages).
"""
