# SPDX-License-Identifier: Apache-2.0
"""Procedural surface textures: RGB uint8 arrays made from a random generator."""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import cv2
import numpy as np

Color = tuple[int, int, int]
COLUMNS = 256  # width of an object's texture: once around
_WORDS = (
    "NOVA",
    "FRESH",
    "Mio",
    "ECO",
    "LUX",
    "Bravo",
    "No.7",
    "TEA",
    "KIWI",
    "Soda",
    "ZEST",
    "A+",
)


def color(rng: np.random.Generator, *, dull: bool = False) -> Color:
    """Return a random RGB colour, vivid or (`dull`) muted."""
    ranges = ((0.05, 0.4), (0.25, 0.85)) if dull else ((0.55, 0.95), (0.5, 0.95))
    saturation, value = (rng.uniform(low, high) for low, high in ranges)
    r, g, b = colorsys.hsv_to_rgb(rng.uniform(), saturation, value)
    return int(255 * r), int(255 * g), int(255 * b)


def light_color(rng: np.random.Generator) -> Color:
    """Return a near-white colour."""
    base = rng.uniform(205, 245)
    r, g, b = np.clip(base + rng.uniform(-14, 14, 3), 0, 250)
    return int(r), int(g), int(b)


def any_color(rng: np.random.Generator) -> Color:
    """Return a vivid, light or muted colour."""
    kind = rng.uniform()
    return color(rng) if kind < 0.65 else light_color(rng) if kind < 0.85 else color(rng, dull=True)


def darker(tint: Color, share: float) -> Color:
    """Return a share, 0 to 1, of a colour."""
    r, g, b = tint
    return int(share * r), int(share * g), int(share * b)


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int], octaves: int
) -> np.ndarray:
    """Return (h, w) float32 noise in about [-1, 1].

    `cells` are the rows and columns of the coarsest octave.
    """
    small = (shape[0] // 4, shape[1] // 4)  # enough for the coarse octaves, which are most
    coarse: np.ndarray | None = None
    fine: np.ndarray | None = None
    for octave in range(octaves):
        rows, columns = cells[0] * 2**octave, cells[1] * 2**octave
        grid = rng.uniform(-1, 1, (rows + 1, columns + 1)).astype(np.float32)
        grid *= np.float32(0.5**octave)
        if 2 * rows <= small[0] and 2 * columns <= small[1]:
            layer = cv2.resize(grid, small[::-1], interpolation=cv2.INTER_CUBIC)
            coarse = layer if coarse is None else coarse + layer
        else:
            layer = cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_LINEAR)
            fine = layer if fine is None else fine + layer
    if coarse is not None:
        coarse = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_LINEAR)
        return coarse if fine is None else cv2.add(coarse, fine)
    assert fine is not None, "octaves must be at least 1"
    return fine


def plain(rows: int, tint: Color) -> np.ndarray:
    """One colour, (rows, COLUMNS, 3)."""
    return np.full((rows, COLUMNS, 3), tint, np.uint8)


def gradient(rows: int, first: Color, last: Color) -> np.ndarray:
    """From `first` in row 0 to `last` in the last row."""
    weight = np.linspace(0, 1, rows)[:, None, None]
    values = (1 - weight) * np.array(first) + weight * np.array(last)
    return np.repeat(values, COLUMNS, axis=1).astype(np.uint8)


def speckle(rng: np.random.Generator, image: np.ndarray, strength: float) -> np.ndarray:
    """`image` with blotches of brightness."""
    noise = smooth_noise(rng, (image.shape[0], image.shape[1]), (4, 8), 3) * np.float32(strength)
    return cv2.add(image, cv2.merge([noise, noise, noise]), dtype=cv2.CV_8U)


def bands(rng: np.random.Generator, rows: int, base: Color, *, light: bool = False) -> np.ndarray:
    """`base` with one to three stripes around."""
    image = plain(rows, base)
    tint = light_color(rng) if light else any_color(rng)
    count = int(rng.integers(1, 4))
    for i in range(count):
        middle = rows * (i + 0.5 + rng.uniform(-0.1, 0.1)) / count
        half = rows * rng.uniform(0.08, 0.22) / count
        image[max(int(middle - half), 0) : int(middle + half) + 1] = tint
    return image


def sectors(rng: np.random.Generator, rows: int, base: Color) -> np.ndarray:
    """`base` with stripes along the axis, as on a beach ball."""
    image = plain(rows, base)
    count = int(rng.integers(2, 5))
    tints = [any_color(rng) for _ in range(count)] if rng.uniform() < 0.4 else [any_color(rng)] * 4
    width = COLUMNS // (2 * count)
    for i in range(count):
        image[:, 2 * i * width : (2 * i + 1) * width] = tints[i]
    return image


def dots(rng: np.random.Generator, rows: int, base: Color) -> np.ndarray:
    """`base` with rows of dots."""
    image = plain(rows, base)
    tint = any_color(rng)
    step = int(rng.choice([32, 64]))
    radius = int(step * rng.uniform(0.18, 0.32))
    for row, y in enumerate(range(step // 2, rows, step)):
        for x in range(step // 2 * (1 + row % 2), COLUMNS + step, step):
            cv2.circle(image, (x % COLUMNS, y), radius, tint, -1, cv2.LINE_AA)
    return image


def label(rng: np.random.Generator, rows: int, base: Color) -> np.ndarray:
    """A printed label: a field, a word, an emblem and small print, twice around."""
    image = bands(rng, rows, base) if rng.uniform() < 0.5 else plain(rows, base)
    field, ink = any_color(rng), any_color(rng)
    word = str(rng.choice(_WORDS))
    half = COLUMNS // 2
    side = image[:, :half].copy()
    top, bottom = int(rows * rng.uniform(0.08, 0.3)), int(rows * rng.uniform(0.7, 0.92))
    if rng.uniform() < 0.5:
        cv2.rectangle(side, (8, top), (half - 8, bottom), field, -1)
    else:
        axes = (half // 2 - 12, (bottom - top) // 2)
        cv2.ellipse(side, (half // 2, (top + bottom) // 2), axes, 0, 0, 360, field, -1, cv2.LINE_AA)
    scale = 1.5 if len(word) <= 3 else 0.95
    cv2.putText(
        side, word, (18, rows // 2 + 8), cv2.FONT_HERSHEY_DUPLEX, scale, ink, 3, cv2.LINE_AA
    )
    for i in range(3):
        y = rows // 2 + 20 + 6 * i
        cv2.line(side, (26, y), (half - 26 - int(rng.integers(20)), y), ink, 1)
    return np.tile(side, (1, 2, 1))


def checks(rng: np.random.Generator, rows: int, base: Color) -> np.ndarray:
    """`base` in a checker pattern with a second colour."""
    image = plain(rows, base)
    step = int(rng.choice([16, 32]))
    y, x = np.mgrid[:rows, :COLUMNS] // step
    image[(x + y) % 2 == 0] = any_color(rng)
    return image


Pattern = Callable[[np.random.Generator, int, Color], np.ndarray]


def pattern(rng: np.random.Generator, rows: int, base: Color, among: tuple[str, ...]) -> np.ndarray:
    """One of the patterns named in `among`, (rows, COLUMNS, 3)."""
    makers: dict[str, Pattern] = {
        "plain": lambda _, count, tint: plain(count, tint),
        "bands": bands,
        "sectors": sectors,
        "dots": dots,
        "label": label,
        "checks": checks,
    }
    return speckle(rng, makers[str(rng.choice(among))](rng, rows, base), rng.uniform(0, 10))
