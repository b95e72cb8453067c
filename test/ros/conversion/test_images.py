# SPDX-License-Identifier: Apache-2.0
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from yolact_ros.recordings.images.bounds import ImageError
from yolact_ros.recordings.images.encodings import DEPTH_ENCODINGS, ENCODINGS
from yolact_ros.recordings.images.raw import image_to_array
from yolact_ros.recordings.images.samples import SampleBits
from yolact_ros.ros.conversion.images import array_to_image
from yolact_testing.encodings import encoded, is_gray, is_planar
from yolact_testing.pictures import noise

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


# Squares of one colour: their middle is right whatever shares its chroma with whom.
SQUARES = noise(24, 32, seed=3, block=8)
PLANAR = sorted(filter(is_planar, ENCODINGS))


def middles(result):
    """The colour of each square, red first."""
    pixels = result.pixels[3::8, 3::8]
    return pixels if result.channel_order == "rgb" else pixels[..., ::-1]


def expected(encoding):
    if is_gray(encoding):
        luma = 16 + SQUARES[3::8, 3::8] @ np.array([65.481, 128.553, 24.966]) / 255
        return np.stack([luma] * 3, axis=-1)
    return SQUARES[3::8, 3::8]


@pytest.mark.parametrize("padding", [0, 24])
@pytest.mark.parametrize("big_endian", [False, True], ids=["little", "big"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_of_the_table_gives_the_picture(encoding, big_endian, padding):
    step, data = encoded(SQUARES, encoding, padding, big_endian)
    result = image_to_array(message(32, 24, encoding, step, data, int(big_endian)))
    assert result.pixels.shape == (24, 32, 3) and result.pixels.dtype == np.uint8
    np.testing.assert_allclose(middles(result).astype(float), expected(encoding), atol=3)


@pytest.mark.parametrize("padding", [0, 8])
@pytest.mark.parametrize("encoding", PLANAR)
def test_planes_are_found_however_their_height_is_stated(encoding, padding):
    step, data = encoded(SQUARES, encoding, padding)
    in_rows = message(32, len(data) // step, encoding, step, data)
    np.testing.assert_allclose(middles(image_to_array(in_rows)), SQUARES[3::8, 3::8], atol=3)
    if not padding:  # some drivers count the chroma into the step
        counted = message(32, 24, encoding, len(data) // 24, data)
        np.testing.assert_allclose(middles(image_to_array(counted)), SQUARES[3::8, 3::8], atol=3)
    for wrong in (data[:-2], data + b"ab", data[: 5 * step]):
        with pytest.raises(ImageError, match=r"^image: expected step \* height .* all planes") as e:
            image_to_array(message(32, 24, encoding, step, wrong))
        assert e.value.kind == "planes"


def test_16_bit_frames_keep_the_high_byte():
    values = np.random.default_rng(0).integers(0, 2**16, (5, 4, 3), dtype="<u2")
    result = image_to_array(message(4, 5, "rgb16", 24, values.tobytes()))
    np.testing.assert_array_equal(result.pixels, values >> 8)


@pytest.mark.parametrize("order", ["<u2", ">u2"])
@pytest.mark.parametrize("encoding", ["mono16", "rgb16", "bayer_grbg16"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_samples_of_fewer_bits_are_as_bright_as_of_sixteen(bits, encoding, order):
    def read(values, sample_bits):
        data = values.astype(order).tobytes()
        return image_to_array(
            message(32, 24, encoding, len(data) // 24, data, int(order[0] == ">")), 0, sample_bits
        ).pixels

    channels = 3 if encoding == "rgb16" else 1
    full = np.random.default_rng(1).integers(0, 2**16, (24, 32 * channels))
    full[0, 0] = 2**16 - 1
    narrow = full >> (16 - bits)
    right = read(full, SampleBits())
    np.testing.assert_array_equal(read(narrow, SampleBits()), right)
    np.testing.assert_array_equal(read(narrow, SampleBits(bits)), right)


def test_the_bits_in_use_are_the_fewest_that_all_images_so_far_fit_in():
    camera = SampleBits()

    def brightest(value):
        gray = np.full((2, 2), value, "<u2")
        pixels = image_to_array(message(2, 2, "mono16", 4, gray.tobytes()), 0, camera).pixels
        return int(pixels.max())

    assert brightest(0) == 0 and not camera.remark
    assert brightest(1000) == 250 and "reach 1000 of 65535 and are read as 10 bits" in camera.remark
    assert brightest(4095) == 255 and "read as 12 bits" in camera.remark
    assert brightest(1000) == 62  # it was not brighter a moment ago
    assert brightest(65535) == 255 and not camera.remark
    assert brightest(4095) == 15 and not camera.remark
    camera.setting = 12
    assert brightest(4095) == 255 and not camera.remark
    assert brightest(4096) == 255
    assert "reach 4096, but image_depth_bits is 12" in camera.remark


def test_a_range_that_is_hardly_used_is_remarked():
    camera = SampleBits(16)
    dark = np.full((2, 2), 2**13 - 1, "<u2")
    image_to_array(message(2, 2, "mono16", 4, dark.tobytes()), 0, camera)
    assert "reach 8191 of 65535, so that its pictures are dark" in camera.remark
    assert "image_depth_bits: 14 reads them as 14 bits" in camera.remark
    image_to_array(message(2, 2, "mono16", 4, (dark + 1).tobytes()), 0, camera)
    assert not camera.remark


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8"])
def test_floats_are_from_0_to_1_or_to_255(kind):
    def read(values):
        values = np.array(values, kind).reshape(1, -1, 3)
        encoding = "32FC3" if values.itemsize == 4 else "64FC3"
        image = message(
            *(values.shape[1], 1, encoding, values[0].nbytes),
            *(values.tobytes(), int(kind[0] == ">")),
        )
        return image_to_array(image).pixels.ravel().tolist()

    assert read([0, 0.5, 1, 0.25, 1.7, -3]) == [0, 128, 255, 64, 255, 0]
    assert read([0, 128, 255, 64, 300, -3]) == [0, 128, 255, 64, 255, 0]
    assert read([np.nan, np.inf, -np.inf, 0, 0, 1]) == [0, 255, 0, 0, 0, 255]


@pytest.mark.parametrize("encoding", DEPTH_ENCODINGS)
def test_a_depth_image_is_told_to_be_one(encoding):
    pixel = int(encoding[:2]) // 8
    with pytest.raises(ImageError, match=f"got {encoding}, a depth image; remap .* mono16"):
        image_to_array(message(4, 4, encoding, 4 * pixel, bytes(16 * pixel)))


@pytest.mark.parametrize(
    "name, meant",
    [
        *[("RGB8", "rgb8"), ("bgr", "bgr8"), ("rgb 8", "rgb8"), ("Mono8", "mono8")],
        *[("gray8", "mono8"), ("Y16", "mono16"), ("bgr24", "bgr8"), ("yuv422_yuyv", "yuv422_yuy2")],
        *[
            ("bayer_rgbg8", "bayer_rggb8"),
            ("YUV422", "yuv422"),
            ("nv-12", "nv12"),
            ("8uc3", "8UC3"),
        ],
    ],
)
def test_near_misses_are_named(name, meant):
    with pytest.raises(ImageError, match=r"^image: expected an encoding such as ") as caught:
        image_to_array(message(4, 4, name, 16, bytes(64)))
    assert str(caught.value).endswith(f"got '{name}'; did you mean '{meant}'?")


@pytest.mark.parametrize("name", ["", "16SC1", "32SC3", "8UC5", "h264", "a\nb", "x" * 9000])
def test_what_is_no_picture_is_refused_in_one_line(name):
    with pytest.raises(ImageError, match=r"^image: expected an encoding such as ") as caught:
        image_to_array(message(4, 4, name, 16, bytes(64)))
    text = str(caught.value)
    assert "did you mean" not in text and "\n" not in text and len(text) < 300


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
        (
            message(4, 4, "rgb9", 12, bytes(48)),
            "unknown encoding rgb9",
            "rgb8, bgr8.* got 'rgb9'; did",
        ),
        (message(4, 4, "", 12, bytes(48)), "unknown encoding ", "got ''"),
        (message(3, 4, "bayer_rggb8", 3, bytes(12)), "odd size, bayer_rggb8", "even .* got 3 x 4"),
        (message(4, 3, "bayer_grbg8", 4, bytes(12)), "odd size, bayer_grbg8", "even .* got 4 x 3"),
        (message(3, 4, "yuyv", 6, bytes(24)), "odd size, yuyv", "even width .* got 3 x 4"),
        (message(4, 4, "mono16", 7, bytes(28)), "step", "step of at least 8 bytes .* got 7"),
        (message(4, 3, "nv12", 4, bytes(18)), "odd size, nv12", "even .* got 4 x 3"),
        (message(3, 4, "i420", 4, bytes(24)), "odd size, i420", "even .* got 3 x 4"),
        (message(6, 4, "i420", 7, bytes(42)), "planes", "an even step of at least 6, got 42"),
        (message(65536, 1, "mono8", 65536, bytes(65536)), "too long", "65535 .* got 65536 x 1"),
        (message(1, 1000000, "mono8", 1, bytes(1000000)), "too long", "65535 .* got 1 x 1000000"),
        (message(2**32 - 1, 2**32 - 1, "rgb8", 3, b""), "too long", "got 4294967295 x 429496729"),
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
    st.binary(max_size=160),
    st.sampled_from([*ENCODINGS, "16UC1", "x"]),
    st.integers(0, 1),
)
def test_any_frame_is_read_or_refused(width, height, step, data, encoding, big):
    try:
        result = image_to_array(message(width, height, encoding, step, data, big))
    except ImageError:
        return
    assert result.pixels.shape[1:] == (width, 3) and result.pixels.dtype == np.uint8
    assert len(result.pixels) == height or is_planar(encoding)


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
