# SPDX-License-Identifier: Apache-2.0
"""Tables and floors, with the flat clutter that lies on them: RGB uint8 images."""

from __future__ import annotations

import cv2
import numpy as np

from yolact_ros.scenes import textures


def _ramp(field: np.ndarray, first: tuple[float, ...], last: tuple[float, ...]) -> np.ndarray:
    """Colours a field in [0, 1] between two colours."""
    levels = 256
    weight = np.linspace(0, 1, levels)[:, None]
    table = (1 - weight) * np.array(first) + weight * np.array(last)
    table = np.clip(table, 0, 255).astype(np.uint8).reshape(1, levels, 3)
    index = cv2.convertScaleAbs(np.maximum(field, 0), alpha=levels - 1)
    return cv2.LUT(cv2.merge([index, index, index]), table)


def _wood(rng: np.random.Generator, side: int) -> np.ndarray:
    tone = np.array([[150, 104, 64], [196, 152, 104], [112, 74, 48], [214, 186, 150]])[
        int(rng.integers(4))
    ] + rng.uniform(-15, 15, 3)
    grain = textures.smooth_noise(rng, (side, side), (6, 2), 2)
    rows = np.linspace(0, rng.uniform(15, 40), side, dtype=np.float32)[:, None]
    rings = np.sin(rows + 4 * grain)
    fibre = textures.smooth_noise(rng, (side, side), (160, 6), 1)
    image = _ramp(0.5 + 0.22 * rings + 0.25 * fibre, tuple(0.72 * tone), tuple(1.14 * tone))
    planks = int(rng.integers(0, 8))
    for i in range(planks if planks > 3 else 0):
        y = (i + 1) * side // (planks + 1)
        image[y - 1 : y + 2] = (0.45 * tone).astype(np.uint8)
    return image


