# SPDX-License-Identifier: Apache-2.0
"""A camera's samples of 16 bits to 8 bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from yolact_ros.datasets.samples import fewest_bits

_HARDLY = 16 - 3
"""Bits within which samples use an eighth of their range or less."""


class SampleBits:
    """How many of their 16 bits a camera's samples use, counted from the lowest.

    Attributes:
        setting: As set; 0: the fewest of 8, 10, 12, 14 and 16 that all images so far fit in.
        remark: What is odd about the last image's samples, as a sentence; empty: nothing.
    """

    def __init__(self, setting: int = 0) -> None:
        self.setting = setting
        self.remark = ""
        self._needed = 0

    def to_uint8(self, samples: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
        """Return the highest 8 of the bits in use; what lies above them is saturated.

        Args:
            samples: (..., C) uint16 of either byte order, with its last axis contiguous.
        """
        bits = self._bits(samples)
        if bits == 16:
            little = samples.dtype.str[0] == "<"
            return np.ascontiguousarray(samples.view(np.uint8)[..., int(little) :: 2])
        values = np.minimum(samples, np.uint16((1 << bits) - 1))
        values <<= np.uint16(16 - bits)
        values >>= np.uint16(8)
        return values.astype(np.uint8)

    def _bits(self, samples: npt.NDArray[np.uint16]) -> int:
        self.remark = ""
        if self._needed == 16 and self.setting in (0, 16):
            return 16  # all of the range has been used
        largest = int(samples.max())
        fitting = fewest_bits(largest)
        self._needed = max(self._needed, fitting)
        bits = self.setting or self._needed
        if largest >= 1 << bits:
            self.remark = (
                f"its 16-bit samples reach {largest}, but image_depth_bits is {bits}: what is "
                f"brighter than {(1 << bits) - 1} is white"
            )
        elif largest and bits == 16 and largest < 1 << _HARDLY:
            self.remark = (
                f"its 16-bit samples reach {largest} of 65535, so that its pictures are dark; "
                f"image_depth_bits: {fitting} reads them as {fitting} bits, 0 finds out"
            )
        elif largest and not self.setting and bits < 16:
            self.remark = (
                f"its 16-bit samples reach {largest} of 65535 and are read as {bits} bits, until "
                "one is larger; set image_depth_bits to how many the camera has"
            )
        return bits
