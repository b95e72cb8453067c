# SPDX-License-Identifier: Apache-2.0
"""Kinds of objects that the demo's network does not know, to fine-tune it on."""

from __future__ import annotations

import numpy as np

from yolact_ros.scenes import textures
from yolact_ros.scenes.shapes import Band, Disk, Piece
from yolact_ros.scenes.solids import Solid, TextureStack, of_revolution


def dumbbell(rng: np.random.Generator) -> Solid:
    """A bar between two round weights, which are balls or thick discs."""
    radius = rng.uniform(0.026, 0.04)
    height = radius * rng.uniform(4.0, 5.4)
    bar = radius * rng.uniform(0.3, 0.42)
    tint = textures.any_color(rng) if rng.uniform() < 0.7 else (52, 54, 58)
    texture = TextureStack()
    wall = texture.add(
        textures.pattern(rng, 64, tint, ("plain", "plain", "bands", "sectors", "dots"))
    )
    end = texture.add(textures.gradient(32, textures.light_color(rng), tint))
    metal = (178, 180, 186)
    grip = texture.add(
        textures.checks(rng, 64, metal)
        if rng.uniform() < 0.4
        else textures.plain(64, metal if rng.uniform() < 0.6 else textures.any_color(rng))
    )
    if rng.uniform() < 0.4:
        length = 2 * radius
        weights: list[Piece] = [
            Band(radius**2 - middle**2, 2 * middle, -1.0, middle - radius, middle + radius, wall)
            for middle in (radius, height - radius)
        ]
    else:
        length = radius * rng.uniform(0.9, 1.3)
        edge = 0.12 * length
        weights = []
        for start in (0.0, height - length):
            stop, rim = start + length, radius - edge
            weights += [
                Band.frustum(start, rim, start + edge, radius, wall),
                Band.frustum(start + edge, radius, stop - edge, radius, wall),
                Band.frustum(stop - edge, radius, stop, rim, wall),
                Disk(start, 0, rim, end, down=True),
                Disk(stop, 0, rim, end),
            ]
    between = Band.frustum(length - 0.2 * bar, bar, height - length + 0.2 * bar, bar, grip)
    return of_revolution(
        "dumbbell", [between, *weights], texture, radius, height, rng, specular=0.5, convex=False
    )


def mushroom(rng: np.random.Generator) -> Solid:
    """A round cap, often spotted, on a pale stem."""
    radius = rng.uniform(0.04, 0.062)
    stem_height = radius * rng.uniform(0.7, 1.3)
    height = stem_height + radius * rng.uniform(0.6, 0.95)
    foot, neck = radius * rng.uniform(0.36, 0.5), radius * rng.uniform(0.26, 0.34)
    tint = (
        ((196, 30, 28), (150, 92, 50), (222, 196, 158))[int(rng.integers(3))]
        if rng.uniform() < 0.5
        else textures.any_color(rng)
    )
    pale = textures.light_color(rng)
    shade = (int(0.72 * pale[0]), int(0.66 * pale[1]), int(0.58 * pale[2]))
    texture = TextureStack()
    cap_image = textures.pattern(rng, 128, tint, ("plain", "dots", "dots", "dots"))
    cap = texture.add(cap_image)
    stem = texture.add(textures.gradient(48, pale, shade))
    gills_image = textures.plain(24, shade)
    gills_image[:, ::6] = textures.darker(shade, 0.7)
    gills = texture.add(gills_image)
    rim = stem_height - 0.06 * radius
    pieces: list[Piece] = [
        Band.dome(stem_height, radius, height, 0.0, (cap[1], cap[0])),
        Band.frustum(rim, 0.93 * radius, stem_height, radius, (cap[1], cap[1])),
        Band.frustum(0, foot, rim, neck, (stem[1], stem[0])),
        Disk(rim, neck, 0.93 * radius, gills, down=True),
        Disk(0, 0, foot, stem, down=True),
    ]
    return of_revolution(
        "mushroom", pieces, texture, radius, height, rng, specular=0.25, convex=False
    )
