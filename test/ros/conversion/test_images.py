# SPDX-License-Identifier: Apache-2.0
import sys
from array import array

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from yolact_ros.ros.conversion.images import (
    ImageError,
    array_to_image,
    compressed_to_array,
    image_to_array,
)

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))
COLOR = {"rgb8": "rgb", "bgr8": "bgr", "8UC3": "bgr", "rgba8": "rgb", "bgra8": "bgr", "8UC4": "bgr"}


def message(width, height, encoding, step, data, is_bigendian=0):
    return Image(
        width=width,
        height=height,
        encoding=encoding,
        step=step,
        is_bigendian=is_bigendian,
        data=array("B", data),
    )


@given(st.data(), SIZES, st.sampled_from(sorted(COLOR)), st.integers(0, 7))
def test_color_frames_are_views_of_the_message(data, size, encoding, padding):
    channels = 4 if encoding in ("rgba8", "bgra8", "8UC4") else 3
    pixels = data.draw(arrays(np.uint8, (*size, channels)))
    height, width = size
    step = width * channels + padding
    rows = np.zeros((height, step), np.uint8)
    rows[:, : width * channels] = pixels.reshape(height, -1)
    image = message(width, height, encoding, step, rows.tobytes())
    result = image_to_array(image)
    assert result.channel_order == COLOR[encoding]
    np.testing.assert_array_equal(result.pixels, pixels[..., :3])
    assert np.shares_memory(result.pixels, np.frombuffer(image.data, np.uint8))


@given(st.data(), SIZES, st.integers(0, 3))
def test_gray_frames_get_three_equal_channels(data, size, padding):
    gray = data.draw(arrays(np.uint8, size))
    rows = np.pad(gray, ((0, 0), (0, padding)))
    result = image_to_array(message(size[1], size[0], "mono8", rows.shape[1], rows.tobytes()))
    np.testing.assert_array_equal(result.pixels, np.stack([gray] * 3, axis=-1))


@pytest.mark.parametrize(
    "encoding, order", [("mono16", "bgr"), ("rgb16", "rgb"), ("bgra16", "bgr")]
)
def test_16_bit_frames_keep_the_high_byte(encoding, order):
    channels = {"mono16": 1, "rgb16": 3, "bgra16": 4}[encoding]
    values = np.random.default_rng(0).integers(0, 2**16, (5, 4, channels), dtype="<u2")
    image = message(4, 5, encoding, 4 * channels * 2, values.tobytes())
    result = image_to_array(image)
    high = (values >> 8).astype(np.uint8)
    expected = np.repeat(high, 3, axis=2) if channels == 1 else high[..., :3]
    assert result.channel_order == order
    np.testing.assert_array_equal(result.pixels, expected)


@pytest.mark.parametrize(
    "encoding, tile",
    [
        ("bayer_rggb8", [["r", "g"], ["g", "b"]]),
        ("bayer_bggr8", [["b", "g"], ["g", "r"]]),
        ("bayer_gbrg8", [["g", "b"], ["r", "g"]]),
        ("bayer_grbg8", [["g", "r"], ["b", "g"]]),
    ],
)
def test_bayer_frame_of_one_color_comes_out_in_that_color(encoding, tile):
    levels = {"r": 200, "g": 120, "b": 40}
    mosaic = np.tile([[levels[name] for name in row] for row in tile], (8, 8)).astype(np.uint8)
    result = image_to_array(message(16, 16, encoding, 16, mosaic.tobytes()))
    inner = result.pixels[2:-2, 2:-2]
    assert result.channel_order == "bgr"
    np.testing.assert_array_equal(inner, np.broadcast_to([40, 120, 200], inner.shape))


@pytest.mark.parametrize("encoding", ["uyvy", "yuv422", "yuyv", "yuv422_yuy2"])
def test_yuv422_gray_frame(encoding):
    luma_first = encoding in ("yuyv", "yuv422_yuy2")
    pair = [180, 128] if luma_first else [128, 180]
    data = np.tile(pair, (4, 6)).astype(np.uint8)
    result = image_to_array(message(6, 4, encoding, 12, data.tobytes()))
    assert result.pixels.shape == (4, 6, 3)
    # BT.601 with studio levels: (180 - 16) * 255 / 219
    assert np.all(np.abs(result.pixels.astype(int) - 191) <= 1)


@pytest.mark.parametrize("width, height", [(1, 1), (4096, 3), (3, 4096)])
def test_unusual_sizes_are_good_frames(width, height):
    result = image_to_array(message(width, height, "rgb8", 3 * width, bytes(3 * width * height)))
    assert result.pixels.shape == (height, width, 3)


