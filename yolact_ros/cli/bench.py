# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros bench`: what parts of the system cost on this machine."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from yolact_ros.bench.settings import SpeedSettings
from yolact_ros.choices import ENGINES, PRECISIONS

from . import bench_node, bench_space, bench_tracking
from .bench_output import settings_of, write_result
from .options import Kind, natural, positive_int, shared


def register(commands: Any) -> None:
    """Adds the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "bench",
        help="measure time and memory on this machine",
        description="Measure the time of every stage from an image to the published messages, and "
        "the peak memory of a call. With --baseline, the same for the published code's way to do "
        "it (eager FP32, full-image float masks), in turns and on the same detections. PART "
        "measures something else.",
        examples=(
            "yolact-ros bench --preset yolact_resnet50 --device cpu --baseline",
            "yolact-ros bench --image-size 1920x1080 --batch 4 --json speed.json",
        ),
        parents=_parents(),
    )
    parser.add_argument(
        "--baseline",
        action="store_true",
        help="Also measure the published code's way to do it, and print the ratios.",
    )
    parser.add_argument(
        "--no-overlay",
        dest="overlay",
        action="store_false",
        default=argparse.SUPPRESS,
        help="Do not measure drawing.",
    )
    parser.add_argument(
        "--no-messages",
        action="store_true",
        help="Do not measure messages. Without a ROS 2 environment they are never measured.",
    )
    parser.set_defaults(run=run)
    parts = parser.add_subparsers(title="parts", metavar="PART")
    bench_node.register(parts)
    bench_space.register(parts)
    bench_tracking.register(parts)
    growth = parts.add_parser(
        "growth",
        help="measure how time grows with instances, image size and batch",
        description="Measure every stage for 0 to 100 instances, images of 320x240 to 3840x2160 "
        "pixels and batches of 1 to 8, each around the point that the options describe.",
        examples=(
            "yolact-ros bench growth --device cpu --threads 1 --picture growth.png",
            "yolact-ros bench growth --instances 50 --image-size 640x480 --json growth.json",
        ),
        parents=_parents(frames=10, box_area=0.05),
    )
    growth.set_defaults(run=run_growth, overlay=False, baseline=False)


def _parents(frames: int = 30, box_area: float | None = None) -> list[argparse.ArgumentParser]:
    """The options that both commands have; all but the last two are fields of `SpeedSettings`."""
    network = shared(
        *("--preset", "--weights", "--device", "--precision", "--compile", "--threads", "--engine"),
        title="network",
        weights={
            "help": "Trained weights: a .pth or .safetensors file. Unless given, those shipped for "
            "the preset are used, and random ones where there are none."
        },
        engine={
            "choices": ENGINES,
            "default": "torch",
            "help": "Library that runs the network; for onnxruntime and openvino the network is "
            "exported, and measured in the others, too.",
        },
        precision={
            "choices": (*PRECISIONS, "int8"),
            "help": "Format of the network's numbers; auto picks the fastest for the device, tf32 "
            "is fp32 with products of 10 bits, on GPUs only; for int8, in onnxruntime and "
            "openvino, the network is quantised.",
        },
    )
    work = argparse.ArgumentParser(add_help=False)
    group = work.add_argument_group("work")
    group.add_argument(
        "--instances",
        type=natural,
        default=20,
        help="Number of detections per image: the best candidates, whatever their scores.",
    )
    group.add_argument(
        "--box-area",
        type=Kind("FRACTION", float, "above 0 up to 1", lambda area: 0 < area <= 1),
        default=box_area,
        help="Area of every box as a fraction of the image; the boxes are put at random places. "
        "Unless given, the boxes are the network's own, and 0.05 with random weights.",
    )
    group.add_argument("--batch", type=positive_int, default=1, help="Number of images per call.")
    group.add_argument("--frames", type=positive_int, default=frames, help="Number of timed calls.")
    group.add_argument(
        "--warm-up", type=positive_int, default=3, help="Number of calls before them."
    )
    frame = shared(
        *("--image-size", "--score-threshold"),
        title="work",
        score_threshold={
            "help": "Discard detections with this score or less; the measured ones have 0.5 to "
            "0.99. With 1, nothing is left of the same frame."
        },
    )
    return [network, frame, work, shared("--json", "--picture")]


def run(arguments: argparse.Namespace) -> int:
    """Runs `bench` without a part."""
    settings = settings_of(SpeedSettings, arguments)
    from yolact_ros.bench.stages import measure_speed  # torch
    from yolact_ros.bench.tables import speed_table

    frames = None if arguments.no_messages else _message_frames()
    if frames is None:
        reason = "no ROS 2 with yolact_ros's messages in this environment"
        reason = "--no-messages" if arguments.no_messages else reason
        print(f"arrival, message and publish are left out: {reason}", file=sys.stderr)
    result = measure_speed(settings, frames)
    print(speed_table(result))
    write_result(arguments, result, "speed_plot")
    return 0


def run_growth(arguments: argparse.Namespace) -> int:
    """Runs `bench growth`."""
    settings = settings_of(SpeedSettings, arguments)
    from yolact_ros.bench.growth import measure_growth  # torch

    result = measure_growth(settings, on_point=print)
    write_result(arguments, result, "growth_plot")
    return 0


def _message_frames() -> Any:
    """The class of the messages around; None where there is no ROS 2 that has ours."""
    try:
        from yolact_ros.ros.bench.frame import MessageFrames
    except ImportError:
        return None
    return MessageFrames
