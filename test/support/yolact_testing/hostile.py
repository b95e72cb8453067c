# SPDX-License-Identifier: Apache-2.0
"""Messages that no good camera sends, each from a seed: right, contradictory, cut off, huge."""

import functools
import io
import struct
import zlib
from array import array

import cv2
import numpy as np
from PIL import Image as Picture
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from yolact_ros.recordings.images.encodings import DEPTH_ENCODINGS, ENCODINGS

from .pictures import noise

_NAMES = (
    *ENCODINGS,
    *DEPTH_ENCODINGS,
    "16SC1",
    "8UC5",
    "RGB8",
    "rgb",
    "h264",
    "",
    "\n\0%s",
    "x" * 999,
)
_SIDES = (0, 1, 2, 3, 15, 16, 17, 64, 333, 640, 1448, 8192, 65535, 65536, 1 << 20, (1 << 32) - 1)
_NUMBERS = (0.0, -0.0, 1.0, -1.0, 500.0, 1e-300, 1e300, float("nan"), float("inf"), -float("inf"))


def hostile_image(seed, max_pixels, names=_NAMES):
    """A sensor_msgs/Image of at most 4 bytes for each allowed pixel."""
    random = np.random.default_rng(seed)
    encoding = str(random.choice(np.array(names, object)))
    width, height = _size(random, max_pixels)
    known = ENCODINGS.get(encoding)
    pixel = known.pixel_bytes if known else int(random.integers(1, 9))
    step = width * pixel
    if random.random() < 0.2:
        step = int(
            random.choice([0, step - 1, step + 7, 2 * step, 1, (1 << 32) - 1]).clip(0, 2**32 - 1)
        )
    rows = int(height * known.planes) if known else height
    size = step * rows
    if random.random() < 0.2:
        size = int(size * random.choice([0, 0.5, 1, 2])) + int(random.integers(-3, 4))
    if not 0 <= size <= 4 * max_pixels:
        size = int(random.integers(0, 1 << 16))
    if known and random.random() < 0.2:
        height = rows
    return Image(
        encoding=encoding,
        width=min(width, 2**32 - 1),
        height=min(height, 2**32 - 1),
        step=min(step, 2**32 - 1),
        is_bigendian=int(random.choice([0, 0, 1, 255])),
        data=array("B", _bytes(random, size)),
    )


def hostile_depth(seed, max_pixels):
    """A depth image, as `hostile_image`."""
    return hostile_image(seed, max_pixels, (*DEPTH_ENCODINGS, "mono16", "rgb8", ""))


def hostile_compressed(seed, max_pixels, depth=False):
    """A CompressedImage of at most 4 bytes for each allowed pixel.

    Args:
        seed: Of the message.
        max_pixels: Allowed pixels.
        depth: Whether it is to be for a topic of compressed depth.
    """
    random = np.random.default_rng(seed)
    files = _files(max_pixels)
    data = bytearray(files[int(random.integers(len(files)))])
    for _ in range(int(random.integers(0, 4))):
        _damage(random, data)
    layouts = ("16UC1; compressedDepth png", "32FC1; compressedDepth png", "16UC1; png compressed ")
    if not depth:
        layouts += (
            "",
            "jpeg",
            "rgb8; jpeg compressed rgb8",
            "bayer_rggb8; png compressed ",
            "nv12",
        )
        layouts += ("mono16; png compressed ", "h264", "\0" * 99)
    layout = layouts[int(random.integers(len(layouts)))]
    if "compressedDepth" in layout:
        data[:0] = struct.pack("<iff", 0, *random.choice(_NUMBERS[:8], 2).clip(-1e38, 1e38))
    return CompressedImage(format=layout, data=array("B", bytes(data[: 4 * max_pixels])))


