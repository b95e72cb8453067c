# SPDX-License-Identifier: Apache-2.0
import dataclasses
import math

import torch

from yolact_ros.network.priors import level_sizes, make_priors
from yolact_ros.presets import get_preset


def test_level_sizes_are_the_published_ones():
    assert level_sizes(550) == (69, 35, 18, 9, 5)
    assert level_sizes(320) == (40, 20, 10, 5, 3)


def test_published_priors():
    priors = make_priors(get_preset("yolact_base"))
    assert priors.shape == (19248, 4)
    # The first cell's centre, and the three square shapes of a 24 pixel side.
    torch.testing.assert_close(priors[:3, :2], torch.full((3, 2), 0.5 / 69))
    sides = torch.tensor([24 / 550 * math.sqrt(ratio) for ratio in (1, 0.5, 2)])
    torch.testing.assert_close(priors[:3, 2], sides)
    torch.testing.assert_close(priors[:3, 3], sides)
    # Columns come before rows.
    torch.testing.assert_close(priors[3, :2], torch.tensor([1.5 / 69, 0.5 / 69]))
    torch.testing.assert_close(priors[-1, :2], torch.tensor([4.5 / 5, 4.5 / 5]))


def test_priors_that_are_not_square_keep_their_area():
    preset = dataclasses.replace(get_preset("yolact_base"), square_priors=False)
    shapes = make_priors(preset)[:3, 2:]
    torch.testing.assert_close(shapes.prod(dim=1), torch.full((3,), (24 / 550) ** 2))
    torch.testing.assert_close(shapes[:, 0] / shapes[:, 1], torch.tensor([1, 0.5, 2]))
