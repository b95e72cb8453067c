# SPDX-License-Identifier: Apache-2.0
"""tf2_ros with a stand-in: what it is asked, and what becomes of its answers and exceptions."""

import sys
import types

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped

from yolact_ros.errors import InputError
from yolact_ros.ros.space.transforms import TransformError, Transforms


class TransformException(Exception):
    """Named as tf2's; the others derive from it there, too."""


class LookupException(TransformException):
    pass


class ConnectivityException(TransformException):
    pass


class ExtrapolationException(TransformException):
    pass


class InvalidArgumentException(TransformException):
    pass


class Buffer:
    def __init__(self):
        self.answer = TransformStamped()
        self.asked = []
        Buffer.newest = self

    def lookup_transform(self, target_frame, source_frame, time, timeout):
        self.asked.append((target_frame, source_frame, time.nanoseconds, timeout.nanoseconds))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class TransformListener:
    def __init__(self, buffer, node, *, spin_thread):
        self.node, self.registered = node, True
        assert spin_thread is False and buffer is Buffer.newest
        TransformListener.newest = self

    def unregister(self):
        self.registered = False


@pytest.fixture
def tf2(monkeypatch):
    module = types.ModuleType("tf2_ros")
    module.Buffer, module.TransformListener = Buffer, TransformListener
    module.TransformException = TransformException
    monkeypatch.setitem(sys.modules, "tf2_ros", module)


def test_the_transform_at_the_image_s_stamp(tf2):
    transforms = Transforms("node", "base_link")
    buffer = Buffer.newest
    # A camera that looks along the base's x axis, 1 m above it.
    found = buffer.answer.transform
    found.translation.z = 1.0
    rotation = found.rotation
    rotation.x, rotation.y, rotation.z, rotation.w = -0.5, 0.5, -0.5, 0.5
    transform = transforms.lookup("camera", Time(sec=3, nanosec=7), 0.25)
    assert buffer.asked == [("base_link", "camera", 3_000_000_007, 250_000_000)]
    np.testing.assert_allclose(transform.rotation @ [0, 0, 2] + transform.translation, [2, 0, 1])
    np.testing.assert_allclose(transform.up, [0, -1, 0], atol=1e-12)
    assert TransformListener.newest.node == "node"
    transforms.close()
    assert not TransformListener.newest.registered


@pytest.mark.parametrize(
    "failure",
    [
        LookupException('"base_link" passed to lookupTransform does not exist'),
        ConnectivityException("not part of the same tree"),
        ExtrapolationException("Lookup would require extrapolation into the future"),
        InvalidArgumentException("frame_ids cannot be empty"),
    ],
)
def test_what_tf2_says_is_told(tf2, failure):
    transforms = Transforms(None, "base_link")
    Buffer.newest.answer = failure
    with pytest.raises(TransformError) as raised:
        transforms.lookup("camera", Time(), 0.0)
    assert str(raised.value) == (
        "expected a transform from camera to base_link (space.target_frame) at the image's stamp, "
        f"got {type(failure).__name__}: {failure}"
    )


def test_a_transform_without_meaning_is_refused(tf2):
    transforms = Transforms(None, "base_link")
    Buffer.newest.answer.transform.rotation.w = 0.0
    with pytest.raises(TransformError, match="expected a unit quaternion"):
        transforms.lookup("camera", Time(), 0.0)


def test_without_tf2_ros_the_parameter_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2_ros", None)
    with pytest.raises(InputError, match=r"^space.target_frame: expected tf2_ros .*base_link"):
        Transforms(None, "base_link")
