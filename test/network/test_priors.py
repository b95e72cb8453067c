# SPDX-License-Identifier: Apache-2.0
import dataclasses
import math

import pytest
import torch

from yolact_ros.network.priors import PriorCache, level_sizes, make_priors
from yolact_ros.presets import get_preset


def square_priors(preset):
    side = (preset.input_size, preset.input_size)
    return make_priors(preset, side, level_sizes(side, len(preset.prior_sizes)))


def test_level_sizes_are_the_published_ones():
    assert level_sizes((550, 550), 5) == [(n, n) for n in (69, 35, 18, 9, 5)]
    assert level_sizes((320, 550), 3) == [(40, 69), (20, 35), (10, 18)]


def test_published_priors():
    priors = square_priors(get_preset("yolact_base"))
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
    shapes = square_priors(preset)[:3, 2:]
    torch.testing.assert_close(shapes.prod(dim=1), torch.full((3,), (24 / 550) ** 2))
    torch.testing.assert_close(shapes[:, 0] / shapes[:, 1], torch.tensor([1, 0.5, 2]))


def test_yolact_plus_has_three_sizes_an_octave_and_nine_priors_a_cell():
    priors = square_priors(get_preset("yolact_plus_base"))
    assert priors.shape == (57744, 4)
    areas = priors[:9, 2:].prod(dim=1).sqrt() * 550
    expected = torch.tensor([24 * 2 ** (j / 3) for j in (0, 0, 0, 1, 1, 1, 2, 2, 2)])
    torch.testing.assert_close(areas, expected)


def test_priors_of_a_rectangle_are_the_same_in_pixels():
    preset = get_preset("yolact_base")
    size = (320, 550)
    priors = make_priors(preset, size, level_sizes(size, 5))
    pixels = priors * torch.tensor([550, 320, 550, 320])
    torch.testing.assert_close(pixels[0], torch.tensor([0.5 * 550 / 69, 4.0, 24.0, 24.0]))
    assert len(priors) == 3 * sum(rows * columns for rows, columns in level_sizes(size, 5))


def test_the_cache_gives_float32_once_for_each_size():
    cache = PriorCache(get_preset("yolact_demo"))
    side = get_preset("yolact_demo").input_size
    cpu = torch.device("cpu")
    one = cache.get((side, side), level_sizes((side, side), 5), cpu)
    assert one.dtype == torch.float32
    assert cache.get((side, side), level_sizes((side, side), 5), cpu) is one
    other = cache.get((side, 64), level_sizes((side, 64), 5), cpu)
    assert len(other) < len(one)


def test_priors_made_in_inference_mode_serve_training_too():
    cache = PriorCache(get_preset("yolact_demo"))
    with torch.inference_mode():
        priors = cache.get((64, 96), level_sizes((64, 96), 5), torch.device("cpu"))
    scale = torch.ones(4, requires_grad=True)
    (priors * scale).sum().backward()  # refuses to save a tensor of inference mode
    assert scale.grad is not None


@pytest.mark.parametrize("sizes", [((24, 30), (48,), (96,)), ((24,), (48,))])
def test_unequal_or_too_few_sizes_are_refused(sizes):
    with pytest.raises(ValueError, match="same number of sizes on each of at least three levels"):
        dataclasses.replace(get_preset("yolact_base"), prior_sizes=sizes)
