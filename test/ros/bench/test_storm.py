# SPDX-License-Identifier: Apache-2.0
"""What a storm does, without the processes."""

import copy
import random

import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage

from yolact_ros.recordings.images.compressed import compressed_to_array
from yolact_ros.recordings.images.raw import image_to_array
from yolact_ros.ros import outputs
from yolact_ros.ros.bench.camera import make_messages
from yolact_ros.ros.bench.storm.plan import (
    ACTIONS,
    OUTPUTS,
    RUBBISH,
    plan,
    right_value,
    wrong_value,
)
from yolact_ros.ros.bench.storm.rubbish import rubbish
from yolact_ros.ros.bench.storm.subscriber import TYPES
from yolact_ros.ros.parameters.spec import ParameterError
from yolact_ros.ros.parameters.table import PARAMETERS

AT_RUN_TIME = [spec for spec in PARAMETERS if spec.at_run_time]
CAMERA = {"name": "cam0", "image_size": (48, 64), "rate_hz": 5.0, "seed": 0, "loop_frames": 2}


def events(seed, number, seconds=22.0):
    return plan(seed, number, seconds, cameras=["cam0", "cam1"], transport="raw")


def test_the_same_seed_makes_the_same_storm():
    assert events(3, 0) == events(3, 0)
    assert events(3, 0) != events(4, 0)
    assert events(3, 0) != events(3, 1)


@pytest.mark.parametrize("seconds", [2.0, 22.0])
def test_everything_happens_in_every_round(seconds):
    for number in range(3):
        planned = events(0, number, seconds)
        assert {event.action for event in planned} == set(ACTIONS)
        moments = [event.at_s for event in planned]
        assert moments == sorted(moments) and moments[0] >= 0 and moments[-1] <= seconds


@pytest.mark.parametrize("spec", AT_RUN_TIME, ids=lambda spec: spec.name)
def test_values_are_right_or_wrong(spec):
    source = random.Random(0)
    for _ in range(50):
        spec.check(right_value(spec, source))
        with pytest.raises(ParameterError):
            spec.check(wrong_value(spec, source))


def test_the_outputs_are_those_of_the_node():
    published = (*outputs._OUTPUTS, *outputs._SPACE_OUTPUTS)
    assert {output.topic: output.type for output in published} == TYPES
    assert set(OUTPUTS) == set(TYPES)


@pytest.mark.parametrize("transport", RUBBISH)
def test_rubbish_is_refused_or_at_least_another_message(transport):
    [good, _] = make_messages({**CAMERA, "transport": transport})
    before = copy.deepcopy(good)
    decode = compressed_to_array if isinstance(good, CompressedImage) else image_to_array
    assert decode(good).pixels.shape == (48, 64, 3)
    refused = set()
    for kind in RUBBISH[transport]:
        if kind == "another type":
            continue
        bad = rubbish(kind, good)
        assert bad != good == before
        try:
            decode(bad)
        except ValueError:
            refused.add(kind)
    # what is left has nothing wrong with its pixels; the node bounds how many there are
    usable = {"negative stamp", "far stamp", "thin picture", "huge picture"}
    assert refused >= set(RUBBISH[transport]) - usable - {"another type"}


def test_cameras_change_their_encoding():
    colour, grey = (
        make_messages({**CAMERA, "transport": "raw"}, encoding)[0] for encoding in ("bgr8", "mono8")
    )
    assert (colour.encoding, grey.encoding, grey.step) == ("bgr8", "mono8", 64)
    pixels = np.frombuffer(colour.data, np.uint8).reshape(48, 64, 3)
    np.testing.assert_array_equal(np.frombuffer(grey.data, np.uint8), pixels[..., 1].ravel())
