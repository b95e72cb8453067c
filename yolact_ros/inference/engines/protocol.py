# SPDX-License-Identifier: Apache-2.0
"""What decoding expects of a network, whichever engine runs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from yolact_ros.presets import Preset
from yolact_ros.structures import PendingPredictions, RawPredictions

MaskIou = Callable[[Tensor], Tensor]
"""The mask-IoU net of YOLACT++: (N, 1, h, w) soft masks cropped by their boxes to (N, classes)."""


class RawNetwork(Protocol):
    """A network in evaluation mode: `Yolact`, or an exported file in another engine."""

    @property
    def preset(self) -> Preset:
        """Architecture, classes and normalisation."""

    @property
    def maskiou_net(self) -> MaskIou | None:
        """Scores assembled masks; None without one."""

    def __call__(self, x: Tensor) -> RawPredictions:
        """(B, 3, h, w) normalised RGB on the network's device to predictions on it."""


@runtime_checkable
class StartedNetwork(Protocol):
    """A network that may be asked for its prototypes when boxes are known."""

    def start(self, x: Tensor) -> PendingPredictions:
        """The network but for its prototypes; the argument is that of `RawNetwork`."""


def start(network: RawNetwork, x: Tensor) -> PendingPredictions:
    """Run a network but for its prototypes, or all of it where it knows no other way."""
    if isinstance(network, StartedNetwork):
        return network.start(x)
    raw = network(x)
    return PendingPredictions(
        raw.offsets,
        raw.class_scores,
        raw.coefficients,
        lambda boxes: list(raw.prototypes),
        raw.priors,
    )


class EngineNetwork(RawNetwork, Protocol):
    """A network in another engine than torch, which takes and gives fp32."""

    @property
    def engine(self) -> str:
        """Its name."""

    @property
    def providers(self) -> tuple[str, ...]:
        """Its parts that do the work, the preferred one first."""

    @property
    def device(self) -> torch.device:
        """Where it takes its input and leaves its predictions."""

    @property
    def precision(self) -> str:
        """Its arithmetic: "fp32", "fp16", "bf16" or "int8"."""
