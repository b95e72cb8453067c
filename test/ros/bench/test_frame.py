# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np

from yolact_ros.cli.main import main
from yolact_ros.masks import full_mask
from yolact_ros.ros.bench.frame import MessageFrames
from yolact_ros.structures import Instances, PackedMask


def test_images_arrive_and_instances_leave():
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 256, (24, 32, 3), dtype=np.uint8) for _ in range(2)]
    mask = np.zeros((24, 32), dtype=bool)
    mask[3:9, 5:30] = True
    instances = Instances(
        image_size=(24, 32),
        boxes=np.array([[5, 3, 30, 9]], np.float32),
        scores=np.array([0.5], np.float32),
        class_ids=np.array([1]),
        class_names=("box",),
        packed_masks=(PackedMask.from_array(mask),),
    )
    with MessageFrames(images) as frames:
        for number in range(3):
            np.testing.assert_array_equal(frames.arrive(number), images[number % 2])
        message = frames.make_messages(instances)
        frames.publish(message)
    np.testing.assert_array_equal(full_mask(message.instances[0].mask, 24, 32), mask)


def test_the_rows_of_messages_are_measured(tmp_path, capsys):
    figures = tmp_path / "speed.json"
    small = ["--device", "cpu", "--image-size", "128x96", "--frames", "2", "--instances", "2"]
    assert main(["bench", *small, "--json", str(figures)]) == 0
    assert capsys.readouterr().err == ""
    result = json.loads(figures.read_text())
    for row in ("arrival", "message", "publish"):
        assert result["stages"][row]["p50_ms"] > 0
    assert result["with_messages"]["p50_ms"] > result["total"]["p50_ms"]
