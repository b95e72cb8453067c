# SPDX-License-Identifier: Apache-2.0
"""The one reader of picture files: what `dataset check` accepts, all other commands can read.

docs/images.md says which files are read, and how.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from os import SEEK_CUR, SEEK_END
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, TiffImagePlugin

from yolact_ros.choices import CHANNEL_ORDERS
from yolact_ros.errors import InputError, expect_one_of

from .exif import orientation_of, turn, valid_orientation, without_orientation
from .samples import to_uint8

PICTURE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".pnm",
     ".ppm", ".tga", ".tif", ".tiff", ".webp"}
)  # fmt: skip
"""Suffixes of the files that a folder is searched for; a file's kind follows from its content."""

MAX_PIXELS = 1 << 28
"""Pixels of the largest picture that is read, 16384 x 16384: 0.8 GB as colours of 8 bits."""

Size = tuple[int, int]
"""(width, height) in pixels."""

_KINDS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000", "PPM", "TGA")
"""Pillow's names of the kinds that are read, besides those that only OpenCV knows."""
_SETTLED = frozenset({"JPEG", "MPO", "PNG", "WEBP"})
"""Kinds whose head and end tell that they can be read; of the others all pixels are decoded."""
_PILLOW_READS = frozenset({"AVIF", "GIF"})  # few builds of OpenCV do
_TAIL = 4096  # bytes: some programs append data to the picture
_SIGNATURE = 32
_STORED = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
_WIDTH_TAG, _HEIGHT_TAG, _ORIENTATION_TAG = 256, 257, 274
_OTHERS = (
    (0, b"version https://git-lfs", "is a Git LFS pointer: run `git lfs pull`"),
    (0, b"<", "is a web page or a drawing: get the picture itself"),
    (0, b"%PDF", "is a PDF document: export its pictures"),
    (0, b"\xff\x0a", "is JPEG XL: convert it to JPEG or PNG"),
    (4, b"JXL ", "is JPEG XL: convert it to JPEG or PNG"),
    (4, b"ftypavi", "is AVIF, which Pillow reads from 11.3 on"),
    (4, b"ftyphe", "is HEIC: convert it to JPEG or PNG"),
    (4, b"ftypm", "is HEIC or a video: convert it to JPEG or PNG"),
)
"""Where other files have which bytes, and what is said of them."""


@dataclass(frozen=True)
class PictureHeader:
    """What the file of a picture says of it.

    Attributes:
        kind: Pillow's name of the format, such as "JPEG"; empty where only OpenCV knows it.
        stored: Size of the pixels as stored.
        orientation: What EXIF, or a TIFF's own field, says of them: 1 (upright) to 8.
        cut_off: Whether the file, a JPEG or PNG, lacks its end.
    """

    kind: str
    stored: Size
    orientation: int = 1
    cut_off: bool = False

    @property
    def size(self) -> Size:
        """Size of the picture upright, as viewers show it."""
        width, height = self.stored
        return (height, width) if self.orientation >= 5 else (width, height)

    def orientation_for(self, labelled: Size | None) -> int:
        """Return the orientation to apply, given the size that labels state; None: no labels.

        It is the file's, unless the labels fit nothing but the pixels as stored.
        """
        only_stored = labelled == self.stored and labelled != self.size
        return 1 if only_stored else self.orientation


def look_at(path: Path) -> PictureHeader:
    """Make sure that a picture can be read, from as little of its file as its kind allows.

    A JPEG without its end is one that can.

    Raises:
        InputError: It cannot; the text says why.
    """
    try:
        with path.open("rb") as file:
            header = _header(file)
    except OSError as error:
        raise _unreadable(path, error) from error
    if header is None or header.kind not in _SETTLED:
        return _read(path)[0]
    _require_usable(header, path)
    return header


def look_at_all(
    names: Mapping[int, str], folder: Path
) -> tuple[dict[int, PictureHeader], dict[int, str]]:
    """Look at the pictures of a data set.

    Args:
        names: File name by image id, relative to the folder.
        folder: The folder.

    Returns:
        By image id: what the files say, and what is wrong with those that cannot be read.
    """

    def look(name: str) -> PictureHeader | str:
        try:
            return look_at(folder / name)
        except InputError as error:
            return str(error)

    # Only a little of most files is read: most of the time goes into waiting for the disk.
    with ThreadPoolExecutor(8) as pool:
        looks = dict(zip(names, pool.map(look, names.values()), strict=True))
    headers = {key: look for key, look in looks.items() if isinstance(look, PictureHeader)}
    return headers, {key: look for key, look in looks.items() if isinstance(look, str)}


