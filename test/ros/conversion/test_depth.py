# SPDX-License-Identifier: Apache-2.0
"""From bytes written by hand, with padded rows."""

import struct
from array import array

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image

from yolact_ros.recordings.images.bounds import ImageError
from yolact_ros.recordings.images.depth import compressed_depth_to_metres, depth_to_metres


def message(width, height, encoding, step, data, is_bigendian=0):
    return Image(
        width=width,
        height=height,
        encoding=encoding,
        step=step,
        data=array("B", data),
        is_bigendian=is_bigendian,
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "encoding, code, values",
    [
        ("16UC1", "H", (0, 1, 1234, 65535)),
        ("mono16", "H", (500, 0, 3, 4)),
        ("32FC1", "f", (0.5, 0.0, -1.0, 65.25)),
    ],
)
def test_raw_depth(order, encoding, code, values):
    rows = [struct.pack(f"{order}2{code}", *values[i : i + 2]) + b"\xff" * 3 for i in (0, 2)]
    step = len(rows[0])
    depth = depth_to_metres(message(2, 2, encoding, step, b"".join(rows), order == ">"))
    expected = np.array(values, np.float64).reshape(2, 2) * (0.001 if code == "H" else 1)
    assert depth.shape == (2, 2) and depth.dtype == np.float32 and depth.dtype.isnative
    np.testing.assert_allclose(depth, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "fields, text",
    [
        ((0, 2, "16UC1", 0, b""), "at least 1 x 1 pixels, got 0 x 2"),
        ((5, 2, "16UC1", 10, bytes(20)), r"at most 9 pixels \(parameter max_image_pixels\)"),
        ((2, 1, "rgb8", 6, bytes(6)), "16UC1 .* or 32FC1 .*, got 'rgb8'"),
        ((2, 1, "64FC1", 16, bytes(16)), "16UC1 .* or 32FC1 .*, got '64FC1'"),
        ((2, 1, "16UC1", 3, bytes(3)), "a step of at least 4 bytes"),
        (
            (2, 2, "32FC1", 8, bytes(15)),
            "a step .* and step . height bytes of data, got .* and 15 bytes",
        ),
        (
            (2, 2, "32FC1", 8, bytes(17)),
            "a step .* and step . height bytes of data, got .* and 17 bytes",
        ),
    ],
)
def test_malformed_depth(fields, text):
    with pytest.raises(ImageError, match=f"^depth: expected {text}"):
        depth_to_metres(message(*fields), max_pixels=9)


def compressed(layout, pixels, numbers=(0.0, 0.0)):
    data = struct.pack("<iff", 0, *numbers) + cv2.imencode(".png", pixels)[1].tobytes()
    return CompressedImage(format=layout, data=array("B", data))


@pytest.mark.parametrize("layout", ["16UC1; compressedDepth png", "16UC1; compressedDepth"])
def test_compressed_millimetres(layout):
    pixels = np.array([[0, 1, 500], [1000, 2000, 65535]], np.uint16)
    depth = compressed_depth_to_metres(compressed(layout, pixels))
    np.testing.assert_allclose(depth, pixels * 0.001, rtol=1e-6)
    assert depth.dtype == np.float32


def test_compressed_metres_are_packed_as_their_inverse():
    """With the coefficients that compressed_depth_image_transport makes of its defaults."""
    quantization, most = 100.0, 10.0
    scale = quantization * (quantization + 1.0)
    offset = 1.0 - scale / most
    metres = np.array([[0.3, 1.0, 2.5], [5.0, np.nan, 9.9]], np.float32)
    packed = np.where(np.isfinite(metres), scale / metres + offset, 0).astype(np.uint16)
    depth = compressed_depth_to_metres(
        compressed("32FC1; compressedDepth png", packed, (scale, offset))
    )
    np.testing.assert_allclose(depth, metres, rtol=0.01)


@pytest.mark.parametrize(
    "given, text",
    [
        (CompressedImage(format="jpeg", data=array("B", b"x" * 99)), "the format .*, got 'jpeg'"),
        (
            CompressedImage(format="16UC1; compressedDepth rvl", data=array("B", bytes(99))),
            "the format .*, got '16UC1; compressedDepth rvl'; set the driver's parameter",
        ),
        (CompressedImage(format="16UC1; compressedDepth png"), "12 bytes and a PNG .*, got 0 b"),
        (
            CompressedImage(format="16UC1; compressedDepth png", data=array("B", b"\x01" * 99)),
            "12 bytes and a PNG .*, got 99 bytes",
        ),
        (
            compressed("16UC1; compressedDepth png", np.zeros((2, 2), np.uint8)),
            "a PNG picture of 16 bits",
        ),
        (
            compressed("16UC1; compressedDepth png", np.zeros((2, 2, 3), np.uint16)),
            "a PNG picture of 16 bits",
        ),
    ],
)
def test_malformed_compressed_depth(given, text):
    with pytest.raises(ImageError, match=f"^depth: expected .*{text}"):
        compressed_depth_to_metres(given)


def test_the_size_is_bounded_before_the_picture_is_decoded(monkeypatch):
    monkeypatch.setattr("yolact_ros.recordings.images.depth.cv2.imdecode", None)
    given = compressed("16UC1; compressedDepth png", np.zeros((30, 40), np.uint16))
    with pytest.raises(ImageError, match=r"^depth: expected at most 9 pixels .*got 40 x 30 = 1200"):
        compressed_depth_to_metres(given, max_pixels=9)


def test_a_picture_that_claims_to_be_longer_than_it_is_is_not_decoded(monkeypatch):
    """OpenCV takes 0.2 s and as much memory as a part of the picture says that it is long."""
    monkeypatch.setattr("yolact_ros.recordings.images.depth.cv2.imdecode", None)
    good = bytes(compressed("16UC1; compressedDepth png", np.zeros((3, 4), np.uint16)).data)
    at = 12 + 8 + 25  # after the header, PNG's own and the size
    claimed = good[:at] + b"\x0e\x00\x00\x00" + good[at + 4 :]
    for data in (claimed, good[:-3], good[: at + 2]):
        given = CompressedImage(format="16UC1; compressedDepth png", data=array("B", data))
        with pytest.raises(ImageError, match="12 bytes and a PNG picture of 16 bits"):
            compressed_depth_to_metres(given)


@given(
    data=st.binary(max_size=200),
    png=st.booleans(),
    cut=st.integers(0, 80),
    layout=st.sampled_from(["16UC1; compressedDepth png", "32FC1; compressedDepth png"]),
    numbers=st.tuples(st.floats(width=32), st.floats(width=32)),
)
def test_any_bytes_are_depth_or_refused(data, png, cut, layout, numbers):
    if png:
        good = compressed(layout, np.arange(12, dtype=np.uint16).reshape(3, 4), numbers)
        data = bytes(good.data)[: len(good.data) - cut] + data
    try:
        depth = compressed_depth_to_metres(CompressedImage(format=layout, data=array("B", data)))
    except ImageError:
        return
    assert depth.ndim == 2 and depth.dtype == np.float32
