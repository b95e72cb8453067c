# SPDX-License-Identifier: Apache-2.0
"""Decodes every mask of N messages as they come, as a consumer without torch or OpenCV does.

    python3 decode_subscriber.py N FOLDER

Each message is kept as it came (FOLDER/K.cdr) and decoded (FOLDER/K.npz: masks, stamp, frame_id),
but for those without a frame_id, which only show that messages arrive.
"""

import sys
from pathlib import Path

import numpy as np
import rclpy
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from yolact_ros.msg import InstanceArray

from yolact_ros.masks import full_mask, instance_map


def main():
    wanted, folder = int(sys.argv[1]), Path(sys.argv[2])
    count = 0

    def on_instances(data):
        nonlocal count
        message = deserialize_message(data, InstanceArray)
        if not message.header.frame_id:
            print("heard", flush=True)
            return
        size = message.image_height, message.image_width
        masks = [full_mask(instance.mask, *size) for instance in message.instances]
        (folder / f"{count}.cdr").write_bytes(data)
        np.savez(
            folder / f"{count}.npz",
            masks=np.array(masks, bool).reshape(-1, *size),
            instance_map=instance_map(message),
            stamp=[message.header.stamp.sec, message.header.stamp.nanosec],
            frame_id=message.header.frame_id,
        )
        count += 1
        print(f"decoded {count}", flush=True)

    rclpy.init()
    node = rclpy.create_node("decode_subscriber")
    node.create_subscription(
        InstanceArray, "yolact/instances", on_instances, QoSProfile(depth=10), raw=True
    )
    print("subscribed", flush=True)
    while count < wanted:
        rclpy.spin_once(node, timeout_sec=0.5)
    loaded = sorted(set(sys.modules) & {"torch", "torchvision", "cv2"})
    print(f"finished; loaded: {loaded}", flush=True)


main()
