# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros bag`: what the node would publish for the images of a bag, written to another one."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yolact_ros
from yolact_ros.errors import InputError

from .options import (
    build_segmenter,
    non_negative,
    positive,
    positive_int,
    segmenter_options,
    shared,
    topic_name,
)

if TYPE_CHECKING:
    from yolact_ros.inference import Segmenter
    from yolact_ros.recordings.bags.images import RecordedImage
    from yolact_ros.recordings.bags.reader import Bag
    from yolact_ros.recordings.bags.results import Annotator
    from yolact_ros.recordings.bags.topics import CameraTopics
    from yolact_ros.recordings.bags.writer import PartsWriter

_NOT_SETTINGS = ("out", "quiet", "part", "run", "command_line", "traceback")
"""Arguments with which a run may go on that was begun with others."""


def register(commands: Any) -> None:
    """Add the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "bag",
        help="segment the images of a bag, without ROS",
        description="Segment the images of a bag and write the messages that the node would "
        "publish to another bag, a rosbag2: instances, detections, the class list, a compressed "
        "overlay and, where there are depth and camera_info, objects in space. It is written in "
        "parts: after a run that was stopped or killed, the same command goes on. The exit status "
        "is 0 if all images were read, 1 if not, and 130 or 143 after Ctrl-C or SIGTERM.",
        examples=(
            "yolact-ros bag recording annotated",
            "yolact-ros bag recording annotated --image /camera/image_raw --start 10 --duration 5",
            "yolact-ros bag recording.bag annotated --track --every 3 --storage sqlite3",
        ),
        parents=[shared("--quiet"), *segmenter_options(score_threshold=0.15)],
    )
    parser.add_argument(
        "bag",
        type=Path,
        metavar="IN",
        help="Folder of a rosbag2, one of its files (.mcap, .db3), or a ROS 1 bag (.bag).",
    )
    parser.add_argument(
        "out", type=Path, metavar="OUT", help="Folder of the bag to write, created."
    )
    parser.add_argument(
        "--image", type=topic_name, help="Topic of the images; unless given, the only one."
    )
    parser.add_argument(
        "--depth", type=topic_name, help="Topic of the depth images; unless given, the only one."
    )
    parser.add_argument(
        "--no-depth", action="store_true", help="Take no depth, and write no objects."
    )
    parser.add_argument(
        "--camera-info",
        type=topic_name,
        help="Topic of the calibration; unless given, camera_info beside the images.",
    )
    parser.add_argument(
        "--start", type=non_negative, default=0.0, help="Begin so many seconds into the bag."
    )
    parser.add_argument(
        "--duration", type=positive, help="End so many seconds later; unless given, at the end."
    )
    parser.add_argument(
        "--every", type=positive_int, default=1, help="Segment each N-th image only."
    )
    parser.add_argument(
        "--track",
        action="store_true",
        help="Give things a number that stays from image to image, and objects a velocity.",
    )
    parser.add_argument(
        "--rectified",
        action="store_true",
        help="The images are rectified, as with the node's parameter space.rectified.",
    )
    parser.add_argument(
        "--node", type=topic_name, default="/yolact", help="What the written topics begin with."
    )
    parser.add_argument(
        "--storage", choices=("mcap", "sqlite3"), default="mcap", help="Format of the bag."
    )
    parser.add_argument(
        "--part",
        type=positive_int,
        default=500,
        help="Images in each file of the bag; a run that is killed loses those of one at most.",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; `description` tells the exit status."""
    try:
        import rosbags  # noqa: F401
    except ModuleNotFoundError:
        raise InputError(
            "bag: expected the package rosbags, which is not installed; in a checkout: "
            "pip install -r requirements/bag.txt"
        ) from None
    from yolact_ros.recordings.bags.reader import Bag
    from yolact_ros.recordings.bags.results import Annotator
    from yolact_ros.recordings.bags.state import load_state
    from yolact_ros.recordings.bags.topics import choose_topics
    from yolact_ros.recordings.bags.writer import PartsWriter
    from yolact_ros.tracking import SpaceTracker, Tracker

    with Bag(arguments.bag) as bag:
        for note in bag.notes:
            print(note, file=sys.stderr)
        topics = choose_topics(
            bag,
            arguments.image,
            "" if arguments.no_depth else arguments.depth,
            arguments.camera_info,
        )
        writer = PartsWriter(
            arguments.out, arguments.node, arguments.storage, _settings(arguments, bag)
        )
        arguments.precision = writer.precision or arguments.precision
        segmenter = build_segmenter(arguments)
        writer.precision = segmenter.precision
        annotator = Annotator(
            lambda image: segmenter([image.pixels], channel_order=[image.channel_order])[0],
            rectified=arguments.rectified,
            tracker=Tracker() if arguments.track else None,
            space_tracker=SpaceTracker() if arguments.track else None,
        )
        if writer.state:
            load_state(annotator, writer.state)
        return _Run(arguments, bag, topics, segmenter, annotator, writer).run()


