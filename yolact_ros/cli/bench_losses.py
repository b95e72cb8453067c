# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros bench losses`: what the training losses cost on this machine."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolact_ros.presets import get_preset, preset_names

if TYPE_CHECKING:
    from yolact_ros.training.loss_cost import LossCost


def register(parts: Any) -> None:
    """Adds the part to `argparse`'s subparsers."""
    losses = parts.add_parser(
        "losses",
        help="the training losses against a loop over the images",
        description="Measures forward and backward pass of the training losses, and of the same "
        "losses written as a plain loop over the images, on random predictions.",
    )
    losses.add_argument(
        "--preset",
        default="yolact_resnet50",
        help=f"one of {', '.join(preset_names())} (default: %(default)s)",
    )
    losses.add_argument("--batch", type=int, default=8, metavar="N", help="default: %(default)s")
    losses.add_argument(
        "--objects", type=int, default=20, metavar="N", help="in each image (default: %(default)s)"
    )
    losses.add_argument(
        "--repeats",
        type=int,
        default=10,
        metavar="N",
        help="timed runs of each way; the median counts (default: %(default)s)",
    )
    losses.add_argument("--device", default="cpu", help="auto, cpu, cuda or cuda:N (default: cpu)")
    losses.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    losses.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs `bench losses`."""
    from yolact_ros.inference.device import resolve_device  # torch
    from yolact_ros.training.loss_cost import measure_loss_cost

    cost = measure_loss_cost(
        get_preset(arguments.preset),
        batch=arguments.batch,
        objects=arguments.objects,
        repeats=arguments.repeats,
        device=resolve_device(arguments.device),
    )
    print(describe(cost))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(asdict(cost), indent=1) + "\n")
    return 0


def describe(cost: LossCost) -> str:
    """A small table for people."""
    where = f"cpu, threads: {cost.threads}" if cost.device == "cpu" else cost.device
    lines = [
        f"{cost.preset}, {cost.batch} images with {cost.objects} objects each, {cost.positives} "
        f"positive priors; {where}; forward and backward, median of {cost.repeats}",
        f"{'':<16}{'loop':>10}{'batched':>10}{'loop / batched':>16}",
    ]
    for name, attribute in (("time, ms", "milliseconds"), ("peak memory, MB", "megabytes")):
        loop, batched = getattr(cost.loop, attribute), getattr(cost.batched, attribute)
        ratio = f"{loop / batched:16.1f}" if batched > 0 else f"{'-':>16}"
        lines.append(f"{name:<16}{loop:10.1f}{batched:10.1f}{ratio}")
    lines.append(
        f"loss {cost.loss:.6f}; largest relative difference of a term {cost.difference:.1e}, "
        f"of a gradient {cost.gradient_difference:.1e}"
    )
    return "\n".join(lines)