@pytest.mark.parametrize(
    "image, kind, text",
    [
        (message(0, 4, "rgb8", 0, b""), "zero size", "at least 1 x 1 pixels, got 0 x 4"),
        (message(4, 0, "rgb8", 12, b""), "zero size", "got 4 x 0"),
        (message(4, 4, "rgb8", 11, bytes(44)), "step", "step of at least 12 bytes .* got 11"),
        (message(4, 4, "rgb8", 12, bytes(47)), "data too short", "12 \\* 4 = 48 bytes .* got 47"),
        (message(4, 4, "rgb8", 12, bytes(49)), "data too long", "= 48 bytes of data .* got 49"),
        (message(4, 4, "rgb9", 12, bytes(48)), "unknown encoding rgb9", "rgb8, bgr8.* got 'rgb9'"),
        (message(4, 4, "", 12, bytes(48)), "unknown encoding ", "got ''"),
        (message(3, 4, "bayer_rggb8", 3, bytes(12)), "odd size, bayer_rggb8", "even .* got 3 x 4"),
        (message(4, 3, "bayer_grbg8", 4, bytes(12)), "odd size, bayer_grbg8", "even .* got 4 x 3"),
        (message(3, 4, "yuyv", 6, bytes(24)), "odd size, yuyv", "even width .* got 3 x 4"),
        (message(4, 4, "mono16", 8, bytes(32), 1), "big-endian, mono16", "little-endian"),
        (message(4, 4, "16UC1", 8, bytes(32), 1), "big-endian, 16UC1", "little-endian"),
        (message(4, 4, "16UC1", 7, bytes(28)), "step", "step of at least 8 bytes .* got 7"),
    ],
)
def test_malformed_frames_say_what_was_expected_and_what_came(image, kind, text):
    with pytest.raises(ImageError, match=text) as caught:
        image_to_array(image)
    assert caught.value.kind == kind
    assert str(caught.value).startswith("image: expected") and "\n" not in str(caught.value)


def test_frames_above_the_limit_are_refused():
    image = message(5, 4, "mono8", 5, bytes(20))
    assert image_to_array(image, max_pixels=20).pixels.shape == (4, 5, 3)
    with pytest.raises(ImageError, match=r"at most 19 pixels .*max_image_pixels.* got 5 x 4 = 20"):
        image_to_array(image, max_pixels=19)


@given(
    st.integers(0, 5),
    st.integers(0, 5),
    st.integers(0, 20),
    st.binary(max_size=120),
    st.sampled_from(
        ["rgb8", "mono8", "bayer_rggb8", "uyvy", "mono16", "16UC1", "32FC1", "nv21", "x"]
    ),
    st.integers(0, 1),
)
def test_any_frame_is_read_or_refused(width, height, step, data, encoding, big):
    try:
        result = image_to_array(message(width, height, encoding, step, data, big))
    except ImageError:
        return
    assert result.pixels.shape == (height, width, 3) and result.pixels.dtype == np.uint8


def test_other_encodings_say_when_cv_bridge_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv_bridge", None)
    image_to_array(message(2, 2, "rgb8", 6, bytes(12)))
    with pytest.raises(
        ImageError, match=r"got 32FC3, which needs cv_bridge, .* cannot be imported"
    ):
        image_to_array(message(2, 2, "32FC3", 24, bytes(48)))


def test_other_encodings_reach_cv_bridge_without_their_padding(monkeypatch):
    class Bridge:
        def imgmsg_to_cv2(self, image, encoding):
            assert (encoding, image.step, len(image.data)) == ("bgr8", 8, 16)
            return np.full((2, 1, 3), image.data[8], np.uint8)

    module = type(sys)("cv_bridge")
    module.CvBridge = Bridge
    monkeypatch.setitem(sys.modules, "cv_bridge", module)
    data = bytes([1] * 8 + [0] * 2 + [2] * 8 + [0] * 2)
    result = image_to_array(message(1, 2, "32SC2", 10, data))
    assert result.channel_order == "bgr" and result.pixels[0, 0, 0] == 2


@pytest.mark.parametrize("extension", [".png", ".jpg"])
def test_compressed_frames(extension):
    picture = np.full((8, 10, 3), (30, 120, 200), np.uint8)
    data = array("B", cv2.imencode(extension, picture)[1].tobytes())
    result = compressed_to_array(CompressedImage(format=extension[1:], data=data))
    assert result.channel_order == "bgr"
    assert np.abs(result.pixels.astype(int) - picture).max() <= (0 if extension == ".png" else 4)
    with pytest.raises(ImageError, match="at most 79 pixels"):
        compressed_to_array(CompressedImage(data=data), max_pixels=79)


@pytest.mark.parametrize("data, text", [(b"", "no data"), (b"\x01\x02\x03\x04\x05", "01 02 03 04")])
def test_undecodable_compressed_frames(data, text):
    with pytest.raises(ImageError, match=f"expected a JPEG or PNG picture, got .*{text}"):
        compressed_to_array(CompressedImage(format="jpeg", data=array("B", data)))


@given(st.data(), SIZES, st.sampled_from(["rgb8", "16UC1", "32FC1", "8UC1"]))
def test_arrays_become_messages(data, size, encoding):
    dtype, channels = {
        "rgb8": (np.uint8, 3),
        "16UC1": (np.uint16, 1),
        "32FC1": (np.float32, 1),
        "8UC1": (np.uint8, 1),
    }[encoding]
    shape = (*size, channels) if channels > 1 else size
    pixels = data.draw(arrays(dtype, shape))
    image = array_to_image(pixels[::-1], encoding, Header(frame_id="camera"))
    assert (image.height, image.width, image.encoding) == (*size, encoding)
    assert image.step == size[1] * pixels.itemsize * channels
    assert image.header.frame_id == "camera"
    back = np.frombuffer(image.data, dtype).reshape(shape)
    np.testing.assert_array_equal(back, pixels[::-1])