def hostile_camera_info(seed):
    """A CameraInfo."""
    random = np.random.default_rng(seed)

    def numbers(count):
        return [float(value) for value in random.choice(_NUMBERS, count)]

    info = CameraInfo(
        width=int(random.choice(_SIDES)),
        height=int(random.choice(_SIDES)),
        distortion_model=str(random.choice(["", "plumb_bob", "equidistant", "x" * 99])),
        d=numbers(int(random.choice([0, 1, 4, 5, 8, 999]))),
        k=numbers(9),
        r=numbers(9),
        p=numbers(12),
        binning_x=int(random.choice(_SIDES)),
        binning_y=int(random.choice(_SIDES)),
    )
    info.roi.width, info.roi.height = (int(side) for side in random.choice(_SIDES, 2))
    info.roi.x_offset = int(random.choice(_SIDES))
    return info


def _size(random, max_pixels):
    kind = random.random()
    if kind < 0.3:
        return int(random.choice(_SIDES)), int(random.choice(_SIDES))
    if kind < 0.5:  # one long side
        sides = (int(random.integers(1, 20)), int(random.integers(1, 1 << 21)))
    else:
        sides = (int(random.integers(1, 300)), int(random.integers(1, 300)))
        if kind < 0.6:  # close to what is allowed
            width = int(random.integers(600, 3000))
            sides = (width, max_pixels // width + int(random.integers(-1, 2)))
    return sides[:: random.choice([1, -1])]


def _bytes(random, size):
    if random.random() < 0.5:
        return bytes([int(random.integers(256))]) * size
    block = random.integers(0, 256, 4096, dtype=np.uint8).tobytes()
    return (block * (size // len(block) + 1))[:size]


def _damage(random, data):
    if not data:
        return
    place = int(random.integers(len(data)))
    near = int(random.integers(min(len(data), 64)))
    kind = int(random.integers(6))
    if kind == 0:
        data[place] ^= int(random.integers(1, 256))
    elif kind == 1:
        del data[place:]
    elif kind == 2:
        data[near : near + 4] = random.integers(0, 256, 4, dtype=np.uint8).tobytes()
    elif kind == 3:
        data[near : near + 4] = b"\0\0\xff\xff"
    elif kind == 4:
        data[place:place] = data[near : near + 200] * int(random.integers(1, 50))
    else:
        data[place : place + 300] = b""


def _png(width, height, kind=0):
    """A picture of zeros, in few bytes."""

    def part(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    packer = zlib.compressobj(1)
    row = bytes(1 + width * (1, 0, 3)[kind])
    packed = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    return b"\x89PNG\r\n\x1a\n" + header + part(b"IDAT", packed) + part(b"IEND", b"")


@functools.cache
def _files(max_pixels):
    """Pictures of every kind, among them large ones in few bytes."""
    picture = noise(48, 64, block=4)
    small = [
        cv2.imencode(extension, picture, options)[1].tobytes()
        for extension, options in (
            *((".jpg", []), (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])),
            *((".jpg", [cv2.IMWRITE_JPEG_RST_INTERVAL, 2]), (".png", []), (".webp", [])),
            *((".tiff", []), (".bmp", []), (".jp2", []), (".ppm", [])),
        )
    ]
    small.append(cv2.imencode(".png", picture[..., 0].astype(np.uint16) << 4)[1].tobytes())
    pages = [Picture.fromarray(picture), Picture.fromarray(picture[::-1])]
    for codec in ("PNG", "WEBP", "GIF", "TIFF"):
        buffer = io.BytesIO()
        pages[0].save(buffer, codec, save_all=True, append_images=pages[1:])
        small.append(buffer.getvalue())
    width = 1400
    height = max_pixels // width
    at_most = [_png(width, height), _png(width, height, 2), _png(6000, 5000), _png(60000, 30)]
    smooth = np.full((height, width, 3), 128, np.uint8)
    at_most += [
        cv2.imencode(".jpg", smooth, [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])[1].tobytes()
        for progressive in (0, 1)
    ]
    return (*small, *at_most)
