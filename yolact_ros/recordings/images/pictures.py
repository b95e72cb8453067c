# SPDX-License-Identifier: Apache-2.0
"""What the bytes of a compressed picture say of it, read without decoding a pixel.

Decoders take memory for what a few bytes claim, and read what is cut off or damaged as grey: here
the parts of a file are walked through first.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNK = struct.Struct(">I4s")  # length of its data, and its kind
_PNG_HEADER = struct.Struct(">IIBB")  # width, height, bits, colour type
_CHECKSUM = 4
_MOST_PARTS = 1 << 14
"""Parts of a file that are walked through, one after the other."""
_MOST_RESTARTS = 1 << 20
_MOST_SCANS = 64
"""Each scan of a progressive JPEG passes over the whole image, however few bytes it has."""
_JPEG_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # not 00, which is data, nor RST0 to 7
_JPEG_RESTART = re.compile(rb"\xff([\xd0-\xd7])")
_SOI, _EOI, _SOS, _DNL = 0xD8, 0xD9, 0xDA, 0xDC
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1, 0xC9), (0xC2, 0xCA)
_OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF)  # lossless and hierarchical
_TIFF_TAGS = {256: "width", 257: "height", 322: "tile"}


class PictureError(ValueError):
    """The bytes are those of a picture that is cut off, damaged or of a kind not read."""


@dataclass(frozen=True)
class PictureHeader:
    """What a file says of its picture.

    Attributes:
        codec: "JPEG", "PNG", "WebP", "TIFF" or "BMP".
        height, width: In pixels, as stored.
        frames: Pictures in the file.
        end: Bytes of the file; what follows belongs to something else.
        one_scan: Whether it is a JPEG whose pixels are one stretch of data up to its end.
    """

    codec: str
    height: int
    width: int
    frames: int = 1
    end: int = 0
    one_scan: bool = False


def read_header(data: bytes) -> PictureHeader | None:
    """Read what a file says of its picture; None: it is none of the kinds that are read.

    Raises:
        PictureError: It is of such a kind, but cut off or damaged.
    """
    try:
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data)
        if data.startswith(_PNG):
            return _png(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _tiff(data)
        if data.startswith(b"BM"):
            return _bmp(data)
    except (struct.error, IndexError):
        raise PictureError("it is cut off") from None
    return None


def _jpeg(data: bytes) -> PictureHeader:
    size: tuple[int, int] | None = None
    at, scans, whole_at_once = 2, 0, False
    for _ in range(_MOST_PARTS):
        if data[at] != 0xFF:
            raise PictureError(f"no marker where one must be, at byte {at}")
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker == _EOI:
            break
        (length,) = struct.unpack_from(">H", data, at)
        if length < 2 or at + length > len(data):
            raise PictureError("it is cut off")
        if marker in _OTHER_FRAMES or marker == _SOI:
            raise PictureError(f"marker {marker:02x}, which is not read")
        if marker in _SEQUENTIAL or marker in _PROGRESSIVE:
            if size is not None:
                raise PictureError("two headers")
            _, height, width, channels = struct.unpack_from(">BHHB", data, at + 2)
            size, sequential = (height, width), marker in _SEQUENTIAL
        at += length
        if marker == _SOS:
            scans += 1
            if size is None or scans > _MOST_SCANS:
                raise PictureError("data before the header" if size is None else "too many scans")
            whole_at_once = sequential and data[at - length + 2] == channels
            at = _end_of_scan(data, at)
            if whole_at_once and data[at + 1] not in (_EOI, _DNL):
                raise PictureError(f"marker {data[at + 1]:02x} within the data of its pixels")
    else:
        raise PictureError("too many parts")
    if size is None or not scans:
        raise PictureError("no pixels")
    return PictureHeader("JPEG", *size, end=at, one_scan=whole_at_once and scans == 1)


def _end_of_scan(data: bytes, begin: int) -> int:
    """The place of the marker after a scan."""
    found = _JPEG_MARKER.search(data, begin)
    if found is None:
        raise PictureError("it is cut off")
    for number, restart in enumerate(_JPEG_RESTART.finditer(data, begin, found.start())):
        if restart[1][0] != 0xD0 + number % 8 or number == _MOST_RESTARTS:
            raise PictureError("a part of its pixels is missing")
    return found.start()


def _png(data: bytes) -> PictureHeader:
    at, frames = len(_PNG), 1
    for _ in range(_MOST_PARTS):
        length, kind = _PNG_CHUNK.unpack_from(data, at)
        at += _PNG_CHUNK.size
        if kind == b"acTL":
            (frames,) = struct.unpack_from(">I", data, at)
        end = at + length
        (checksum,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(memoryview(data)[at - 4 : end]) != checksum:
            raise PictureError(f"its part {kind!r} is damaged")
        at = end + _CHECKSUM
        if kind == b"IEND":
            break
    else:
        raise PictureError("too many parts")
    first = len(_PNG) + _PNG_CHUNK.size
    if data[first - 4 : first] != b"IHDR":
        raise PictureError("no header")
    width, height, _, _ = _PNG_HEADER.unpack_from(data, first)
    return PictureHeader("PNG", height, width, frames=frames, end=at)


def _webp(data: bytes) -> PictureHeader:
    (length,) = struct.unpack_from("<I", data, 4)
    if length + 8 > len(data):
        raise PictureError("it is cut off")
    kind, frames = data[12:16], 1
    if kind == b"VP8X":
        flags, width, height = data[20], _three_bytes(data, 24) + 1, _three_bytes(data, 27) + 1
        if flags & 2:
            frames = max(2, data.count(b"ANMF"))
    elif kind == b"VP8L":
        (sides,) = struct.unpack_from("<I", data, 21)
        width, height = (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise PictureError("no header")
    return PictureHeader("WebP", height, width, frames=frames, end=length + 8)


def _three_bytes(data: bytes, at: int) -> int:
    return int(data[at] | data[at + 1] << 8 | data[at + 2] << 16)


def _tiff(data: bytes) -> PictureHeader:
    fields = _tiff_fields(data)
    if not {"width", "height"} <= fields.keys():
        raise PictureError("no header")
    if "tile" in fields:
        raise PictureError("a TIFF in tiles, which is not read")
    frames = 2 if fields["next"] else 1
    return PictureHeader("TIFF", fields["height"], fields["width"], frames=frames, end=len(data))


def _tiff_fields(data: bytes) -> dict[str, int]:
    """The fields of interest of the first page, and where the "next" one is, by name."""
    fields = {}
    order = "<" if data[0] == ord("I") else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if tag in _TIFF_TAGS:
            (value,) = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, entry + 8)
            fields[_TIFF_TAGS[tag]] = value
    (fields["next"],) = struct.unpack_from(order + "I", data, at + 2 + 12 * count)
    return fields


def _bmp(data: bytes) -> PictureHeader:
    (header,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header == 12 else "<ii", data, 18)
    return PictureHeader("BMP", abs(height), abs(width), end=len(data))
