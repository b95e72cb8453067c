# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros bench`: what parts of the system cost on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolact_ros.presets import preset_names

from . import bench_node
from .image_size import parse_size

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from yolact_ros.bench.settings import SpeedSettings
    from yolact_ros.bench.stages import Surroundings


def register(commands: Any) -> None:
    """Adds the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "bench",
        help="measure time and memory on this machine",
        description="Measures every stage between an image and the sent messages. Without PART: "
        "one row a stage, and with --baseline the same for the plain way (eager FP32, full-image "
        "float masks), in turns and on the same detections.",
    )
    _add_arguments(parser)
    parser.add_argument(
        "--engine",
        default="torch",
        help="torch, or onnxruntime: exports the network and measures it in both "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--baseline", action="store_true", help="measure the plain way along, and the ratio"
    )
    parser.add_argument("--no-overlay", action="store_true", help="do not measure drawing")
    parser.add_argument(
        "--no-messages", action="store_true", help="do not measure messages where there is a ROS"
    )
    parser.set_defaults(run=run)
    parts = parser.add_subparsers(title="parts", metavar="PART")
    bench_node.register(parts)
    growth = parts.add_parser(
        "growth",
        help="cost as instances, image size and batch grow",
        description="Measures every stage for 0 to 100 instances, images of 320x240 to 3840x2160 "
        "and batches of 1 to 8, each around the point that the arguments describe.",
    )
    _add_arguments(growth)
    growth.set_defaults(run=run_growth, box_area=0.05, frames=10)


def run(arguments: argparse.Namespace) -> int:
    """Runs `bench` without a part."""
    from yolact_ros.bench.stages import measure_speed  # torch
    from yolact_ros.bench.tables import speed_table

    settings = _settings(arguments, baseline=arguments.baseline, overlay=not arguments.no_overlay)
    with ExitStack() as stack:
        surroundings = None
        frames = None if arguments.no_messages else _message_frames()
        if frames is None:
            print("arrival, message and publish are left out: "
                  + ("--no-messages" if arguments.no_messages else "no ROS 2 with yolact_ros's "
                     "messages in this environment"), file=sys.stderr)  # fmt: skip
        else:
            make = frames

            def surroundings(images: Sequence[npt.NDArray[np.uint8]]) -> Surroundings:
                return stack.enter_context(make(images))

        result = measure_speed(settings, surroundings)
    print(speed_table(result))
    _write_json(arguments.json, result)
    if arguments.picture:
        from yolact_ros.bench.plots import speed_plot  # matplotlib

        _write(arguments.picture, speed_plot(result))
    return 0


def run_growth(arguments: argparse.Namespace) -> int:
    """Runs `bench growth`."""
    from yolact_ros.bench.growth import measure_growth  # torch

    result = measure_growth(_settings(arguments, overlay=False), on_point=print)
    _write_json(arguments.json, result)
    if arguments.picture:
        from yolact_ros.bench.plots import growth_plot  # matplotlib

        _write(arguments.picture, growth_plot(result))
    return 0


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--preset",
        help=f"one of {', '.join(preset_names())} (default: the one that the weights were made "
        "for, or yolact_demo)",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help=".pth or .safetensors file (default: the shipped ones, or else seeded random ones)",
    )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)"
    )
    parser.add_argument(
        "--precision", default="auto", help="auto, fp32, fp16 or bf16 (default: %(default)s)"
    )
    parser.add_argument(
        "--image-size", default="1280x720", metavar="WIDTHxHEIGHT", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--instances",
        type=int,
        default=20,
        metavar="N",
        help="in each image: the best candidates, whatever their scores (default: %(default)s)",
    )
    parser.add_argument(
        "--box-area",
        type=float,
        metavar="FRACTION",
        help="of the image, for all boxes, which are then put at random places (default: the "
        "network's own boxes; 0.05 with random weights and for growth)",
    )
    parser.add_argument(
        "--batch", type=int, default=1, metavar="N", help="images at once (default: %(default)s)"
    )
    parser.add_argument(
        "--frames", type=int, default=30, metavar="N",
        help="timed calls (default: 30; growth: 10 at each point)",
    )  # fmt: skip
    parser.add_argument(
        "--warm-up", type=int, default=3, metavar="N", help="calls before (default: %(default)s)"
    )
    parser.add_argument(
        "--compile",
        default="off",
        help="off, on or auto: torch.compile for the network (default: %(default)s)",
    )
    parser.add_argument("--threads", type=int, metavar="N", help="of the CPU (default: torch's)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw them there, as PNG")


def _settings(arguments: argparse.Namespace, **others: Any) -> SpeedSettings:
    from yolact_ros.bench.settings import SpeedSettings

    return SpeedSettings(
        preset=arguments.preset,
        weights=arguments.weights,
        device=arguments.device,
        precision=arguments.precision,
        image_size=parse_size(arguments.image_size),
        instances=arguments.instances,
        batch=arguments.batch,
        frames=arguments.frames,
        warm_up=arguments.warm_up,
        box_area=arguments.box_area,
        compile=arguments.compile,
        engine=arguments.engine,
        threads=arguments.threads,
        **others,
    )


def _message_frames() -> Any:
    """The class of the messages around; None where there is no ROS 2 that has ours."""
    try:
        from yolact_ros.ros.bench.frame import MessageFrames
    except ImportError:
        return None
    return MessageFrames


def _write_json(path: Path | None, result: Mapping[str, Any]) -> None:
    if path:
        _write(path, (json.dumps(result, indent=1, default=str) + "\n").encode())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
