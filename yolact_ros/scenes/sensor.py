# SPDX-License-Identifier: Apache-2.0
"""The sensor: turns light and true depth into colour and depth images with realistic flaws."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import cv2
import numpy as np

_QUANTILES = np.array([NormalDist().inv_cdf((i + 0.5) / 256) for i in range(256)], np.float32)
_MARGIN = 64  # by which the noise patterns are larger than the image, to be shifted each frame


@dataclass(frozen=True, eq=False)
class Sensor:
    """Imperfections of an RGB-D camera.

    Attributes:
        gain: (3,) exposure times white balance of each channel.
        vignetting: Share of the light lost in the corners, 0 to 1.
        blur: Standard deviation of the lens blur in pixels at a width of 640.
        noise: Standard deviation of the colour noise in levels of 0 to 255.
        depth_noise: Standard deviation of the depth at 1 m, in metres; grows with the square.
        max_depth: Range in metres; nothing beyond returns.
        hole_rate: Share of the pixels at depth edges that do not return, 0 to 1.
    """

    gain: np.ndarray
    vignetting: float
    blur: float
    noise: float
    depth_noise: float
    max_depth: float
    hole_rate: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> Sensor:
        """Make a sensor with plausible flaws."""
        return cls(
            gain=rng.uniform(0.85, 1.15) * rng.uniform(0.94, 1.06, 3),
            vignetting=rng.uniform(0.0, 0.35),
            blur=rng.uniform(0.45, 0.95),
            noise=rng.uniform(1.0, 5.0),
            depth_noise=rng.uniform(0.0008, 0.002),
            max_depth=rng.uniform(4.0, 6.0),
            hole_rate=rng.uniform(0.1, 0.5),
        )

    def gain_map(self, height: int, width: int) -> np.ndarray:
        """Return the gain of every pixel, (height, width, 3) float32."""
        y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        x = np.linspace(-1, 1, width, dtype=np.float32)[None]
        falloff = 1 - np.float32(self.vignetting) * np.sqrt(0.5 * (x * x + y * y)) ** 3
        return cv2.merge([falloff * np.float32(g) for g in self.gain])

    def pixels(self, height: int, width: int, rng: np.random.Generator) -> SensorPixels:
        """Return the sensor at a resolution, with noise patterns drawn from `rng`."""
        rows, columns = height + _MARGIN, width + _MARGIN
        codes = np.frombuffer(rng.bytes(rows * columns * 3), np.uint8).reshape(rows, columns, 3)
        table = np.round(np.clip(_QUANTILES * self.noise, -127, 127)).astype(np.int8)
        depth_codes = np.frombuffer(rng.bytes(rows * columns), np.uint8).reshape(rows, columns)
        chance = cv2.blur(depth_codes, (3, 3))  # neighbours drop out together
        spread = 74 / 3  # standard deviation of the mean of nine uniform bytes
        edge_limit = 127.5 + spread * NormalDist().inv_cdf(self.hole_rate)
        return SensorPixels(
            sensor=self,
            gain_map=self.gain_map(height, width),
            color_noise=cv2.LUT(codes, table),
            depth_noise=cv2.LUT(depth_codes, _QUANTILES * np.float32(self.depth_noise)),
            edge_dropout=chance < edge_limit,
            dropout=chance < 127.5 - 3.2 * spread,
        )


@dataclass(frozen=True, eq=False)
class SensorPixels:
    """A sensor at a certain resolution.

    Its noise patterns are made once and shifted at random in each frame, because drawing as many
    random numbers takes longer than everything else here.

    Attributes:
        sensor: The sensor.
        gain_map: (H, W, 3) float32 gain.
        color_noise: (H + 64, W + 64, 3) int8.
        depth_noise: (H + 64, W + 64) float32, metres at 1 m.
        edge_dropout: (H + 64, W + 64) bool: where depth edges do not return.
        dropout: (H + 64, W + 64) bool: where nothing returns.
    """

    sensor: Sensor
    gain_map: np.ndarray
    color_noise: np.ndarray
    depth_noise: np.ndarray
    edge_dropout: np.ndarray
    dropout: np.ndarray

    def _shifted(self, rng: np.random.Generator) -> tuple[slice, slice]:
        height, width = self.gain_map.shape[:2]
        y, x = (int(v) for v in rng.integers(0, _MARGIN + 1, 2))
        return slice(y, y + height), slice(x, x + width)

    def expose(self, light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the (H, W, 3) uint8 RGB image of `light` (H, W, 3) float32, where 255 is white."""
        sigma = max(self.sensor.blur * light.shape[1] / 640, 0.3)
        image = cv2.GaussianBlur(light, (3, 3) if sigma < 1 else (0, 0), sigma)
        image = cv2.multiply(image, self.gain_map, dst=image)
        return cv2.add(image, self.color_noise[self._shifted(rng)], dtype=cv2.CV_8U)

    def measure(self, depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return true depth (H, W) float32 as measured: noisy, and 0 where nothing returns."""
        window = self._shifted(rng)
        measured = cv2.multiply(depth, depth)
        measured = cv2.multiply(measured, self.depth_noise[window], dst=measured)
        measured += depth
        # A table seen at a flat angle is no edge: its steps grow with the pixels' width.
        step = 0.02 + 8 / depth.shape[1]
        millimetres = cv2.multiply(depth, 1000.0, dtype=cv2.CV_16U)
        steps = cv2.morphologyEx(millimetres, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        hole = steps > np.float32(1000 * step) * depth
        hole &= self.edge_dropout[window]
        hole |= self.dropout[window]
        hole |= depth > self.sensor.max_depth
        measured[hole] = 0
        return measured
