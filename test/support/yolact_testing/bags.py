# SPDX-License-Identifier: Apache-2.0
"""Recordings of synthetic scenes, and what is read back; rosbags is imported when needed."""

import cv2
import numpy as np

from yolact_ros.recordings.bags.types import make_message, result_types
from yolact_ros.scenes.scene import Scene

SECOND = 10**9
BEGIN = 1_700_000_000 * SECOND
PERIOD = SECOND // 10
IMAGE, DEPTH, INFO = "/camera/image_raw", "/camera/depth", "/camera/camera_info"
TYPES = {
    IMAGE: "sensor_msgs/msg/Image",
    f"{IMAGE}/compressed": "sensor_msgs/msg/CompressedImage",
    DEPTH: "sensor_msgs/msg/Image",
    INFO: "sensor_msgs/msg/CameraInfo",
}


def recorded(count, compressed=False, seed=1_000_123):
    """Yield (topic, time, fields) of a camera with depth, which sees a moving scene."""
    scene = Scene.random(seed, width=160, height=120)
    for number in range(count):
        frame, time = scene.frame(0.1 * number), BEGIN + number * PERIOD
        stamp = {"sec": time // SECOND, "nanosec": time % SECOND}
        header = {"stamp": stamp, "frame_id": "camera"}
        size = {"header": header, "height": 120, "width": 160}
        camera = frame.intrinsics
        matrix = [camera.fx, 0, camera.cx, 0, camera.fy, camera.cy, 0, 0, 1]
        yield INFO, time, size | {"distortion_model": "plumb_bob", "k": np.array(matrix, float)}
        yield DEPTH, time + 1, image_fields(size, "32FC1", frame.depth)
        if compressed:
            jpeg = cv2.imencode(".png", frame.image[..., ::-1])[1].reshape(-1)
            name, fields = f"{IMAGE}/compressed", {"header": header, "format": "png", "data": jpeg}
        else:
            name, fields = IMAGE, image_fields(size, "rgb8", frame.image)
        yield name, time + 2, fields


def image_fields(size, encoding, pixels):
    data = np.ascontiguousarray(pixels).reshape(-1).view(np.uint8)
    return size | {"encoding": encoding, "step": len(data) // len(pixels), "data": data}


def write_bag(path, records, storage="mcap", types=TYPES):
    """Write a rosbag2 as `ros2 bag record` does."""
    from rosbags.rosbag2 import StoragePlugin, Writer

    store = result_types()
    plugin = StoragePlugin[storage.upper()]
    with Writer(path, version=8, storage_plugin=plugin) as writer:
        connections = {}
        for topic, time, fields in records:
            kind = types[topic]
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
            data = store.serialize_cdr(make_message(store, kind, fields), kind)
            writer.write(connections[topic], time, data)
    return path


def write_ros_1_bag(path, records):
    """Write a ROS 1 bag, in which headers have numbers and calibrations capital letters."""
    from rosbags.rosbag1 import Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC)
    with Writer(path) as writer:
        connections = {}
        for topic, time, fields in records:
            kind = TYPES[topic]
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
            capital = {name.upper() if len(name) == 1 else name: fields[name] for name in fields}
            data = store.serialize_ros1(make_message(store, kind, capital), kind)
            writer.write(connections[topic], time, data)
    return path


def read_bag(path):
    """Return (topic, time, bytes) of all messages of a rosbag2, by rosbags."""
    from rosbags.highlevel import AnyReader

    with AnyReader([path]) as reader:
        return [(each.topic, time, bytes(data)) for each, time, data in reader.messages()]