class _Run:
    """One run over the images of a bag."""

    def __init__(
        self,
        arguments: argparse.Namespace,
        bag: Bag,
        topics: CameraTopics,
        segmenter: Segmenter,
        annotator: Annotator,
        writer: PartsWriter,
    ) -> None:
        self._arguments = arguments
        self._bag = bag
        self._topics = topics
        self._segmenter = segmenter
        self._annotator = annotator
        self._writer = writer
        self._done = writer.done
        self._instances = 0
        self._troubles: Counter[str] = Counter()
        self._failed = bool(bag.notes)

    def run(self) -> int:
        from tqdm import tqdm

        from yolact_ros.recordings.bags.images import count_images, recorded_images
        from yolact_ros.recordings.bags.reader import DamagedError

        from .stopping import StopSignals

        arguments, bag = self._arguments, self._bag
        start, stop = _range(arguments, bag)
        every = arguments.every
        total = count_images(bag, self._topics, start, stop, every)
        if self._done:
            print(f"going on after {self._done} of {total} images", file=sys.stderr)
        images = recorded_images(bag, self._topics, start, stop, every=every, skip=self._done)
        with (
            StopSignals() as signals,
            tqdm(
                total=total,
                initial=self._done,
                unit="image",
                disable=arguments.quiet,
                file=sys.stderr,
            ) as progress,
        ):
            try:
                for image in images:
                    self._annotate(image)
                    progress.update()
                    if signals.number or self._done % arguments.part == 0:
                        self._finish_part()
                    if signals.number:
                        break
            except DamagedError as error:
                self._say(str(error))
        self._finish_part()
        for text, count in self._troubles.items():
            print(f"{text} ({count} images)" if count > 1 else text, file=sys.stderr)
        if signals.number:
            print(
                f"stopped by {signals.number.name} after {self._done} of {total} images; the same "
                "command goes on",
                file=sys.stderr,
            )
            return 128 + signals.number
        self._writer.complete()
        print(
            f"{self._done} images of {self._topics.image}, {self._instances} instances in this "
            f"run, results in {arguments.out}"
        )
        return int(self._failed)

    def _annotate(self, image: RecordedImage) -> None:
        if self._done == 0:
            self._announce(image)
        self._done += 1
        try:
            results = self._annotator.annotate(image)
        except InputError as error:
            self._say(f"image left out: {error}")
            return
        if results.trouble:
            self._troubles[f"no objects: {results.trouble}"] += 1
        self._instances += results.instances
        for topic, fields in results.messages.items():
            self._writer.write(topic, image.time, fields)

    def _announce(self, image: RecordedImage) -> None:
        """Write the class list, with the stamp of the first image."""
        from yolact_ros.recordings.fields import label_info

        stamp = {"sec": image.time // 10**9, "nanosec": image.time % 10**9}
        threshold = self._segmenter.options.score_threshold
        fields = label_info(self._segmenter.class_names, threshold, {"stamp": stamp})
        self._writer.write("label_info", image.time, fields)

    def _finish_part(self) -> None:
        from yolact_ros.recordings.bags.state import dump_state

        self._writer.finish_part(self._done, dump_state(self._annotator))

    def _say(self, trouble: str) -> None:
        self._failed = True
        self._troubles[trouble] += 1


def _range(arguments: argparse.Namespace, bag: Bag) -> tuple[int, int]:
    """From when to before when, ns."""
    start = bag.start + round(arguments.start * 1e9)
    stop = bag.end
    if arguments.duration is not None:
        stop = min(stop, start + round(arguments.duration * 1e9))
    if start >= bag.end:
        seconds = (bag.end - bag.start) * 1e-9
        raise InputError(
            f"--start: expected less than the {seconds:.1f} s of the bag, got {arguments.start:g}"
        )
    return start, stop


def _settings(arguments: argparse.Namespace, bag: Bag) -> dict[str, str]:
    """What the messages depend on."""
    values = {
        name: str(value) for name, value in vars(arguments).items() if name not in _NOT_SETTINGS
    }
    counts = sum(topic.messages for topic in bag.topics.values())
    return values | {
        "bag": str(arguments.bag.resolve()),
        "messages": str(counts),
        "version": yolact_ros.__version__,
    }
