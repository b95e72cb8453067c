# SPDX-License-Identifier: Apache-2.0
"""Random objects of each kind that appears in a scene."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from yolact_ros.errors import InputError
from yolact_ros.scenes import extra_objects, textures
from yolact_ros.scenes.shapes import Band, Disk, Piece, Torus
from yolact_ros.scenes.solids import Solid, TextureStack, cuboid, of_revolution

_METAL = (186, 188, 192)


def _ball(rng: np.random.Generator) -> Solid:
    radius = rng.uniform(0.035, 0.07)
    texture = TextureStack()
    image = textures.pattern(
        rng, 128, textures.any_color(rng), ("plain", "plain", "bands", "sectors", "sectors", "dots")
    )
    sphere = Band(radius**2, 0.0, -1.0, -radius, radius, texture.add(image))
    specular = rng.uniform(0.05, 0.5)
    return of_revolution(
        "ball", [sphere], texture, radius, 2 * radius, rng, specular=specular, base=-radius
    )


def _box(rng: np.random.Generator) -> Solid:
    half = rng.uniform(0.028, 0.075, 3)
    style = rng.uniform()
    if style < 0.3:
        base = np.array([186, 145, 100]) + rng.uniform(-25, 25)
        card = (int(base[0]), int(base[1]), int(base[2]))
        blocks = [textures.speckle(rng, textures.plain(128, card), 12) for _ in range(3)]
        tape, tape_tint = slice(56, 72), base + np.array([35, 45, 50])
        blocks[2][tape] = np.clip(tape_tint, 0, 255)
        blocks[0][:, 116:140] = np.clip(tape_tint, 0, 255)
        if rng.uniform() < 0.6:
            blocks[int(rng.integers(3))][20:50, 20:90] = textures.light_color(rng)
        return cuboid("box", half, blocks, 0.02)
    base_tint = textures.any_color(rng)
    among = ("plain",) if style < 0.45 else ("label", "label", "bands", "checks", "dots", "plain")
    blocks = [textures.pattern(rng, 128, base_tint, among) for _ in range(3)]
    return cuboid("box", half, blocks, float(rng.uniform(0, 0.25)))


def _can(rng: np.random.Generator) -> Solid:
    radius = rng.uniform(0.032, 0.046)
    height = radius * rng.uniform(2.0, 3.3)
    texture = TextureStack()
    metal = texture.add(textures.plain(12, _METAL))
    wall = textures.pattern(
        rng, 128, textures.any_color(rng), ("label", "label", "label", "bands", "sectors")
    )
    body = texture.add(wall)
    lid_image = textures.gradient(32, (168, 170, 175), (196, 198, 202))
    lid_image[8:12] = (120, 122, 126)
    lid_image[24:28] = (110, 112, 118)
    lid_image[:16, 100:156] = (140, 142, 146)
    lid = texture.add(lid_image)
    neck, edge = 0.035 * height, 0.9 * radius
    pieces: list[Piece] = [
        Band.frustum(0, edge, neck, radius, metal),
        Band.frustum(neck, radius, height - 1.6 * neck, radius, (body[1], body[0])),
        Band.frustum(height - 1.6 * neck, radius, height, edge, metal),
        Disk(0, 0, edge, metal, down=True),
        Disk(height, 0, edge, lid),
    ]
    return of_revolution("can", pieces, texture, radius, height, rng, specular=0.5)


def _bottle(rng: np.random.Generator) -> Solid:
    radius = rng.uniform(0.03, 0.042)
    height = radius * rng.uniform(5.0, 6.4)
    neck_radius = radius * rng.uniform(0.32, 0.42)
    shoulder, neck = height * rng.uniform(0.5, 0.6), height * rng.uniform(0.7, 0.78)
    cap = height * rng.uniform(0.87, 0.92)
    glass = (
        textures.any_color(rng)
        if rng.uniform() < 0.4
        else ((34, 92, 48), (96, 56, 24), (60, 110, 150), (200, 214, 216))[int(rng.integers(4))]
    )
    texture = TextureStack()
    body_image = textures.plain(128, glass)
    if rng.uniform() < 0.85:
        top, bottom = int(rng.integers(10, 35)), int(rng.integers(90, 118))
        body_image[top:bottom] = textures.pattern(
            rng, bottom - top, textures.light_color(rng), ("label", "label", "bands")
        )
    body, plain = texture.add(body_image), texture.add(textures.plain(12, glass))
    lid = texture.add(textures.plain(12, textures.any_color(rng)))
    cap_radius = neck_radius * 1.18
    upper = (
        Band.dome(shoulder, radius, neck, neck_radius, plain)
        if rng.uniform() < 0.6
        else Band.frustum(shoulder, radius, neck, neck_radius, plain)
    )
    pieces: list[Piece] = [
        Band.frustum(0, radius, shoulder, radius, (body[1], body[0])),
        upper,
        Band.frustum(neck, neck_radius, cap, neck_radius, plain),
        Band.frustum(cap, cap_radius, height, cap_radius, lid),
        Disk(height, 0, cap_radius, lid),
        Disk(cap, 0, cap_radius, lid, down=True),
        Disk(0, 0, radius, plain, down=True),
    ]
    return of_revolution("bottle", pieces, texture, radius, height, rng, specular=0.7)


def _mug(rng: np.random.Generator) -> Solid:
    radius = rng.uniform(0.038, 0.05)
    height = radius * rng.uniform(1.9, 2.5)
    base = radius * rng.uniform(0.8, 1.0)
    tint = textures.any_color(rng)
    inside = textures.light_color(rng) if rng.uniform() < 0.6 else tint
    dark = textures.darker(inside, 0.4)
    texture = TextureStack()
    wall = texture.add(
        textures.pattern(rng, 128, tint, ("plain", "plain", "bands", "label", "dots"))
    )
    cavity = texture.add(textures.gradient(32, dark, inside))
    floor = texture.add(textures.plain(12, dark if rng.uniform() < 0.6 else (58, 34, 20)))
    plain = texture.add(textures.plain(12, tint))
    rim, ground = 0.92 * radius, rng.uniform(0.08, 0.5) * height
    ground_radius = 0.92 * base + (rim - 0.92 * base) * ground / height
    ring = height * rng.uniform(0.27, 0.33)
    thick = radius * rng.uniform(0.13, 0.18)
    middle = 0.5 * (radius + base)
    pieces: list[Piece] = [
        Band.frustum(0, base, height, radius + 1e-6, (wall[1], wall[0])),
        Band.frustum(ground, ground_radius, height, rim, cavity, inner=True),
        Disk(ground, 0, ground_radius, floor),
        Disk(height, rim, radius, plain),
        Disk(0, 0, base, plain, down=True),
        Torus(
            ring, thick, 1, plain, center_x=middle + 0.12 * ring, center_z=0.52 * height,
            clear=0.96 * base, clear_slope=0.96 * (radius - base) / height,
        ),
    ]  # fmt: skip
    reach = middle + 1.12 * ring + thick
    return of_revolution("mug", pieces, texture, radius, height, rng, specular=0.5, reach=reach)


def _bowl(rng: np.random.Generator) -> Solid:
    radius = rng.uniform(0.065, 0.095)
    height = radius * rng.uniform(0.5, 0.75)
    foot, wall = 0.5 * radius, 0.05 * radius + 0.001
    tint = textures.any_color(rng)
    inside = textures.light_color(rng) if rng.uniform() < 0.5 else tint
    texture = TextureStack()
    outer = texture.add(textures.pattern(rng, 96, tint, ("plain", "plain", "bands", "sectors")))
    dark, bottom = textures.darker(inside, 0.6), textures.darker(inside, 0.55)
    cavity_image = textures.gradient(64, dark, inside)
    if rng.uniform() < 0.4:
        cavity_image[50:58] = tint
    cavity, floor = texture.add(cavity_image), texture.add(textures.gradient(16, bottom, dark))
    rim = texture.add(textures.plain(12, tint))
    pieces: list[Piece] = [
        Band.dome(0, foot, height, radius, (outer[1], outer[0])),
        Band.dome(2 * wall, foot, height, radius - wall, cavity, inner=True),
        Disk(2 * wall, 0, foot, floor),
        Disk(height, radius - wall, radius, rim),
        Disk(0, 0, foot, rim, down=True),
    ]
    return of_revolution("bowl", pieces, texture, radius, height, rng, specular=0.45)


def _cone(rng: np.random.Generator) -> Solid:
    radius = rng.uniform(0.042, 0.068)
    height = radius * rng.uniform(2.0, 3.2)
    traffic = rng.uniform() < 0.5
    tint = (235, 92, 20) if traffic else textures.any_color(rng)
    texture = TextureStack()
    image = (
        textures.bands(rng, 128, tint, light=True)
        if traffic
        else textures.pattern(rng, 128, tint, ("plain", "plain", "bands", "checks", "sectors"))
    )
    wall = texture.add(image)
    plain = texture.add(textures.plain(12, tint))
    tip = radius * rng.uniform(0.04, 0.12)
    flared = bool(traffic and rng.uniform() < 0.7)
    foot = 0.045 * height if flared else 0.0
    inner = 0.8 * radius if flared else radius
    pieces: list[Piece] = [
        Band.frustum(foot, inner, height, tip, (wall[1], wall[0])),
        Disk(height, 0, tip, plain),
        Disk(0, 0, radius, plain, down=True),
    ]
    if flared:
        pieces += [Band.frustum(0, radius, foot, radius, plain), Disk(foot, inner, radius, plain)]
    return of_revolution(
        "cone", pieces, texture, radius, height, rng, specular=0.15, tip_radius=tip, flared=flared
    )


def _ring(rng: np.random.Generator) -> Solid:
    major = rng.uniform(0.045, 0.075)
    minor = major * rng.uniform(0.2, 0.32)
    texture = TextureStack()
    rows = texture.add(
        textures.pattern(rng, 96, textures.any_color(rng), ("plain", "plain", "sectors", "dots"))
    )
    torus, specular = Torus(major, minor, 2, rows), rng.uniform(0.1, 0.6)
    return of_revolution(
        "ring", [torus], texture, major + minor, 2 * minor, rng, specular=specular, base=-minor
    )


def _slab(rng: np.random.Generator) -> Solid:
    half = np.array([rng.uniform(0.05, 0.09), rng.uniform(0.035, 0.06), rng.uniform(0.002, 0.005)])
    tint = textures.any_color(rng)
    cover = textures.pattern(rng, 128, tint, ("plain", "bands", "label", "checks"))
    page = textures.plain(16, textures.light_color(rng))
    return cuboid("slab", half, [page, page, cover], 0.1)


def _stick(rng: np.random.Generator) -> Solid:
    radius, height = rng.uniform(0.0025, 0.005), rng.uniform(0.12, 0.2)
    texture = TextureStack()
    body = texture.add(textures.plain(12, textures.any_color(rng)))
    tip = texture.add(textures.gradient(24, (222, 188, 140), (50, 44, 40)))
    pieces: list[Piece] = [
        Band.frustum(0, radius, 0.9 * height, radius, body),
        Band.frustum(0.9 * height, radius, height, 0.1 * radius, tip),
        Disk(0, 0, radius, body, down=True),
    ]
    return of_revolution("stick", pieces, texture, radius, height, rng, specular=0.3)


_MAKERS: dict[str, Callable[[np.random.Generator], Solid]] = {
    "ball": _ball,
    "box": _box,
    "can": _can,
    "bottle": _bottle,
    "mug": _mug,
    "bowl": _bowl,
    "cone": _cone,
    "ring": _ring,
    "slab": _slab,
    "stick": _stick,
    "dumbbell": extra_objects.dumbbell,
    "mushroom": extra_objects.mushroom,
}

CLUTTER_KINDS = ("slab", "stick")
"""Kinds that appear in every scene and are never labelled."""


def make_solid(kind: str, rng: np.random.Generator) -> Solid:
    """Make a random solid of the given kind.

    Args:
        kind: One of the demo's class names, `CLUTTER_KINDS` or `EXTRA_KINDS`.
        rng: Random generator for size and texture.

    Raises:
        InputError: The kind is unknown.
    """
    if kind not in _MAKERS:
        raise InputError(f"kind: expected one of {', '.join(_MAKERS)}, got {kind!r}")
    return _MAKERS[kind](rng)
