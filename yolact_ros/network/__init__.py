# SPDX-License-Identifier: Apache-2.0
"""The network: layers, and what is built of them; nothing about files of weights."""

from .yolact import Yolact, build_network

__all__ = ["Yolact", "build_network"]
