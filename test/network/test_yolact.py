# SPDX-License-Identifier: Apache-2.0
import json

import pytest
import torch

from yolact_ros.network import build_network
from yolact_ros.presets import preset_names
from yolact_ros.structures import RawPredictions, TrainingPredictions


def test_demo_shapes_in_both_modes():
    network = build_network("yolact_demo")
    preset = network.preset
    x = torch.zeros(2, 3, preset.input_size, preset.input_size)
    trained = network.train()(x)
    assert isinstance(trained, TrainingPredictions)
    count = len(trained.priors)
    quarter = preset.input_size // 4
    assert trained.offsets.shape == (2, count, 4)
    assert trained.class_logits.shape == (2, count, preset.num_classes)
    assert trained.coefficients.shape == (2, count, preset.prototypes)
    assert trained.prototypes.shape == (2, quarter, quarter, preset.prototypes)
    assert trained.semantic_logits.shape == (2, preset.num_classes - 1, quarter // 2, quarter // 2)
    with torch.inference_mode():
        raw = network.eval()(x)
    assert isinstance(raw, RawPredictions)
    torch.testing.assert_close(raw.class_scores.sum(dim=-1), torch.ones(2, count))
    assert raw.coefficients.abs().max() <= 1 and raw.prototypes.min() >= 0


def test_rectangular_inputs_have_priors_and_prototypes_of_their_own():
    network = build_network("yolact_demo").eval()
    with torch.inference_mode():
        raw = network(torch.zeros(1, 3, 160, 256))
    assert raw.prototypes.shape[1:3] == (40, 64)
    assert raw.offsets.shape[1] == len(raw.priors)


def test_an_input_of_another_shape_is_refused():
    network = build_network("yolact_demo")
    with pytest.raises(ValueError, match=r"expected \(B, 3, H, W\), got \(1, 1, 64, 64\)"):
        network(torch.zeros(1, 1, 64, 64))


@pytest.mark.slow
def test_priors_stay_in_float32_in_a_half_precision_network():
    network = build_network("yolact_demo").eval().to(torch.bfloat16)
    with torch.inference_mode():
        raw = network(torch.zeros(1, 3, 320, 320, dtype=torch.bfloat16))
    assert raw.offsets.dtype == torch.bfloat16
    assert raw.priors.dtype == torch.float32


def test_an_unknown_preset_is_named_with_the_nearest():
    with pytest.raises(ValueError, match=r"got 'yolact_bass'; did you mean 'yolact_base'\?"):
        build_network("yolact_bass")


@pytest.mark.parametrize("name", [n for n in preset_names() if n != "yolact_demo"])
def test_tensor_names_and_shapes_are_the_published_ones(name, shared_golden):
    published = json.loads((shared_golden / "state_dicts.json").read_text())[name]
    own = {key: list(tensor.shape) for key, tensor in build_network(name).state_dict().items()}
    assert own == {key: shape for key, shape, _ in published["state_dict"]}
