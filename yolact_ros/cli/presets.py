# SPDX-License-Identifier: Apache-2.0
"""`yolact-ros presets`: the table of presets."""

from __future__ import annotations

import argparse
from typing import Any

from yolact_ros.presets import (
    DarkNetSpec,
    Preset,
    Published,
    ResNetSpec,
    get_preset,
    preset_names,
    with_backbone,
)

_RESNETS = {(3, 4, 6, 3): "ResNet-50", (3, 4, 23, 3): "ResNet-101"}


def register(commands: Any) -> None:
    """Adds the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "presets",
        help="list the presets with their size and published results",
        description="Prints a Markdown table of the presets: published results, and parameters and "
        "arithmetic counted here.",
    )
    parser.add_argument(
        "--backbone",
        nargs="+",
        default=(),
        metavar="torchvision:NAME",
        help="add yolact_base's rows on these backbones",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    base = get_preset("yolact_base")
    others = [with_backbone(base, backbone) for backbone in arguments.backbone]
    print(presets_markdown([*map(get_preset, preset_names()), *others]))
    return 0


def presets_markdown(presets: list[Preset]) -> str:
    """One row a preset, as the README has them."""
    from yolact_ros.bench.complexity import count_complexity  # torch

    lines = [
        "| preset | backbone | input | mask AP | fps | source | parameters (M) | GFLOPs |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for preset in presets:
        complexity = count_complexity(preset)
        published = preset.published or Published(source="")
        lines.append(
            f"| `{preset.name}` | {_backbone(preset)} | {preset.input_size} "
            f"| {_figure(published.mask_ap)} | {_figure(published.fps)} | {published.source} "
            f"| {complexity.parameters / 1e6:.1f} | {complexity.flops / 1e9:.1f} |"
        )
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    return f"{value:.1f}" if value else ""


def _backbone(preset: Preset) -> str:
    spec = preset.backbone
    if isinstance(spec, DarkNetSpec):
        return "DarkNet-53"
    if isinstance(spec, ResNetSpec):
        name = _RESNETS.get(spec.blocks, "ResNet, narrow") if spec.width == 64 else "ResNet, narrow"
        return f"{name}, deformable" if spec.deformable_interval else name
    return spec.name
