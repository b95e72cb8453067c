# SPDX-License-Identifier: Apache-2.0
"""Which topics of a bag are the image, its depth and its calibration."""

from __future__ import annotations

from typing import NamedTuple

from yolact_ros.errors import InputError
from yolact_ros.recordings.images.encodings import DEPTH_ENCODINGS

from .reader import Bag, Topic

IMAGE, COMPRESSED_IMAGE = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"


class CameraTopics(NamedTuple):
    """What is read of a bag.

    Attributes:
        image: Name of the topic of images.
        depth, camera_info: Of depth images and calibrations; both or none.
    """

    image: str
    depth: str | None = None
    camera_info: str | None = None

    @property
    def names(self) -> list[str]:
        """All of them."""
        return [name for name in self if name]


def choose_topics(
    bag: Bag, image: str | None, depth: str | None, camera_info: str | None
) -> CameraTopics:
    """Choose topics, the only ones that there are unless they are named.

    Args:
        bag: The bag.
        image: A topic of images; None: the only one that is in colour or grey.
        depth: A topic of depth images; None: the only one, if there is one, empty: none.
        camera_info: A topic of calibrations; None: the one beside the images, if there is one.

    Raises:
        InputError: There is no such topic, or more than one.
    """
    pictures: list[str] = []
    depths: list[str] = []
    for topic in bag.topics.values():
        if topic.type in (IMAGE, COMPRESSED_IMAGE) and topic.messages:
            (depths if _is_depth(bag, topic) else pictures).append(topic.name)
    if image is None:
        if len(pictures) != 1:
            found = "none of pictures" if not pictures else f"{len(pictures)} of pictures"
            raise InputError(
                f"--image: expected one topic with pictures in {bag.path}, got {found}"
                f"{'; name one' if pictures else ''}: {_listed(bag)}"
            )
        [image] = pictures
    _expect(bag, "--image", image, (IMAGE, COMPRESSED_IMAGE))
    if depth == "":
        return CameraTopics(image)
    info = camera_info or _beside(image)
    if depth is None and len(depths) == 1 and depths != [image] and info in bag.topics:
        [depth] = depths
    if depth is None:
        if camera_info is not None:
            raise InputError(
                f"--depth: expected a topic with --camera-info, got none: {_listed(bag)}"
            )
        return CameraTopics(image)
    _expect(bag, "--depth", depth, (IMAGE, COMPRESSED_IMAGE))
    _expect(bag, "--camera-info", info, (CAMERA_INFO,))
    return CameraTopics(image, depth, info)


def _is_depth(bag: Bag, topic: Topic) -> bool:
    """Whether the first message is a depth image."""
    try:
        message = bag.message(next(bag.records([topic.name])))
    except (InputError, StopIteration):
        return False
    if topic.type == IMAGE:
        return message.encoding in DEPTH_ENCODINGS
    return "compressedDepth" in message.format


def _beside(image: str) -> str:
    """The topic of an image's calibration, as image_transport names it."""
    return image.removesuffix("/compressed").rpartition("/")[0] + "/camera_info"


def _expect(bag: Bag, option: str, name: str, types: tuple[str, ...]) -> None:
    topic = bag.topics.get(name)
    if topic is None or topic.type not in types:
        got = "which is not in it" if topic is None else f"a {topic.type}"
        raise InputError(
            f"{option}: expected a topic of {' or '.join(types)} in {bag.path}, got {name}, "
            f"{got}: {_listed(bag)}"
        )


def _listed(bag: Bag) -> str:
    topics = ", ".join(map(str, bag.topics.values()))
    return f"its topics (type, messages) are {topics}" if topics else "it has no topics"
