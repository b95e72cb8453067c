# SPDX-License-Identifier: Apache-2.0
"""The old name of `yolact_ros.masks`, for consumers that were written with it."""

from yolact_ros.masks import decode_mask, full_mask, instance_map

__all__ = ["decode_mask", "full_mask", "instance_map"]