def _plain(rng: np.random.Generator, side: int) -> np.ndarray:
    tone = np.array(textures.color(rng, dull=True), float)
    blotch = textures.smooth_noise(rng, (side, side), (3, 3), 3)
    grit = textures.smooth_noise(rng, (side, side), (side // 3, side // 3), 1)
    contrast = rng.uniform(0.05, 0.3)
    field = 0.5 + contrast * blotch + rng.uniform(0.05, 0.4) * grit
    return _ramp(field, tuple(0.8 * tone), tuple(1.15 * tone + 6))


def _stone(rng: np.random.Generator, side: int) -> np.ndarray:
    light = rng.uniform(150, 225)
    warm = rng.uniform(-12, 14)
    noise = textures.smooth_noise(rng, (side, side), (4, 4), 4)
    veins = 1 - np.abs(noise)
    if rng.uniform() < 0.5:
        squared = veins * veins
        field = squared * squared * veins
    else:
        field = np.float32(0.5) + np.float32(0.4) * noise
    dark = rng.uniform(0.55, 0.8) * light
    return _ramp(field, (light + warm, light, light - warm), (dark + warm, dark, dark - warm))


def _cloth(rng: np.random.Generator, side: int) -> np.ndarray:
    base = np.array(textures.light_color(rng), float)
    tint = np.array(textures.color(rng, dull=bool(rng.uniform() < 0.5)), float)
    step = int(rng.integers(18, 60))
    stripe = (np.arange(side) // step % 2).astype(np.float32)
    cross = stripe[None] if rng.uniform() < 0.3 else 0.5 * (stripe[None] + stripe[:, None])
    weave = textures.smooth_noise(rng, (side, side), (side // 4, side // 4), 1)
    return _ramp(cross * 0.8 + 0.1 + 0.1 * weave, tuple(base), tuple(tint))


def _tiles(rng: np.random.Generator, side: int) -> np.ndarray:
    image = _stone(rng, side) if rng.uniform() < 0.5 else _plain(rng, side)
    step = side // int(rng.integers(3, 9))
    grout = textures.color(rng, dull=True)
    for at in range(0, side, step):
        cv2.line(image, (at, 0), (at, side), grout, 3)
        cv2.line(image, (0, at), (side, at), grout, 3)
    return image


_MAKERS = (_wood, _wood, _plain, _plain, _stone, _cloth, _tiles)


def _paper(rng: np.random.Generator, image: np.ndarray, scale: float) -> None:
    """Draws a sheet with lines of print, a picture or nothing on it."""
    width, height = rng.uniform(0.07, 0.21) * scale, rng.uniform(0.07, 0.25) * scale
    angle = rng.uniform(0, 2 * np.pi)
    middle = rng.uniform(0.2, 0.8, 2) * image.shape[0]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def at(x: float, y: float) -> np.ndarray:
        return turn @ np.array([x * width, y * height]) + middle

    def quad(x0: float, y0: float, x1: float, y1: float, tint: textures.Color) -> None:
        corners = np.array([at(x0, y0), at(x1, y0), at(x1, y1), at(x0, y1)])
        cv2.fillConvexPoly(image, (corners * 16).astype(np.int32), tint, cv2.LINE_AA, 4)

    sheet = textures.light_color(rng) if rng.uniform() < 0.6 else textures.any_color(rng)
    quad(-0.5, -0.5, 0.5, 0.5, sheet)
    ink = (60, 60, 70)
    if rng.uniform() < 0.6:
        for y in np.arange(-0.4, 0.4, rng.uniform(0.05, 0.1)).tolist():
            quad(-0.4, y, rng.uniform(0.1, 0.4), y + 0.012, ink)
    if rng.uniform() < 0.4:
        x, y = rng.uniform(-0.4, 0, 2)
        quad(x, y, x + 0.35, y + 0.3, textures.any_color(rng))


def _cable(rng: np.random.Generator, image: np.ndarray) -> None:
    """Draws a winding cable."""
    side = image.shape[0]
    steps = np.cumsum(rng.normal(0, 0.22, 60)) * 0.35 + rng.uniform(0, 2 * np.pi)
    path = np.cumsum(np.stack([np.cos(steps), np.sin(steps)], axis=1), axis=0) * side * 0.016
    path += rng.uniform(0.15, 0.85, 2) * side
    tint = (34, 34, 38) if rng.uniform() < 0.6 else textures.any_color(rng)
    points = (path * 16).astype(np.int32)[:, None]
    thickness = int(rng.integers(3, 7))
    cv2.polylines(image, [points], False, tuple(v // 2 for v in tint), thickness + 2, 16, 4)
    cv2.polylines(image, [points], False, tint, thickness, 16, 4)


def _patch(rng: np.random.Generator, image: np.ndarray) -> None:
    """Draws a flat patterned patch, such as a mat or a coaster's print."""
    side = image.shape[0]
    angle, size = rng.uniform(0, 360), rng.uniform(0.06, 0.2) * side
    pattern = textures.pattern(rng, 192, textures.color(rng, dull=True), ("bands", "checks"))
    turn = cv2.getRotationMatrix2D((128, 96), angle, size / 200)
    turn[:, 2] += rng.uniform(0.2, 0.8, 2) * side - (128, 96)
    cv2.warpAffine(
        pattern, turn, (side, side), dst=image, flags=cv2.INTER_AREA,
        borderMode=cv2.BORDER_TRANSPARENT,
    )  # fmt: skip


def surface(rng: np.random.Generator, side: int) -> np.ndarray:
    """A bare table or floor, (side, side, 3)."""
    return _MAKERS[int(rng.integers(len(_MAKERS)))](rng, side)


def add_clutter(rng: np.random.Generator, image: np.ndarray, extent: float) -> None:
    """Draws papers, cables and patches on a surface that is `extent` metres wide, in place."""
    for _ in range(int(rng.integers(0, 3))):
        _patch(rng, image)
    for _ in range(int(rng.integers(0, 5))):
        _paper(rng, image, image.shape[0] / extent)
    for _ in range(int(rng.integers(0, 3))):
        _cable(rng, image)
