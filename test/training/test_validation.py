# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from yolact_ros.datasets.coco import read_dataset
from yolact_ros.inference import load_network
from yolact_ros.training import validation
from yolact_ros.training.data.workers import Pictures
from yolact_ros.training.validation import Validator

ALL = SimpleNamespace(ap=1.0, ap50=1.0)


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


@pytest.mark.parametrize(("images", "processes"), [(1, 3), (2, 3), (3, 2), (4, 4)])
def test_processes_measure_together_what_one_does(scenes, monkeypatch, images, processes):
    """With fewer images than processes too, of which each must have one."""
    dataset = read_dataset(scenes / "annotations.json", scenes / "images")
    dataset = replace(dataset, images=dataset.images[:images])
    shares = [list(Pictures(dataset, rank, processes)) for rank in range(processes)]
    assert all(shares)
    segmented = [[{"image_id": image.id} for image, _ in share] for share in shares]

    def gather(gathered, own):
        gathered[:] = segmented

    def broadcast(shared):
        if validation.dist.get_rank() == 0:
            sent[:] = shared
        shared[:] = sent

    measured, sent = [], []
    monkeypatch.setattr(validation.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(validation.dist, "get_world_size", lambda: processes)
    monkeypatch.setattr(validation.dist, "all_gather_object", gather)
    monkeypatch.setattr(validation.dist, "broadcast_object_list", broadcast)
    monkeypatch.setattr(
        validation, "coco_metrics", lambda truth, results, kind: measured.append(results) or ALL
    )
    for rank in range(processes):
        monkeypatch.setattr(validation.dist, "get_rank", lambda rank=rank: rank)
        assert set(Validator(dataset).measure().values()) == {1}
    assert len(measured) == 2, "the first process alone measures masks and boxes"
    for results in measured:
        ids = [result["image_id"] for result in results]
        assert sorted(ids) == [image.id for image in dataset.images]
