# SPDX-License-Identifier: Apache-2.0
import torch

from yolact_ros.datasets.coco import read_dataset
from yolact_ros.inference import load_network
from yolact_ros.training.validation import Validator


def validate(validator, network):
    for image in validator.dataset.images:
        validator.segment(network, image, validator.dataset.read_image(image))
    return validator.measure()


def test_each_validation_measures_the_weights_of_its_time_alone(scenes):
    validator = Validator(read_dataset(scenes / "annotations.json", scenes / "images"))
    network = load_network("yolact_demo")
    first = validate(validator, network)
    assert first["mask_ap50"] > 0.5
    assert validate(validator, network) == first  # nothing is left of the first one
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert set(validate(validator, network).values()) == {0}
