# SPDX-License-Identifier: Apache-2.0
"""Sizes of images on the command line."""

from __future__ import annotations

import re

from yolact_ros.errors import InputError


def parse_size(text: str) -> tuple[int, int]:
    """ "WIDTHxHEIGHT" in pixels to (height, width).

    Raises:
        InputError: It is something else.
    """
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if not found:
        raise InputError(
            f"--image-size: expected WIDTHxHEIGHT in pixels, such as 1280x720, got {text!r}"
        )
    return int(found[2]), int(found[1])
