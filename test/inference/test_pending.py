# SPDX-License-Identifier: Apache-2.0
"""Prototypes are computed after decoding, and only where masks need them."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from yolact_ros.inference import Segmenter, SegmenterOptions, shipped_weights
from yolact_ros.inference.path import Batch, PlainPath
from yolact_ros.inference.preprocess import Preprocessor
from yolact_ros.inference.timing import StageClock
from yolact_ros.network import heads, prototypes
from yolact_ros.presets import get_preset
from yolact_ros.scenes.scene import Scene
from yolact_ros.structures import PendingPredictions
from yolact_testing.comparing import assert_close_instances
from yolact_testing.networks import random_network
from yolact_testing.pictures import noise

DEMO = get_preset("yolact_demo")


class Whole:
    """A network that is only asked for everything."""

    def __init__(self, network):
        self.preset, self.maskiou_net, self._network = network.preset, network.maskiou_net, network

    def __call__(self, x):
        return self._network(x)


def whole_path(prepared, preprocessor):
    return PlainPath(prepared._replace(network=Whole(prepared.network)), preprocessor)


@pytest.fixture
def protonet_areas(monkeypatch):
    """Sizes of what protonets are called with; parts are taken whenever they are not the whole."""
    areas = []
    forward = heads.Protonet.forward

    def counted(self, p3):
        areas.append(p3.shape[0] * p3.shape[2] * p3.shape[3])
        return forward(self, p3)

    monkeypatch.setattr(heads.Protonet, "forward", counted)
    monkeypatch.setattr(prototypes, "WHOLE_FROM", 1.0)
    monkeypatch.setattr(prototypes, "PART_COST", 0.0)
    return areas


@pytest.mark.slow
@pytest.mark.skipif(shipped_weights(DEMO) is None, reason="this checkout has no trained weights")
@pytest.mark.parametrize("resize", ["square", "fit"])
def test_the_same_instances_with_trained_weights(protonet_areas, resize):
    scene = Scene.random(2_100_007, width=400, height=300).frame(0.0).image
    images = [scene, np.full((300, 400, 3), 128, np.uint8), scene[:, ::-1]]
    options = {"device": "cpu", "precision": "fp32", "resize": resize, "max_instances": 1}
    segmenter = Segmenter(**options)
    found = segmenter(images, "rgb")
    parts = sum(protonet_areas)
    expected = Segmenter(**options, make_path=whole_path)(images, "rgb")
    assert [len(instances) > 0 for instances in found] == [True, False, True]
    for one, other in zip(found, expected, strict=True):
        assert_close_instances(one, other, least=0)
    assert parts < protonet_areas[-1] / 2
    del protonet_areas[:]
    segmenter(images, "rgb", SegmenterOptions(score_threshold=1.0))
    assert protonet_areas == []


@pytest.mark.parametrize("rescoring", ["published", "product", "class"])
def test_the_same_instances_with_rescored_masks(protonet_areas, rescoring):
    preset = dataclasses.replace(DEMO, mask_iou=True, input_size=160)
    network = random_network(preset, eager=2)
    with torch.no_grad():
        network.maskiou_net.maskiou_net[10].bias.fill_(0.7)
    images = [noise(90, 120, seed=1, block=9), noise(90, 120, seed=2)]
    options = {"device": "cpu", "precision": "fp32", "max_instances": 2, "rescoring": rescoring}
    found = Segmenter(network=network, **options)(images)
    assert protonet_areas
    expected = Segmenter(network=network, **options, make_path=whole_path)(images)
    assert list(map(len, expected)) == [2, 2]
    for one, other in zip(found, expected, strict=True):
        assert_close_instances(one, other, least=0)


def test_prototypes_count_as_network(monkeypatch):
    now = [0.0]

    def take(milliseconds):
        now[0] += milliseconds / 1000

    class Started:
        preset, maskiou_net = DEMO, None

        def start(self, x):
            take(5)
            found = (torch.zeros(1, 4, 4), torch.ones(1, 4, 9) / 9, torch.ones(1, 4, 24))
            return PendingPredictions(*found, self.prototypes, torch.full((4, 4), 0.5))

        def prototypes(self, boxes):
            take(3)
            return [torch.ones(80, 80, 24) for _ in boxes]

    monkeypatch.setattr(
        "yolact_ros.inference.timing.time", SimpleNamespace(perf_counter=lambda: now[0])
    )
    path = PlainPath(
        SimpleNamespace(network=Started()), Preprocessor(DEMO, torch.device("cpu"), torch.float32)
    )
    clock = StageClock(torch.device("cpu"))
    batch = Batch([noise(30, 40)], ("bgr",), SegmenterOptions(score_threshold=0.05))
    [found] = path.segment(batch, clock)
    assert len(found) > 0
    assert clock.milliseconds == pytest.approx(
        {"preprocess": 0, "network": 8, "decode": 0, "masks": 0}
    )
