# SPDX-License-Identifier: Apache-2.0
"""The camera of `yolact-ros bench node`."""

import time
from itertools import pairwise

import pytest
from sensor_msgs.msg import CompressedImage, Image

from yolact_ros.recordings.images.compressed import compressed_to_array
from yolact_ros.recordings.images.raw import image_to_array
from yolact_ros.ros.bench.camera import film, make_messages

PERIOD = 0.02


def stamp(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


@pytest.mark.alone
def test_frames_come_when_they_are_due_and_to_and_fro():
    messages = [Image(width=width) for width in range(4)]
    seen = []
    start = time.time_ns() + 50_000_000
    told = film(
        lambda message: seen.append((message.width, stamp(message))),
        messages,
        period=PERIOD,
        frames=8,
        start_ns=start,
    )
    assert [width for width, _ in seen] == [0, 1, 2, 3, 2, 1, 0, 1]
    assert told == {"stamps": [stamp for _, stamp in seen], "skipped": 0}
    for number, moment in enumerate(told["stamps"]):
        late = (moment - start) * 1e-9 - number * PERIOD
        assert -0.001 < late < PERIOD


@pytest.mark.alone
def test_frames_that_are_a_period_late_are_not_made():
    def slow(message):
        del message
        time.sleep(2.5 * PERIOD)

    told = film(slow, [Image()], period=PERIOD, frames=12, start_ns=time.time_ns())
    assert len(told["stamps"]) + told["skipped"] == 12
    assert 5 <= told["skipped"] <= 8
    assert all(later > sooner for sooner, later in pairwise(told["stamps"]))


@pytest.mark.parametrize(
    "transport, kind, read",
    [("raw", Image, image_to_array), ("compressed", CompressedImage, compressed_to_array)],
)
def test_messages_are_what_the_node_reads(transport, kind, read):
    settings = {
        "name": "cam0",
        "image_size": [48, 64],
        "rate_hz": 5.0,
        "seed": 0,
        "loop_frames": 3,
        "transport": transport,
    }
    messages = make_messages(settings)
    assert len(messages) == 3 and all(isinstance(message, kind) for message in messages)
    assert {message.header.frame_id for message in messages} == {"cam0"}
    [shape] = {read(message).pixels.shape for message in messages}
    assert shape == (48, 64, 3)
    assert len({bytes(message.data) for message in messages}) == 3
