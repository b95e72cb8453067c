# SPDX-License-Identifier: Apache-2.0
"""The network through torch's compiler."""

from __future__ import annotations

import importlib
import shutil

import torch

from yolact_ros.network import Yolact

MOST_SIZES = 64
"""Input sizes for which a network is compiled; beyond these, torch runs it eagerly."""
_CXX_COMPILERS = ("g++", "clang++")


def resolve_compile(compile: str, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the network is to be compiled: "auto" says so where it is faster and can work.

    Args:
        compile: One of `yolact_ros.choices.COMPILE_MODES`.
        device: Where the network runs.
        dtype: Its arithmetic.
    """
    if compile == "auto":
        return (
            device.type == "cpu"
            and dtype == torch.float32
            and any(map(shutil.which, _CXX_COMPILERS))
        )
    return compile == "on"


def compile_network(network: Yolact) -> Yolact:
    """Let a network be compiled at its first call with each input size; it is changed in place.

    Freezing makes constants of the weights, so that they are laid out for the kernels once. The
    priors are left out: they would be made and brought to the device in each call.
    """
    # By default it is eight, and the ninth camera's batch would silently be slow.
    dynamo = importlib.import_module("torch._dynamo").config
    dynamo.cache_size_limit = max(dynamo.cache_size_limit, MOST_SIZES)
    for name in ("predict", "prototypes"):
        compiled = torch.compile(getattr(network, name), dynamic=False, options={"freezing": True})
        setattr(network, name, compiled)
    return network