def read_picture(
    path: Path,
    *,
    labelled: Size | None = None,
    labels: object = "its labels",
    channel_order: str = "rgb",
) -> npt.NDArray[np.uint8]:
    """Read a picture upright: turned as its EXIF data says.

    More than 8 bits are read as by `samples.to_uint8`, grey as colours; transparency is not looked
    at, and of several pictures in a file the first is read.

    Args:
        path: The file.
        labelled: Size that labels state, which the picture must have. Where it fits nothing but
            the pixels as stored, they are not turned.
        labels: What states it, for the error.
        channel_order: "rgb" or "bgr".

    Returns:
        (H, W, 3) uint8.

    Raises:
        InputError: The file cannot be read, is no picture, or one of too many pixels or of another
            size than labelled.
    """
    expect_one_of("channel_order", channel_order, CHANNEL_ORDERS)
    header, pixels = _read(path)
    pixels = turn(pixels, header.orientation_for(labelled))
    height, width = pixels.shape[:2]
    if labelled is not None and labelled != (width, height):
        expected = f"{labelled[0]}x{labelled[1]}"
        raise InputError(f"{path}: expected {expected} pixels as in {labels}, got {width}x{height}")
    return np.ascontiguousarray(pixels if channel_order == "bgr" else pixels[:, :, ::-1])


def _read(path: Path) -> tuple[PictureHeader, npt.NDArray[np.uint8]]:
    """Return the header and the pixels as stored, (H, W, 3) uint8 BGR."""
    try:
        data = path.read_bytes()
        header = _header(io.BytesIO(data))
    except OSError as error:
        raise _unreadable(path, error) from error
    if header is not None:
        _require_usable(header, path)
    pixels = _decoded(data, header.kind if header else "")
    if pixels is None:
        raise InputError(f"expected an image file, got {path} which {_description(data)}")
    if header is None:
        height, width = pixels.shape[:2]
        header = PictureHeader("", (width, height), orientation_of(data))
    return header, pixels


def _unreadable(path: Path, error: OSError) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError(f"expected an image file, got no file {path}")
    reason = error.strerror or str(error)
    return InputError(f"expected an image file, got {path} which cannot be read: {reason}")


def _require_usable(header: PictureHeader, path: Path) -> None:
    width, height = header.stored
    if width * height > MAX_PIXELS:
        raise InputError(
            f"expected an image of at most {MAX_PIXELS} pixels, got {width}x{height} in {path}: "
            "cut it into smaller ones"
        )
    if header.cut_off and header.kind == "PNG":
        raise InputError(f"expected an image file, got {path} which is cut off")


def _description(data: bytes) -> str:
    """Say of a file that cannot be read what it is."""
    if not data:
        return "is empty"
    said = [text for at, bytes_, text in _OTHERS if data.startswith(bytes_, at)]
    return said[0] if said else "is no picture of a kind that can be read, or damaged"


def _header(file: BinaryIO) -> PictureHeader | None:
    """Read the header of a picture that Pillow knows; None: it does not know the file."""
    picture = _opened(file)
    if picture is None:
        return None
    kind = picture.format or ""
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        # Not picture.size: newer versions of Pillow turn it.
        tags = picture.tag_v2
        stored = int(tags[_WIDTH_TAG]), int(tags[_HEIGHT_TAG])
        return PictureHeader(kind, stored, valid_orientation(tags.get(_ORIENTATION_TAG)))
    if kind == "PNG":
        exif, whole = _rest_of_png(file)
    else:
        exif = picture.info.get("exif", b"")
        whole = kind not in ("JPEG", "MPO") or b"\xff\xd9" in _tail(file)
    return PictureHeader(kind, picture.size, orientation_of(exif), cut_off=not whole)


def _opened(file: BinaryIO) -> ImageFile.ImageFile | None:
    """Open a file as `Image.open` does, but for its limit of pixels, which the process sets."""
    Image.init()
    start = file.read(_SIGNATURE)
    for kind in _KINDS:
        factory, accepts = Image.OPEN.get(kind, (None, None))
        if factory is not None and (accepts is None or accepts(start) is True):
            file.seek(0)
            with suppress(SyntaxError, IndexError, TypeError, ValueError, struct.error):
                return factory(file, "")
    return None


def _rest_of_png(file: BinaryIO) -> tuple[bytes, bool]:
    """Return the EXIF data of a PNG, which some programs put behind the pixels, and if it ends."""
    exif = b""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return exif, True
        if kind == b"eXIf":
            exif = file.read(length)
            length = 0
        file.seek(length + 4, SEEK_CUR)  # and its checksum
    return exif, False


def _tail(file: BinaryIO) -> bytes:
    file.seek(max(file.seek(0, SEEK_END) - _TAIL, 0))
    return file.read()


def _decoded(data: bytes, kind: str) -> npt.NDArray[np.uint8] | None:
    """Return the pixels as stored, (H, W, 3) uint8 BGR; None where they cannot be read."""
    if kind == "TIFF" or not kind:
        data = without_orientation(data)
    samples = None if kind in _PILLOW_READS else _by_opencv(data)
    if samples is None:
        samples = _by_pillow(data)
    if samples is None:
        return None
    pixels = to_uint8(samples)
    return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR) if pixels.ndim == 2 else pixels


def _by_opencv(data: bytes) -> npt.NDArray[np.generic] | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), _STORED)
    except cv2.error:
        return None


def _by_pillow(data: bytes) -> npt.NDArray[np.generic] | None:
    try:
        picture = _opened(io.BytesIO(data))
        if picture is None:
            return None
        if picture.mode in ("F", "I") or picture.mode.startswith("I;16"):
            return np.asarray(picture)
        return np.asarray(picture.convert("RGB"))[:, :, ::-1]
    except Exception:  # whatever a damaged file makes the readers raise
        return None
