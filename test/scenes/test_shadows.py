# SPDX-License-Identifier: Apache-2.0
"""Shadows have the form of what casts them."""

from dataclasses import replace

import numpy as np

from yolact_ros.scenes.layout import place
from yolact_ros.scenes.objects import make_solid
from yolact_ros.scenes.shading import Light
from yolact_ros.scenes.shadows import shadow_maps


def test_a_lying_dumbbells_shadow_is_thin_between_its_weights() -> None:
    rng = np.random.default_rng(0)
    light = replace(Light.random(rng), direction=np.array([0.0, 0.0, 1.0]), softness=0.002)
    lying = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        body = place(make_solid("dumbbell", rng), (0.0, 0.0), rng, moving=False)
        axis = body.rotation[:2, 2]
        if np.hypot(*axis) < 0.9:
            continue  # it stands
        lying += 1
        to_pixels = np.array(
            [[1000.0, 0, 200], [0, 1000.0, 200], [0, 0, 1]]
        )  # a pixel a millimetre
        cast, _ = shadow_maps([body.at(0.0)], to_pixels, (400, 400), light)
        across = np.array([-axis[1], axis[0]])

        def width(along: float, axis=axis, across=across, cast=cast) -> int:
            """Of the shadow, in millimetres, so far along the bar from its middle."""
            steps = np.arange(-100, 100)[:, None] * across + 200 + 1000 * along * axis
            columns, rows = np.round(steps).astype(int).T
            return int((cast[rows, columns] > 0.5).sum())

        radius, height = body.solid.radius, body.solid.height
        middle, weight = width(0.0), width(height / 2 - 0.5 * radius)
        assert 0.2 * weight < middle < 0.6 * weight
        assert abs(weight - 2000 * radius) < 0.25 * 2000 * radius
    assert lying >= 3
