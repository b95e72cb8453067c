# SPDX-License-Identifier: Apache-2.0
"""Single precision on a GPU as it was asked for, whatever torch is set to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from yolact_ros.network import Yolact
from yolact_ros.presets import Preset
from yolact_ros.structures import RawPredictions

from .protocol import MaskIou


class Float32Network:
    """A network in float32 on a GPU; a `yolact_ros.inference.engines.protocol.RawNetwork`.

    torch rounds the products of convolutions to TensorFloat-32 there unless told otherwise, which
    is faster and leaves about three decimal digits.

    Args:
        network: In evaluation mode.
        tf32: Whether products may be rounded so.
    """

    def __init__(self, network: Yolact, *, tf32: bool) -> None:
        self._network = network
        self._tf32 = tf32

    @property
    def preset(self) -> Preset:
        """See `RawNetwork.preset`."""
        return self._network.preset

    @property
    def maskiou_net(self) -> MaskIou | None:
        """See `RawNetwork.maskiou_net`."""
        return None if self._network.maskiou_net is None else self._score

    def __call__(self, x: Tensor) -> RawPredictions:
        """See `RawNetwork`."""
        with _convolutions_in(tf32=self._tf32):
            return self._network(x)

    def _score(self, masks: Tensor) -> Tensor:
        assert self._network.maskiou_net is not None
        with _convolutions_in(tf32=self._tf32):
            return self._network.maskiou_net(masks)


@contextlib.contextmanager
def _convolutions_in(*, tf32: bool) -> Iterator[None]:
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = tf32
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
