# SPDX-License-Identifier: Apache-2.0
import io
import struct
import zlib
from array import array

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture
from sensor_msgs.msg import CompressedImage

from yolact_ros.recordings.images import compressed
from yolact_ros.recordings.images.bounds import ImageError
from yolact_ros.recordings.images.compressed import compressed_to_array
from yolact_ros.recordings.images.samples import SampleBits
from yolact_testing.pictures import noise

LEFT, RIGHT = (200, 40, 30), (20, 60, 180)
HALVES = np.zeros((48, 64, 3), np.uint8)  # RGB
HALVES[:, :32], HALVES[:, 32:] = LEFT, RIGHT


def message(data, layout="jpeg"):
    return CompressedImage(format=layout, data=array("B", data))


def encoded(pixels, extension, *options):
    return cv2.imencode(extension, pixels, options)[1].tobytes()


def saved(picture, codec, **options):
    buffer = io.BytesIO()
    picture.save(buffer, codec, **options)
    return buffer.getvalue()


def halves(result):
    """The colours of the left and right half, red first."""
    pixels = result.pixels if result.channel_order == "rgb" else result.pixels[..., ::-1]
    assert pixels.shape == HALVES.shape and pixels.dtype == np.uint8
    return pixels[24, [16, 48]].astype(int)


@pytest.mark.parametrize("extension", [".jpg", ".png"])
@pytest.mark.parametrize(
    "layout, inside",
    [
        *[(layout, "bgr") for layout in ("", "jpeg", "png", "jpg", "JPEG", "bgr8", "rgb8")],
        *[("rgb8; jpeg compressed bgr8", "bgr"), ("bgr8; png compressed bgr8", "bgr")],
        *[("rgba8; png compressed bgr8", "bgr"), ("rgb16; jpeg compressed bgr8", "bgr")],
        *[("rgb8; jpeg compressed rgb8", "rgb"), ("rgb8; png compressed rgb8", "rgb")],
        *[("bgr8; jpeg compressed rgb8", "rgb"), ("RGB8; JPEG compressed RGB8", "rgb")],
        *[("rgb8; jpeg compressed ", "rgb"), ("bgra8; png compressed ", "rgb")],
        *[("8UC3; png compressed ", "bgr"), ("yuv422; jpeg compressed bgr8", "bgr")],
        *[("yuv422_yuy2; jpeg compressed ", "bgr"), ("nv12; jpeg compressed rgb8", "bgr")],
    ],
)
def test_the_format_says_in_which_order_the_colors_are(layout, inside, extension):
    stored = HALVES if inside == "rgb" else HALVES[..., ::-1]
    result = compressed_to_array(message(encoded(stored, extension), layout))
    np.testing.assert_allclose(halves(result), [LEFT, RIGHT], atol=4)


@pytest.mark.parametrize(
    "layout", ["mono8; jpeg compressed mono8", "yuv422_yuy2; jpeg compressed mono8", "jpeg"]
)
def test_gray_pictures(layout):
    result = compressed_to_array(message(encoded(HALVES[..., 0], ".jpg"), layout))
    np.testing.assert_allclose(halves(result), [[LEFT[0]] * 3, [RIGHT[0]] * 3], atol=2)


