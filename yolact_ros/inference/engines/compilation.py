# SPDX-License-Identifier: Apache-2.0
"""The network through torch's compiler."""

from __future__ import annotations

import shutil

import torch

from yolact_ros.choices import COMPILE_MODES
from yolact_ros.errors import InputError
from yolact_ros.network import Yolact

_CXX_COMPILERS = ("g++", "clang++")


def resolve_compile(compile: bool | str, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the network is to be compiled; "auto" is where it wins and can work.

    Raises:
        ValueError: It is neither a bool nor in `COMPILE_MODES`.
    """
    if isinstance(compile, bool):
        return compile
    if compile not in COMPILE_MODES:
        raise InputError(
            f"compile: expected a bool or one of {', '.join(COMPILE_MODES)}, got {compile!r}"
        )
    if compile == "auto":
        return (
            device.type == "cpu"
            and dtype == torch.float32
            and any(map(shutil.which, _CXX_COMPILERS))
        )
    return compile == "on"


def compile_network(network: Yolact) -> Yolact:
    """Compiles in the first call with each input size; the network is changed in place.

    Freezing makes constants of the weights, so that they are laid out for the kernels once.
    """
    network.compile(dynamic=False, options={"freezing": True})
    return network
