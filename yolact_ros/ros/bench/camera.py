# SPDX-License-Identifier: Apache-2.0
"""A camera of `yolact-ros bench node`: publishes frames that were made before, and says which.

    python3 -m yolact_ros.ros.bench.camera DESCRIPTOR

DESCRIPTOR is a `multiprocessing` connection's, as `helper.py` makes it. It gets the settings, says
when somebody subscribes, then answers commands to film until the connection ends.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from yolact_ros.ros.bench.helper_program import connect, helper_node
from yolact_ros.ros.loop import to_and_fro

_NICE = -10
_STEP = 0.05


def main(args: Sequence[str] | None = None) -> None:
    """Run the camera until its connection ends."""
    connection, settings = connect(args)
    raise_priority()
    from sensor_msgs.msg import CompressedImage, Image

    from yolact_ros.ros.parameters.qos import volatile_qos

    with helper_node(f"bench_camera_{settings['name']}") as node:
        publisher = node.create_publisher(
            CompressedImage if settings["transport"] == "compressed" else Image,
            settings["topic"],
            volatile_qos(depth=5, reliable=settings["reliability"] == "reliable"),
        )
        messages = make_messages(settings)
        while not publisher.get_subscription_count():
            time.sleep(_STEP)
        connection.send("seen")
        period = 1 / settings["rate_hz"]
        while True:
            connection.send(film(publisher.publish, messages, period=period, **connection.recv()))


def film(
    publish: Callable[[Any], None],
    messages: Sequence[Any],
    *,
    period: float,
    frames: int,
    start_ns: int,
) -> dict[str, Any]:
    """Publish messages to and fro, with their stamps, when they are due.

    A frame that is a whole period late is not made, as with a camera.

    Args:
        publish: Sends a message.
        messages: The loop.
        period: Seconds between frames.
        frames: How many are due.
        start_ns: When the first is due, by the system's clock, ns.

    Returns:
        "stamps" of what was published, ns, and how many frames were "skipped".
    """
    begin = time.monotonic() + (start_ns - time.time_ns()) * 1e-9
    loop = to_and_fro(messages)
    stamps: list[int] = []
    for number in range(frames):
        delay = begin + number * period - time.monotonic()
        if delay < -period:
            continue
        time.sleep(max(0.0, delay))
        message = next(loop)
        now = time.time_ns()
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(now, 10**9)
        publish(message)
        stamps.append(now)
    return {"stamps": stamps, "skipped": frames - len(stamps)}


def raise_priority() -> None:
    """Let this thread run before others where that is allowed: measuring must not wait."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)


def make_messages(settings: Mapping[str, Any], encoding: str = "rgb8") -> list[Any]:
    """Make the frames as messages, complete but for the stamp.

    Args:
        settings: The camera's.
        encoding: Of raw images: rgb8, bgr8 or mono8.
    """
    from sensor_msgs.msg import CompressedImage
    from std_msgs.msg import Header

    from yolact_ros.ros.conversion.images import array_to_image
    from yolact_ros.scenes.scene import Scene
    from yolact_ros.scenes.seeds import SEEDS
    from yolact_ros.visualization import encode_jpeg

    height, width = settings["image_size"]
    seed = SEEDS["bench"].start + settings["seed"]
    scene = Scene.random(seed, width=width, height=height)
    made = []
    for number in range(settings["loop_frames"]):
        pixels = scene.frame(number / settings["rate_hz"]).image
        header = Header(frame_id=settings["name"])
        if settings["transport"] == "raw":
            channels = {"rgb8": pixels, "bgr8": pixels[:, :, ::-1], "mono8": pixels[:, :, 1]}
            made.append(array_to_image(channels[encoding], encoding, header))
            continue
        message = CompressedImage(header=header, format="bgr8; jpeg compressed bgr8")
        message.data.frombytes(encode_jpeg(pixels[:, :, ::-1]))
        made.append(message)
    return made


if __name__ == "__main__":
    main()
