# SPDX-License-Identifier: Apache-2.0
"""A node with ONNX Runtime publishes what one with torch does."""

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from yolact_ros.msg import InstanceArray

from yolact_ros.masks import full_mask
from yolact_ros.ros.conversion.images import array_to_image
from yolact_ros.scenes.scene import Scene

FRAMES = 5
pytestmark = pytest.mark.timeout(240)


def test_both_engines_find_the_same(start, peer, exported):
    path = exported("yolact_demo").path
    nodes = {
        "torch": start("yolact_node", "-r", "__node:=torch_one", device="cpu", precision="fp32"),
        "onnxruntime": start(
            "yolact_node",
            *("-r", "__node:=onnxruntime_one"),
            device="cpu",
            engine="onnxruntime",
            weights=path,
        ),
    }
    got = {name: peer.collect(InstanceArray, f"{name}_one/instances") for name in nodes}
    images = peer.publisher(Image, "image")
    for node in nodes.values():
        node.wait_for("active: ")
    peer.until(
        lambda: (
            images.get_subscription_count() == 2
            and all(peer.node.count_publishers(f"/{name}_one/instances") for name in nodes)
        ),
        what="nodes",
    )
    peer.spin(0.5)  # every subscriber must be known to the nodes before the first image comes
    for number in range(FRAMES):
        scene = Scene.random(2_100_000 + number, width=640, height=480)
        header = Header(stamp=Time(sec=7, nanosec=number), frame_id=f"camera_{number}")
        images.publish(array_to_image(scene.frame(0.0).image, "rgb8", header))
        peer.until(lambda: all(len(g) == number + 1 for g in got.values()), what="results")  # noqa: B023
    seen = 0
    for one, other in zip(got["torch"], got["onnxruntime"], strict=True):
        assert one.header == other.header
        assert [i.class_name for i in one.instances] == [i.class_name for i in other.instances]
        for found, expected in zip(other.instances, one.instances, strict=True):
            assert found.score == pytest.approx(expected.score, abs=1e-4)
            boxes = [(b.center.position.x, b.center.position.y, b.size_x, b.size_y)
                     for b in (found.bbox, expected.bbox)]  # fmt: skip
            np.testing.assert_allclose(*boxes, atol=0.05)
            masks = [full_mask(i.mask, 480, 640) for i in (found, expected)]
            assert (masks[0] & masks[1]).sum() >= 0.99 * (masks[0] | masks[1]).sum()
            seen += 1
    assert seen >= FRAMES


def test_wrong_weights_for_the_engine_are_said(start):
    node = start("yolact_node", engine="onnxruntime")
    node.wait_for("weights: expected an .onnx file of `yolact-ros export` for engine 'onnxruntime'")
