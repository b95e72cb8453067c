# SPDX-License-Identifier: Apache-2.0
"""Depth cameras by name: what true depth becomes in each of them.

`DEPTH_MODELS["real"].measure(frame.true_depth, rng)` measures a frame that is rendered;
`Scene.random(..., depth_model=...)` makes scenes that are filmed with a model. No camera was
recorded for it: the figures are those of structured-light and stereo cameras in general.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, sqrt
from types import MappingProxyType

import cv2
import numpy as np

from yolact_ros.errors import InputError

_BEST_DISTANCE = 0.4  # metres, where the noise is least
_EDGE = 0.02  # a step of this share of the depth is an edge


@dataclass(frozen=True, kw_only=True)
class DepthModel:
    """Flaws of a depth camera; the defaults are none. Pixels are those of the image.

    Attributes:
        noise: Standard deviation in metres at a distance of 0.4 m.
        noise_growth: What is added to it for each square metre of (distance - 0.4 m)^2, in metres.
        correlated_share: Share of the variance that neighbouring pixels have in common, 0 to 1.
        correlation_length: Distance in pixels at which the correlation of that part is 1 / e.
        mixing: How far aside a pixel looks at most, in pixels along each axis. What it sees is
            interpolated, so that depths between those of two surfaces arise at edges ("flying"
            pixels).
        step: Depth is a multiple of this, in metres.
        missing_share: Share of the image that does not return, 0 to 1.
        missing_size: Width of what is missing: standard deviation in pixels of the filter that
            makes the blobs.
        fattening: Pixels by which near things spread over what is behind them, at edges alone.
        offset: How far to the right of and below its place in the colour image a thing appears in
            the depth image, in pixels.
    """

    noise: float = 0.0
    noise_growth: float = 0.0
    correlated_share: float = 0.0
    correlation_length: float = 3.0
    mixing: float = 0.0
    step: float = 0.0
    missing_share: float = 0.0
    missing_size: float = 6.0
    fattening: int = 0
    offset: tuple[float, float] = (0.0, 0.0)

    def measure(self, depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a depth image as this camera measures it.

        From the same state of `rng`, models that differ in `missing_share` alone measure the same
        where something returns.

        Args:
            depth: (H, W) float32 true depth along the optical axis in metres, positive.
            rng: Source of the noise.

        Returns:
            (H, W) float32 metres; 0 where nothing returns.

        Raises:
            InputError: A depth is not positive.
        """
        if not depth.min() > 0:
            raise InputError(f"depth: expected true, positive depths, got {depth.min()}")
        seen = depth.copy()
        if self.fattening:
            _fatten(seen, self.fattening)
        if self.mixing or any(self.offset):
            seen = self._look_aside(seen, rng)
        if self.noise or self.noise_growth:
            sigma = self.noise + self.noise_growth * (seen - np.float32(_BEST_DISTANCE)) ** 2
            seen = np.maximum(seen + sigma * self._unit_noise(depth.shape, rng), 0)
        if self.step:
            seen = np.round(seen / np.float32(self.step)) * np.float32(self.step)
        if self.missing_share:
            field = _smooth_noise(depth.shape, self.missing_size, rng)
            seen[field < np.quantile(field, self.missing_share)] = 0
        return seen

    def _look_aside(self, depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = depth.shape
        columns, rows = rng.uniform(-self.mixing, self.mixing, (2, height, width))
        columns += np.arange(width) - self.offset[0]
        rows += np.arange(height)[:, None] - self.offset[1]
        return cv2.remap(
            depth,
            columns.astype(np.float32),
            rows.astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )

    def _unit_noise(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """(H, W) float32 noise of mean 0 and standard deviation 1."""
        noise = rng.standard_normal(shape, np.float32)
        if not self.correlated_share:
            return noise
        # Smoothed with a Gaussian of sigma s, noise has the correlation exp(-d^2 / (2 s)^2).
        common = _smooth_noise(shape, 0.5 * self.correlation_length, rng)
        return sqrt(1 - self.correlated_share) * noise + sqrt(self.correlated_share) * common


def _smooth_noise(shape: tuple[int, ...], sigma: float, rng: np.random.Generator) -> np.ndarray:
    """(H, W) float32 noise of mean 0 and standard deviation 1, smoothed with a Gaussian."""
    margin = ceil(4 * sigma)  # at a border, less would be averaged
    kernel = cv2.getGaussianKernel(2 * margin + 1, sigma, cv2.CV_32F)
    noise = rng.standard_normal([side + 2 * margin for side in shape], np.float32)
    smooth = cv2.sepFilter2D(noise, cv2.CV_32F, kernel, kernel)
    return smooth[margin:-margin, margin:-margin] / np.float32((kernel**2).sum())


def _fatten(depth: np.ndarray, pixels: int) -> None:
    """Let near things spread over what is behind them, in place."""
    y, x = np.ogrid[-pixels : pixels + 1, -pixels : pixels + 1]
    disc = (x * x + y * y <= pixels * pixels).astype(np.uint8)
    closeness = 1 / depth  # of a plane, this is linear in the pixels
    nearest, farthest = cv2.dilate(closeness, disc), cv2.erode(closeness, disc)
    # On a slope, what is nearer and what is farther than the pixel balance.
    edge = nearest + farthest - 2 * closeness > np.float32(_EDGE) * closeness
    np.copyto(depth, cv2.erode(depth, disc), where=edge)


_REAL = DepthModel(
    noise=0.0012, noise_growth=0.0019, correlated_share=0.5, correlation_length=3.0, mixing=1.0,
    step=0.001,
)  # fmt: skip

DEPTH_MODELS = MappingProxyType(
    {
        "ideal": DepthModel(),
        "real": _REAL,
        "missing": replace(_REAL, missing_share=0.3, missing_size=6.0),
        "holes": replace(_REAL, missing_share=0.3, missing_size=20.0),
        "fattened": replace(_REAL, fattening=3),
        "shifted": replace(_REAL, offset=(3.0, 1.0)),
    }
)
"""Models by name: without a flaw; with noise and mixed pixels; like that and with 30 % of the image
missing in small or in large blobs, with fattened edges, or with the depth image out of place."""