def test_a_mosaic_that_was_compressed_as_it_is():
    mosaic = HALVES[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = HALVES[::2, ::2, 0], HALVES[1::2, 1::2, 2]
    result = compressed_to_array(message(encoded(mosaic, ".png"), "bayer_rggb8; png compressed "))
    np.testing.assert_array_equal(halves(result), [LEFT, RIGHT])
    gray = message(encoded(HALVES[..., 0], ".jpg"), "bayer_rggb8; jpeg compressed mono8")
    np.testing.assert_allclose(halves(compressed_to_array(gray))[0], [LEFT[0]] * 3, atol=2)
    with pytest.raises(ImageError, match="an even width and height for bayer_rggb8, got 64 x 47"):
        odd = encoded(mosaic[:-1], ".png")
        compressed_to_array(message(odd, "bayer_rggb8; png compressed "))


@pytest.mark.parametrize(
    "mode, codec",
    [
        *[("RGB", codec) for codec in ("JPEG", "PNG", "WEBP", "TIFF", "BMP")],
        *[("RGBA", "PNG"), ("RGBA", "WEBP"), ("P", "PNG"), ("CMYK", "JPEG"), ("P", "BMP")],
    ],
)
def test_kinds_of_pictures(mode, codec):
    picture = Picture.fromarray(HALVES)
    picture = picture.quantize(8) if mode == "P" else picture.convert(mode)
    result = compressed_to_array(message(saved(picture, codec)))
    np.testing.assert_allclose(halves(result), [LEFT, RIGHT], atol=8)


def test_pictures_of_1_and_16_bits():
    black_and_white = Picture.fromarray(HALVES[..., 0] > 100)
    result = compressed_to_array(message(saved(black_and_white, "PNG")))
    np.testing.assert_array_equal(halves(result), [[255] * 3, [0] * 3])
    with_alpha = np.dstack([HALVES[..., ::-1], HALVES[..., 0]]).astype(np.uint16) * 257
    for stored in (with_alpha, with_alpha >> 4):  # 16 bits, and 12 of them
        for extension in (".png", ".tiff"):
            result = compressed_to_array(message(encoded(stored, extension)))
            np.testing.assert_allclose(halves(result), [LEFT, RIGHT], atol=1)
    dark = message(encoded(with_alpha[..., 0] >> 4, ".png"), "mono16; png compressed ")
    camera = SampleBits(16)
    assert compressed_to_array(dark, 0, camera).pixels.max() == RIGHT[2] >> 4
    assert "image_depth_bits: 12 reads them" in camera.remark


@pytest.mark.parametrize("orientation", [3, 6, 8])
@pytest.mark.parametrize("codec", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_pixels_stay_as_they_are_stored_whatever_exif_says(codec, orientation):
    exif = Picture.Exif()
    exif[0x0112] = orientation
    data = saved(Picture.fromarray(HALVES), codec, exif=exif)
    np.testing.assert_allclose(halves(compressed_to_array(message(data))), [LEFT, RIGHT], atol=8)


PICTURE = noise(240, 320, seed=5, block=4)
FILES = {
    "JPEG": encoded(PICTURE, ".jpg"),
    "smooth JPEG": encoded(cv2.GaussianBlur(PICTURE, (0, 0), 5), ".jpg"),
    "gray JPEG": encoded(PICTURE[..., 0], ".jpg"),
    "progressive JPEG": encoded(PICTURE, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "JPEG with restarts": encoded(PICTURE, ".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 20),
    "PNG": encoded(PICTURE, ".png"),
    "WebP": encoded(PICTURE, ".webp"),
    "TIFF": encoded(PICTURE, ".tiff"),
    "BMP": encoded(PICTURE, ".bmp"),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_cut_off_is_refused(name):
    data = FILES[name]
    assert compressed_to_array(message(data)).pixels.shape == (240, 320, 3)
    for cut in (1, 2, 5, 50, len(data) // 3, len(data) // 2, len(data) - 20, len(data) - 3):
        with pytest.raises(ImageError, match=r"^image: expected a (whole )?JPEG or PNG picture"):
            compressed_to_array(message(data[:-cut]))


@pytest.mark.parametrize("name", ["JPEG", "smooth JPEG", "gray JPEG"])
def test_a_jpeg_that_lacks_a_part_is_refused(name):
    data = FILES[name]
    middle = len(data) // 2
    for missing in (200, 1000, len(data) // 3):
        for rest in (b"", bytes(missing), b"\x55" * missing):
            with pytest.raises(ImageError) as caught:
                compressed_to_array(message(data[:middle] + rest + data[middle + missing :]))
            assert caught.value.kind == "damaged"
    with pytest.raises(ImageError):  # cut off by a camera that ends it properly
        compressed_to_array(message(data[:middle] + b"\xff\xd9"))


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WebP"])
def test_damaged_bytes_are_refused(name):
    refused = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        data = bytearray(FILES[name])
        for place in random.integers(len(data) // 4, len(data) - 20, 20):
            data[place] ^= int(random.integers(1, 256))
        try:
            compressed_to_array(message(bytes(data)))
        except ImageError as error:
            refused += error.kind == "damaged"
    # The rest are other pixels of the same length: no decoder can know.
    assert refused >= 37


def test_parts_of_a_jpeg_between_restarts_are_all_there():
    data = FILES["JPEG with restarts"]
    first, second = (data.index(marker) for marker in (b"\xff\xd2", b"\xff\xd3"))
    with pytest.raises(ImageError, match="a part of its pixels is missing"):
        compressed_to_array(message(data[:first] + data[second:]))


@pytest.mark.parametrize("padding", [b"", bytes(500), b"\xff" * 500, b"\x37" * 30])
def test_a_jpeg_that_a_camera_padded_is_whole(padding):
    for name in ("JPEG", "gray JPEG"):
        whole = FILES[name]
        right = compressed_to_array(message(whole)).pixels
        padded = whole[:-2] + padding + whole[-2:]
        result = compressed_to_array(message(padded + b"garbage"))
        np.testing.assert_array_equal(result.pixels, right)


@pytest.mark.parametrize("codec", ["PNG", "WEBP", "TIFF"])
def test_several_pictures_in_a_file_are_refused(codec):
    pictures = [Picture.fromarray(noise(8, 8, seed)) for seed in range(3)]
    data = saved(pictures[0], codec, save_all=True, append_images=pictures[1:])
    with pytest.raises(ImageError, match=r"^image: expected a single picture, got [23] in one f"):
        compressed_to_array(message(data))


def png(width, height, bits=8, kind=0):
    def part(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    pixels = part(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + pixels + part(b"IEND", b"")


def jpeg(width, height):
    size = struct.pack(">HH", height, width)
    return FILES["JPEG"].replace(struct.pack(">HH", 240, 320), size, 1)


def webp(width, height):
    canvas = b"".join((side - 1).to_bytes(3, "little") for side in (width, height))
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + canvas
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff(width, height):
    fields = [(256, 4, width), (257, 4, height), (258, 3, 8), (262, 3, 1), (278, 4, height)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in fields)
    return b"II*\0" + struct.pack("<IH", 8, len(fields)) + entries + bytes(4)


def bmp(width, height):
    return b"BM" + bytes(12) + struct.pack("<IiiHH", 40, width, -height, 1, 24) + bytes(24)


@pytest.mark.parametrize(
    "width, height, text",
    [
        (30000, 30000, "at most 1000000 pixels .* got 30000 x 30000 = 900000000"),
        (1001, 1000, "at most 1000000 pixels .* got 1001 x 1000 = 1001000"),
        (16000, 63, "at most 1000000 pixels .* got 16000 x 63"),
        (63, 16000, "at most 1000000 pixels .* got 63 x 16000"),
    ],
)
@pytest.mark.parametrize("make", [png, jpeg, webp, tiff, bmp])
def test_sizes_are_bounded_before_anything_is_decoded(make, width, height, text, monkeypatch):
    monkeypatch.setattr(compressed.cv2, "imdecode", None)
    with pytest.raises(ImageError, match=f"^image: expected {text}"):
        compressed_to_array(message(make(width, height)), max_pixels=1000000)


@pytest.mark.parametrize("make", [png, tiff, bmp, webp])
def test_sides_are_bounded_before_anything_is_decoded(make, monkeypatch):
    monkeypatch.setattr(compressed.cv2, "imdecode", None)
    for size in ((70000, 1), (1, 70000), (1000000, 1)):
        with pytest.raises(ImageError, match=r"^image: expected at most 65535 pixels a side"):
            compressed_to_array(message(make(*size)))


def test_a_progressive_jpeg_of_many_scans_is_refused(monkeypatch):
    """Each scan costs a pass over the whole image, and needs no more than some bytes."""
    data = FILES["progressive JPEG"]
    begin = data.rindex(b"\xff\xda")
    scan = data[begin:-2]
    monkeypatch.setattr(compressed.cv2, "imdecode", None)
    with pytest.raises(ImageError, match="too many scans"):
        compressed_to_array(message(data[:-2] + 1000 * scan + data[-2:]))


@pytest.mark.parametrize(
    "layout, data, text",
    [
        ("jpeg", b"", "got no data"),
        ("jpeg", b"\x01\x02\x03\x04\x05", "got 5 bytes with format 'jpeg' .* 01 02 03 04"),
        ("jpeg", b"\xff", "got 1 bytes with format 'jpeg' that begin with ff$"),
        ("h264", b"\0\0\0\1\x67" + bytes(99), "got H.264 video, 104 bytes .*; decode it with its"),
        ("bgr8; h.264", b"\0\0\0\1\x67", "got H.264 video.*ffmpeg_image_transport"),
        ("hevc", b"\0\0\0\1\x40", "got H.265 video.*ffmpeg_image_transport"),
        ("jpeg", b"\0\0\0\1\x67", "got H.264 or H.265 video"),
        ("theora", b"\x80theora", "got video.*image_transport: raw"),
        ("nv12", bytes(4608), "got raw pixels of nv12, 4608 .*publish it as sensor_msgs/Image"),
        ("NV12", bytes(4608), "got raw pixels of NV12.*publish it as sensor_msgs/Image"),
        ("rgb8", bytes(4608), "got raw pixels of rgb8.*publish it as sensor_msgs/Image"),
        ("zstd", b"\x28\xb5\x2f\xfd", "got data of zstd_image_transport"),
        ("gif", saved(Picture.fromarray(HALVES), "GIF"), "got a GIF picture"),
        ("jp2", encoded(HALVES, ".jp2"), "got a JPEG 2000 picture"),
        (
            "16UC1; compressedDepth png",
            bytes(12) + encoded(HALVES[..., 0].astype(np.uint16), ".png"),
            "got a depth image.*remap depth to it, with depth_transport: compressedDepth",
        ),
    ],
)
def test_other_data_is_named_with_what_to_do(layout, data, text):
    with pytest.raises(ImageError, match=f"^image: expected a JPEG or PNG picture, .*{text}") as e:
        compressed_to_array(message(data, layout))
    assert "\n" not in str(e.value) and "KeyError" not in str(e.value)


@pytest.mark.parametrize("layout", ["16UC1; png compressed ", "32FC1; tiff compressed "])
def test_a_depth_picture_is_told_to_be_one(layout):
    data = encoded(HALVES[..., 0].astype(np.uint16), ".png")
    with pytest.raises(ImageError, match=f"got {layout[:5]}, a depth image"):
        compressed_to_array(message(data, layout))


@settings(deadline=None, max_examples=60)
@given(
    name=st.sampled_from(sorted(FILES)),
    place=st.integers(0, 700),
    put=st.binary(max_size=12),
    cut=st.integers(0, 100),
    layout=st.text(max_size=20),
)
def test_any_bytes_are_a_picture_or_refused(name, place, put, cut, layout):
    data = FILES[name]
    data = (data[:place] + put + data[place + len(put) :])[: len(data) - cut]
    try:
        result = compressed_to_array(message(data, layout), max_pixels=200000)
    except ImageError:
        return
    height, width, _ = result.pixels.shape
    assert height * width <= 200000 and result.pixels.dtype == np.uint8
