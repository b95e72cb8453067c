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
    TorchvisionSpec,
    get_preset,
    preset_names,
    with_backbone,
)

from .options import accepted_by

_RESNETS = {(3, 4, 6, 3): "ResNet-50", (3, 4, 23, 3): "ResNet-101"}


def register(commands: Any) -> None:
    """Add the command to `argparse`'s subparsers."""
    parser = commands.add_parser(
        "presets",
        help="list the presets with their size and published results",
        description="Print a Markdown table of the presets with their published results, and with "
        "parameters and arithmetic as counted by this command.",
        examples=(
            "yolact-ros presets",
            "yolact-ros presets --backbone torchvision:mobilenet_v3_large torchvision:resnet18",
        ),
    )
    parser.add_argument(
        "--backbone",
        type=accepted_by(TorchvisionSpec.parse),
        nargs="+",
        default=(),
        metavar="torchvision:NAME",
        help="Also list yolact_base with these backbones, classification networks of torchvision.",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    base = get_preset("yolact_base")
    others = [with_backbone(base, backbone) for backbone in arguments.backbone]
    print(presets_markdown([*map(get_preset, preset_names()), *others]))
    return 0


def presets_markdown(presets: list[Preset]) -> str:
    """Format one table row per preset, as in docs/presets.md."""
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
